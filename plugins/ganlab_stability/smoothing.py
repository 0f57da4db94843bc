"""Softer targets for the discriminator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ganlab.errors import UsageError
from ganlab.hookspecs import hookimpl

if TYPE_CHECKING:
    from ganlab import Player, Run, Turn

Label = Annotated[float, Field(ge=0, le=1)]


@dataclass
class LabelSmoothing:
    """Ask the discriminator for less than certainty (Salimans et al. 2016, arXiv:1606.03498, section 3.4: one-sided, real only).

    Sets D's targets; the generator's stays its own. Needs a loss with label targets, such as bce.

    Options:
        real: D's target on real images.
        fake: D's target on fakes; 0 is one-sided smoothing, which the paper recommends.
    """

    real: Label = 0.9
    fake: Label = 0.0

    def __post_init__(self) -> None:
        if self.real <= self.fake:
            raise ValueError(f"real = {self.real} must be greater than fake = {self.fake}")

    @hookimpl
    def after_build(self, run: Run, player: Player) -> None:
        loss = run.losses["discriminator"]
        if not loss.label_targets:
            raise UsageError(
                f"label_smoothing has no effect on {loss.owner}, which has no label targets", "use the loss bce, or remove label_smoothing"
            )

    @hookimpl
    def before_turn(self, turn: Turn) -> None:
        if turn.role == "discriminator":
            turn.real_target, turn.fake_target = self.real, self.fake
