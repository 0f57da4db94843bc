"""What the trick measures itself: on the device, without waiting for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ganlab import Run, Turn

SAMPLES = 256  # of a batch: enough for its spread, and the cost stays the same for large batches
GREATEST = 1e6  # what is written down for an infinite number: the engine stops a run whose metrics are not finite


def spread(samples: Tensor) -> Tensor:
    """How far samples lie from each other: the root of their variances' sum over all features. ``(batch, *data)`` to a scalar."""
    return samples.detach()[:SAMPLES].flatten(1).var(0, correction=0).sum().sqrt()


def variety(real: Tensor, fake: Tensor) -> Tensor:
    """The fakes' spread as a share of the real samples', from both spreads; 1 where it is not a number."""
    return torch.nan_to_num(fake / real, nan=1.0, posinf=GREATEST)


@dataclass
class Gauge:
    """Measures in one step out of ``every``: each player's gradient in its first turn, and the variety of what D is shown.

    Attributes:
        every: steps.
        clipped: the players whose gradients another trick measures.
        due: for each player, the step from which on it is measured again.
        now: for each player, the step of its latest measurement.
        spreads: of D's turns in that step, by side.
    """

    every: int
    clipped: frozenset[str] = frozenset()
    due: dict[str, int] = field(default_factory=lambda: {"generator": 0, "discriminator": 0})
    now: dict[str, int] = field(default_factory=lambda: {"generator": 0, "discriminator": 0})
    spreads: dict[str, Tensor] = field(default_factory=dict)

    def measure(self, run: Run, turn: Turn) -> None:
        """Called before each update; does nothing in most of them."""
        role = turn.role
        first = turn.step != self.now[role]
        if first:
            if turn.step < self.due[role]:
                return
            self.now[role], self.due[role] = turn.step, turn.step + self.every
            if role not in self.clipped:
                norm = torch.nan_to_num(turn.player.gradient_norm(), nan=GREATEST, posinf=GREATEST)
                run.record(f"health/{role}_gradient_norm", norm)
        if role == "discriminator":
            self._compare(run, turn, first)

    def _compare(self, run: Run, turn: Turn, first: bool) -> None:
        """Record the variety once both sides have been shown, in one turn or in two; once in a step."""
        if first:
            self.spreads = {}
        for side, samples in (("real", turn.real), ("fake", turn.fake)):
            if samples is not None and side not in self.spreads and len(samples) > 1:
                self.spreads[side] = spread(samples)
                if len(self.spreads) == 2:
                    run.record("health/variety", variety(self.spreads["real"], self.spreads["fake"]))

    def state(self) -> dict[str, Any]:
        """As a checkpoint can hold it: between two steps."""
        return {"due": dict(self.due)}
