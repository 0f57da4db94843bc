"""Retention: which checkpoints are kept (the latest, those at round steps, the best by a metric), and which is the newest valid one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganlab.errors import GanlabError, UsageError
from ganlab.recipe import Train
from ganlab.records.folder import RunFolder, step_of
from ganlab.records.run_info import InfoView, RunInfo
from ganlab.runs.checkpoint_content import read_checkpoint
from ganlab.storage.atomic import write_errors


class Best:
    """The checkpoint with the best value of a metric so far.

    A checkpoint's value is the metric's latest one when it is written.

    Attributes:
        metric: its name; empty for none.
        step, value: of the best checkpoint; None before there is one.
        latest: the metric's latest value.
        others: the names of all metrics that this process has logged.
    """

    def __init__(self, train: Train) -> None:
        self.metric, self.highest = train.keep_best, train.best_is == "highest"
        self.step: int | None = None
        self.value: float | None = None
        self.latest: float | None = None
        self.others: set[str] = set()

    def note(self, metrics: dict[str, float]) -> None:
        """Metrics have been logged."""
        self.others |= metrics.keys()
        value = metrics.get(self.metric)
        self.latest = value if value is not None and math.isfinite(value) else self.latest

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


def note(info: RunInfo, folder: RunFolder, path: Path, best: Best) -> None:
    """Let ``info``, the content of run.json, say that ``path`` is the last checkpoint, and which is the best."""
    info.last_checkpoint = path.relative_to(folder.path).as_posix()
    InfoView(info).pop("best_checkpoint", None)
    if best.step is not None:
        name = folder.checkpoint_path(best.step).relative_to(folder.path).as_posix()
        info.best_checkpoint = {"path": name, "metric": best.metric, "value": best.value}


def prune(folder: RunFolder, train: Train, best: Best) -> None:
    """Remove the checkpoints that no rule keeps any more."""
    round_step = train.keep_checkpoints_every
    with write_errors(folder.checkpoints):
        for path in folder.checkpoint_files()[: -train.keep_checkpoints]:
            if step_of(path) != best.step and not (round_step and step_of(path) % round_step == 0):
                path.unlink(missing_ok=True)


def newest_valid(folder: RunFolder, unfit: Mapping[Path, GanlabError] | None = None) -> tuple[Path, dict[str, Any], list[str]]:
    """The newest checkpoint that can be read, its state, and a sentence for each newer one that is damaged and was skipped.

    Args:
        unfit: checkpoints that could be read, but not loaded, each with the reason; they are skipped, too.

    Raises:
        UsageError: there is none.
    """
    damaged: list[str] = []
    for path in reversed(folder.checkpoint_files()):
        try:
            if unfit and path in unfit:
                raise unfit[path]
            return path, read_checkpoint(path), [f"{text} It is skipped; {path.name} is used." for text in damaged]
        except GanlabError as error:
            damaged.append(f"{error.message}.")
    again = f"to train it again: `ganlab run {folder.recipe}`"
    if damaged:
        raise UsageError(f"run {folder.path.name} has no checkpoint that can be read: {' '.join(damaged)}", again)
    raise UsageError(f"run {folder.path.name} has no checkpoint to resume from", again)
