"""The metrics that the trick measures itself: gradient norms and variety. It computes on the device and does not wait for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ganlab import Run, Turn

SAMPLES = 256  # of a batch: enough to measure its spread, and the cost does not grow with the batch
MAX_LOGGED = 1e6  # logged for an infinite number, since the engine stops a run whose metrics are not finite


def spread(samples: Tensor) -> Tensor:
    """The spread of samples: the root of the sum of the variances of all features. ``(batch, *data)`` to a scalar."""
    return samples.detach()[:SAMPLES].flatten(1).var(0, correction=0).sum().sqrt()


def variety(real: Tensor, fake: Tensor) -> Tensor:
    """The spread of the fakes relative to that of the real samples, from both spreads; 1 if that is NaN."""
    return torch.nan_to_num(fake / real, nan=1.0, posinf=MAX_LOGGED)


@dataclass
class Gauge:
    """Measures once in ``every`` steps: the gradient norm of each player in its first turn, and the variety of the samples shown to D.

    Attributes:
        every: steps between measurements.
        clipped: the players whose gradient norms ``gradient_clipping`` logs.
        due: for each player, the step at which the next measurement is due.
        measured_in: for each player, the step of its latest measurement.
        spreads: the spreads in D's turns of that step, by side.
    """

    every: int
    clipped: frozenset[str] = frozenset()
    due: dict[str, int] = field(default_factory=lambda: {"generator": 0, "discriminator": 0})
    measured_in: dict[str, int] = field(default_factory=lambda: {"generator": 0, "discriminator": 0})
    spreads: dict[str, Tensor] = field(default_factory=dict)

    def measure(self, run: Run, turn: Turn) -> None:
        """Measure if a measurement is due. To be called before each update."""
        role = turn.role
        first_turn = turn.step != self.measured_in[role]
        if first_turn:
            if turn.step < self.due[role]:
                return
            self.measured_in[role], self.due[role] = turn.step, turn.step + self.every
            if role not in self.clipped:
                norm = torch.nan_to_num(turn.player.gradient_norm(), nan=MAX_LOGGED, posinf=MAX_LOGGED)
                run.record(f"health/{role}_gradient_norm", norm)
        if role == "discriminator":
            self._measure_variety(run, turn, first_turn)

    def _measure_variety(self, run: Run, turn: Turn, first_turn: bool) -> None:
        """Record the variety once D has been shown both sides, in one turn or in two; once in a step."""
        if first_turn:
            self.spreads = {}
        for side, samples in (("real", turn.real), ("fake", turn.fake)):
            if samples is not None and side not in self.spreads and len(samples) > 1:
                self.spreads[side] = spread(samples)
                if len(self.spreads) == 2:
                    run.record("health/variety", variety(self.spreads["real"], self.spreads["fake"]))

    def state(self) -> dict[str, Any]:
        """The state between two steps, as a checkpoint can hold it."""
        return {"due": dict(self.due)}

    def load(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        self.due = dict(state["due"])
        self.measured_in = {"generator": 0, "discriminator": 0}
