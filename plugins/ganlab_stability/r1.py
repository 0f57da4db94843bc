"""A penalty on D's gradient at real images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import Field

from ganlab.hookspecs import hookimpl
from ganlab.tensors import squared_norm_per_sample

if TYPE_CHECKING:
    from ganlab import Turn


@dataclass
class R1Penalty:
    """Penalise D's gradient at real images: gamma / 2 * mean ||grad D(x)||^2 (Mescheder, Geiger and Nowozin 2018, arXiv:1801.04406).

    The gradient is of the scores as the loss sees them. Logged as ``loss/discriminator.r1_penalty``.

    Options:
        gamma: weight of the penalty; the paper uses 10.
        every: of D's updates on real images one in so many carries the penalty, with its weight multiplied by as much (Karras et
            al. 2020, arXiv:1912.04958, "lazy" regularisation).
    """

    gamma: Annotated[float, Field(gt=0)] = 10.0
    every: Annotated[int, Field(ge=1)] = 1

    updates: int = field(default=0, init=False)  # of D, on real images

    def _due(self, turn: Turn) -> bool:
        return turn.role == "discriminator" and turn.real is not None and self.updates % self.every == 0

    @hookimpl
    def before_scores(self, turn: Turn) -> None:
        if self._due(turn):
            assert turn.real is not None
            turn.real = turn.real.detach().requires_grad_(True)

    @hookimpl
    def loss_terms(self, turn: Turn) -> None:
        if self._due(turn):
            assert turn.real is not None and turn.real_scores is not None
            (gradient,) = torch.autograd.grad(turn.real_scores.sum(), turn.real, create_graph=True)  # (batch, *data)
            turn.loss_terms["r1_penalty"] = self.every * self.gamma / 2 * squared_norm_per_sample(gradient).mean(0)

    @hookimpl
    def after_update(self, turn: Turn) -> None:
        self.updates += turn.role == "discriminator" and turn.real is not None

    def state_dict(self) -> dict[str, Any]:
        """How often D has been updated on real images."""
        return {"updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what ``state_dict`` gave."""
        self.updates = state["updates"]
