"""What the trick remembers of earlier intervals. Signs read it; only the trick writes it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ganlab.components import Role
from ganlab_health.interval import Interval

MIN_POINTS = 9  # of the past
POINTS_PER_PATIENCE = 20  # of the past, at most
UNTRAINED = 0.9  # of the loss of a coin toss: a player whose loss was never below has learned nothing yet
POOR_VARIETY = 0.5  # fakes with a smaller spread, relative to the real samples', do not look like the data yet


class CapHits(NamedTuple):
    """How often the adaptive rule hit its cap in the interval that ends at ``step``."""

    step: int
    hits: float


class PastPoint(NamedTuple):
    """Metrics at an earlier step."""

    step: int
    loss: float  # G's, without penalties
    margin: float  # mean score of real samples minus mean score of fakes
    variety: float  # spread of the fakes relative to the real samples'; -1 if not measured


class Updates(NamedTuple):
    """How many updates a player has had, and the step at which the total last grew."""

    total: int
    step: int


@dataclass
class History:
    """Facts about all intervals so far.

    Attributes:
        cap_hits: hits of the adaptive rule's cap, over the last ``patience`` steps.
        past: metrics over at least the last two ``patience``.
        updates: of each player.
        bounded: D's loss was never negative.
        saturating: G's loss on logits was negative at least once.
        started: one of the losses was below chance at least once, or the fakes had some spread.
        started_before: ``started``, before the latest interval.
        greatest_variety: of the fakes, at most 1.
    """

    cap_hits: list[CapHits] = field(default_factory=list)
    past: list[PastPoint] = field(default_factory=list)
    updates: dict[Role, Updates] = field(default_factory=lambda: {"generator": Updates(0, 0), "discriminator": Updates(0, 0)})
    bounded: bool = True
    saturating: bool = False
    started: bool = False
    started_before: bool = field(default=False, compare=False)
    greatest_variety: float = 0.0

    def add(self, interval: Interval, patience: int) -> None:
        """Add an interval, and drop what is older than needed."""
        self._add_losses(interval)
        self._add_variety(interval)
        self.cap_hits = [entry for entry in self.cap_hits if entry.step > interval.step - patience]
        self._add_to_past(interval, patience)
        for role, updates in self.updates.items():
            total = int(interval.metrics.get(f"updates/{role}", 0))
            if total != updates.total:
                self.updates[role] = Updates(total, interval.step)

    def _add_losses(self, interval: Interval) -> None:
        if interval.raw_discriminator_loss is not None:
            self.bounded = self.bounded and interval.raw_discriminator_loss >= 0
        self.saturating |= interval.generator_loss is not None and interval.generator_loss < 0
        self.started_before = self.started
        d_loss, g_loss, variety = interval.discriminator_loss, interval.generator_loss, interval.metrics.get("health/variety")
        if d_loss is not None and not self.started:
            self.started = (
                d_loss < UNTRAINED * math.log(4)
                or (g_loss is not None and not is_high(g_loss, UNTRAINED, self.saturating))
                or (variety is not None and variety >= POOR_VARIETY)
            )

    def _add_variety(self, interval: Interval) -> None:
        variety = interval.metrics.get("health/variety")
        if variety is not None and interval.metrics.get("updates/generator") != 0:
            self.greatest_variety = max(self.greatest_variety, min(variety, 1.0))

    def _add_to_past(self, interval: Interval, patience: int) -> None:
        if interval.raw_generator_loss is None:
            return
        if self.past and interval.step - self.past[-1].step < patience / POINTS_PER_PATIENCE:
            return
        margin = interval.metrics.get("score/real", 0.0) - interval.metrics.get("score/fake", 0.0)
        variety = interval.metrics.get("health/variety", -1.0)
        self.past.append(PastPoint(interval.step, interval.raw_generator_loss, margin, variety))
        while len(self.past) > MIN_POINTS and self.past[1].step <= interval.step - 2 * patience:
            del self.past[0]

    def past_is_long(self, patience: int) -> bool:
        """Whether the past covers twice ``patience``."""
        return len(self.past) >= MIN_POINTS and self.past[-1].step - self.past[0].step >= 2 * patience

    def state(self) -> dict[str, Any]:
        """The history as a checkpoint can hold it."""
        return {
            "hits": [list(entry) for entry in self.cap_hits],
            "idle": {role: list(updates) for role, updates in self.updates.items()},
            "past": [list(point) for point in self.past],
            "bounded": self.bounded,
            "saturating": self.saturating,
            "started": self.started,
            "varied": self.greatest_variety,
        }

    def load(self, state: dict[str, Any], step: int) -> None:
        """Restore what :meth:`state` returned. ``step`` is the last step of the latest interval."""
        self.cap_hits = [CapHits(*entry) for entry in state["hits"]]
        self.past = [PastPoint(*point) for point in state["past"]]
        # Older checkpoints have no "idle".
        self.updates = {role: Updates(*state.get("idle", {}).get(role, (0, step))) for role in self.updates}
        self.bounded, self.saturating = state["bounded"], state["saturating"]
        self.started, self.greatest_variety = state["started"], state["varied"]


def is_high(loss: float, share: float, saturating: bool) -> bool:
    """Whether a generator's loss on logits is above ``share`` of that of a coin toss: log 2, or -log 2 for the saturating loss."""
    return loss >= -math.log(2) / share if saturating else loss >= share * math.log(2)
