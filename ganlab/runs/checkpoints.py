"""The checkpoints of a run: when they are due, how they are written, and how the run is put back to one."""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ganlab.errors import did_you_mean
from ganlab.game.game import Game
from ganlab.records.record import Record
from ganlab.runs import retention
from ganlab.runs.clock import Clock
from ganlab.runs.retention import Best
from ganlab.runs.state import load_state, state_of
from ganlab.storage import checkpoint
from ganlab.storage.atomic import flush


class Checkpoints:
    """Saves the state of a run, and puts it back.

    Attributes:
        best: the checkpoint with the best value of the metric ``train.keep_best``.
    """

    def __init__(self, game: Game, record: Record, clock: Clock) -> None:
        self.game, self.record, self.clock = game, record, clock
        self.best = Best(game.recipe.train)
        self._patience = 60 * (game.recipe.train.checkpoint_minutes or math.inf)  # seconds
        self._told_of_best = False
        self._saved_at = math.inf  # when the last checkpoint was written, by the clock; training has not begun

    @property
    def every(self) -> int:
        """Steps between checkpoints."""
        return self.interval(self.game.total_steps)

    def interval(self, total_steps: int) -> int:
        """Steps between checkpoints with that budget: as the recipe says, else an epoch, but at most about forty in a run."""
        return self.game.recipe.train.checkpoint_every or max(self.game.steps_per_epoch, total_steps // 40)

    @property
    def overdue(self) -> bool:
        """Whether the last checkpoint is older than ``train.checkpoint_minutes``."""
        return time.monotonic() - self._saved_at > self._patience

    def start_training(self) -> None:
        """Training begins now: the time before does not count."""
        self.clock.start(self.game.step)
        self._saved_at = time.monotonic()

    def save(self) -> None:
        """Write a checkpoint of this moment between two steps; older ones go once it is on disk."""
        game, folder = self.game, self.record.folder
        if folder is None:
            return
        game.guard.check_weights(game.step)
        path = folder.checkpoint_path(game.step)
        flush(folder.metrics)  # a checkpoint vouches for the lines before it
        self.best.consider(game.step)
        self._check_best()
        self.write(path)
        self._saved_at = time.monotonic()
        retention.note(self.record.info, folder, path, self.best)
        self.record.save()
        retention.prune(folder, game.recipe.train, self.best)
        game.hooks.after_checkpoint(step=game.step, path=path)

    def _check_best(self) -> None:
        """Announce once that no metric of the name in ``train.keep_best`` has been logged, when a checkpoint is written."""
        best = self.best
        if best.metric and best.latest is None and not self._told_of_best:
            self._told_of_best = True
            nearest = did_you_mean(best.metric, best.others)
            self.record.announce(f"train.keep_best = '{best.metric}': no metric of that name has been logged up to now; {nearest}.")

    def write(self, path: Path) -> None:
        """Write the state as it is to ``path``, and nothing else."""
        checkpoint.save(path, state_of(self.game, self.record.journal, self.best))

    def restore(self, path: Path, state: dict[str, Any], other_tricks: bool, changed: Collection[str]) -> None:
        """Load the state of the checkpoint ``path``, see :func:`load_state`. Metrics, sheets and checkpoints after it are dropped."""
        load_state(self.game, self.best, path, state, other_tricks, changed)
        folder = self.record.folder
        self.record.truncate(self.game.step)
        if folder is not None:
            self.record.journal.read(folder.lines())
            if path.parent == folder.checkpoints:
                self._catch_up(path, state["journal"])
        self.start_training()

    def _catch_up(self, path: Path, journal: dict[str, Any]) -> None:
        """Do what a process that was killed right after it wrote the checkpoint ``path`` has left out, and check the lines before it."""
        record, folder = self.record, self.record.folder
        assert folder is not None
        retention.note(record.info, folder, path, self.best)
        retention.prune(folder, self.game.recipe.train, self.best)
        if record.journal.state_dict() != journal:
            record.announce(
                f"{folder.metrics} is not what this run wrote up to step {self.game.step}: lines are missing or damaged. Training "
                "does not read them and is not affected, but that part of the record is lost."
            )
