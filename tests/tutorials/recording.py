"""A recording trick, written as a user of ganlab would write one: what a run draws, step by step, for a port to draw again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from tape import Tape
from torch import Tensor, nn

import ganlab


class Port(Protocol):
    """A tutorial's algorithm, written without ganlab. Parameters are in the order of the layers."""

    generator: list[Any]
    discriminator: list[Any]

    def step(self, tape: Tape) -> dict[str, Any]:
        """One step of the game on these draws."""

    def samples(self, latent: Tensor) -> Tensor:
        """What G makes of ``latent``, ``(rows, dimension)``: ``(rows, 784)``."""


@dataclass
class Drawn:
    """What one step drew, each kind in the order of its use."""

    reals: list[Tensor] = field(default_factory=list)
    latents: list[Tensor] = field(default_factory=list)
    masks: list[Tensor] = field(default_factory=list)


class Recording:
    """Captures initial weights, and of each step the real batches, latents and dropout masks; hands them on when the step is over."""

    def __init__(self) -> None:
        self.initial: dict[str, list[Tensor]] = {}
        self.drawn = Drawn()

    @ganlab.hookimpl
    def before_run(self, run: Any) -> None:
        for role, player in run.players.items():
            self.initial[role] = [parameter.detach().clone() for parameter in player.network.parameters()]
            for module in player.network.modules():
                if isinstance(module, nn.Dropout):
                    module.register_forward_hook(self._note_mask)

    @ganlab.hookimpl
    def before_scores(self, turn: Any) -> None:
        if turn.real is not None:
            self.drawn.reals.append(turn.real.flatten(1).clone())
        if turn.latent is not None and not (self.drawn.latents and turn.latent is self._last):
            self.drawn.latents.append(turn.latent.clone())
            self._last = turn.latent

    @ganlab.hookimpl
    def after_step(self, step: int) -> None:
        drawn, self.drawn = self.drawn, Drawn()
        self.on_step(step, drawn)

    def on_step(self, step: int, drawn: Drawn) -> None:
        """What is done with the draws of a step; for sub-classes."""

    def _note_mask(self, module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        if module.training:  # a unit of exactly 0 does not show its mask, and needs none
            self.drawn.masks.append((output.detach() != 0).to(output.dtype) / (1 - module.p))


class Replay(Recording):
    """Lets a port take each step of the run on the same draws, side by side.

    Attributes:
        port: it, from the first step on.
        told: what the port reported of each step.
    """

    port: Port

    def __init__(self, make: Callable[[list[Tensor], list[Tensor]], Port]) -> None:
        super().__init__()
        self.make = make
        self.told: list[dict[str, Any]] = []

    @ganlab.hookimpl
    def before_run(self, run: Any) -> None:
        super().before_run(run)
        self.port = self.make(self.initial["generator"], self.initial["discriminator"])

    def on_step(self, step: int, drawn: Drawn) -> None:
        self.told.append(self.port.step(Tape(drawn.reals, drawn.latents, drawn.masks)))


def distance(ours: list[Tensor], theirs: list[Any]) -> float:
    """||a - b|| / ||b||, all tensors of a player being one vector."""
    a, b = (torch.cat([torch.as_tensor(part).detach().double().flatten() for part in parts]) for parts in (ours, theirs))
    return float((a - b).norm() / b.norm())
