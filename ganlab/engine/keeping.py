"""Which checkpoints are kept: the latest, those at round steps, and the best by a metric."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganlab.engine.folder import step_of
from ganlab.recipe import Train


class Best:
    """The checkpoint with the best value of a metric so far.

    A checkpoint's value is the metric's latest one when it is written.

    Attributes:
        metric: its name; empty for none.
        step, value: of the best checkpoint; None before there is one.
        latest: the metric's latest value.
    """

    def __init__(self, train: Train) -> None:
        self.metric, self.highest = train.keep_best, train.best_is == "highest"
        self.step: int | None = None
        self.value: float | None = None
        self.latest: float | None = None

    def note(self, metrics: dict[str, float]) -> None:
        """Metrics have been logged."""
        self.latest = metrics.get(self.metric, self.latest)

    def consider(self, step: int) -> None:
        """A checkpoint of ``step`` is about to be written."""
        if self.latest is not None and (self.value is None or (self.latest > self.value if self.highest else self.latest < self.value)):
            self.step, self.value = step, self.latest

    def state_dict(self) -> dict[str, Any]:
        """The best so far, and the latest value."""
        return {"step": self.step, "value": self.value, "latest": self.latest}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what ``state_dict`` gave."""
        self.step, self.value, self.latest = state["step"], state["value"], state["latest"]


def superseded(files: list[Path], train: Train, best: Best) -> list[Path]:
    """Those of ``files``, oldest first, that no rule keeps any more."""
    latest = files[-train.keep_checkpoints :]
    round_step = train.keep_checkpoints_every
    return [
        path for path in files if path not in latest and step_of(path) != best.step and not (round_step and step_of(path) % round_step == 0)
    ]
