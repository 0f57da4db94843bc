"""A sweep: many runs of one recipe, which differ in their seeds and in options. Its folder is ``sets/NAME``. Imports no torch.

A sweep has the folder ``sets/NAME`` in the folder of all runs:

- ``set.json``: the command, and what defines the sweep.
- ``recipes/``: the resolved recipe of each combination. Runs are made from these copies: editing the original changes no run.
- ``logs/``: the output of each child process.
- ``summary.json``: the results.

Each run records in its own ``run.json``, under ``set``, which sweep it belongs to.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ganlab.errors import UsageError, cannot_be_written
from ganlab.recipe import shipped_recipes, to_toml
from ganlab.recipe.differences import TRACKER, is_part_of
from ganlab.recipe.grid import Combination, combination_name
from ganlab.records.run_info import ACTIVE
from ganlab.records.summaries import RunSummary
from ganlab.redaction import redacted_document, redacted_value
from ganlab.storage.atomic import write_text

FOLDER = "sets"


@dataclass(frozen=True)
class SweepDefinition:
    """What identifies a sweep. Seeds and grid values are not part of it, so more of them can be added later.

    Attributes:
        source: the recipe: the name of a shipped one, or the absolute path of a file.
        overrides: the texts of ``--set``, without the tracker's; in alphabetical order.
        keys: the keys of the grid, in alphabetical order.
    """

    source: str
    overrides: tuple[str, ...]
    keys: tuple[str, ...]

    @classmethod
    def of(cls, source: str, path: Path, overrides: Iterable[str], keys: Iterable[str]) -> SweepDefinition:
        """The definition that a command asks for. ``path`` is the recipe file that ``source`` refers to."""
        kept = (text.strip() for text in overrides if not is_part_of(text.partition("=")[0].strip(), TRACKER))
        is_shipped = shipped_recipes().get(source) == path
        return cls(source if is_shipped else str(path.resolve()), tuple(sorted(kept)), tuple(sorted(keys)))

    def default_name(self, recipe: str) -> str:
        """The name of the sweep where ``--name`` is not given: the recipe's name and a digest."""
        return f"{recipe}-{_digest(json.dumps(self.as_json()))[:6]}"

    def as_json(self) -> dict[str, Any]:
        """The definition as ``set.json`` holds it."""
        return {"source": self.source, "overrides": list(self.overrides), "keys": list(self.keys)}


@dataclass
class SweepRun:
    """One run of a sweep, which may not exist yet.

    Attributes:
        combination, seed: what identifies it.
        summary: the run on disk; None while there is none.
        state: ``"missing"``, ``"lost"`` (stopped before its first checkpoint), ``"interrupted"``, ``"elsewhere"`` (written by a process
            that does not belong to this command), ``"running"`` (in a child process of this command), ``"finished"`` or ``"failed"``.
        message: why it failed or stopped.
    """

    combination: Combination
    seed: int
    summary: RunSummary | None = None
    state: str = "missing"
    message: str = ""

    @property
    def name(self) -> str:
        """The run in words: ``generator.optimizer.lr=0.0001, seed 3``."""
        return ", ".join([*([self.combination.name] if self.combination.values else []), f"seed {self.seed}"])

    @property
    def file_stem(self) -> str:
        """How the names of its files begin."""
        return f"{_file_stem(self.combination.values)}-seed-{self.seed}"

    def refresh(self) -> None:
        """Read the state from the run's folder.

        Raises:
            UsageError: its ``run.json`` cannot be read.
        """
        if self.summary is None:
            self.state = "missing"
            return
        self.summary = RunSummary(self.summary.folder, self.summary.folder.read_info())
        self.state = state_of(self.summary)
        if self.state == "failed":
            self.message = self.message or next(iter((self.summary.info.failure or "").splitlines()), "")


def state_of(summary: RunSummary) -> str:
    """The state of a run on disk, as :class:`SweepRun` names it."""
    status = summary.status
    if status in ("finished", "failed"):
        return status
    if status in ACTIVE or summary.folder.locked_elsewhere():
        return "elsewhere"
    return "interrupted" if summary.folder.checkpoint_files() else "lost"


@dataclass
class Sweep:
    """A sweep and its runs.

    Attributes:
        name: the name of its folder.
        runs_dir: the folder of all runs.
        definition: what identifies it.
        runs: its runs in training order: every combination with the first seed, then with the second, and so on.
        extra_runs: runs on disk that belong to the sweep, but have a seed or a grid value that the command does not ask for.
    """

    name: str
    runs_dir: Path
    definition: SweepDefinition
    runs: list[SweepRun]
    extra_runs: list[RunSummary] = field(default_factory=list)
    _lock: FileLock | None = field(default=None, repr=False)

    @property
    def path(self) -> Path:
        """The sweep's folder."""
        return self.runs_dir / FOLDER / self.name

    def membership_of(self, run: SweepRun) -> dict[str, Any]:
        """What the ``run.json`` of one of its runs records under ``set``."""
        return {"name": self.name, "combination": run.combination.values, "seed": run.seed}

    def recipe_file(self, run: SweepRun) -> Path:
        """The recipe that a run is made from."""
        return self.path / "recipes" / f"{_file_stem(run.combination.values)}.toml"

    def log_file(self, run: SweepRun) -> Path:
        """The output of a run's child process."""
        return self.path / "logs" / f"{run.file_stem}.txt"

    def open(self, command: Sequence[str]) -> None:
        """Create and lock the sweep's folder, and write ``set.json`` and the recipes.

        Raises:
            UsageError: another process runs the sweep, or the folder cannot be written.
        """
        try:
            for folder in ("recipes", "logs"):
                (self.path / folder).mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.path / ".lock")
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(
                f"sweep {self.name} is being run by another process", "wait for it, or stop it with Ctrl-C where it runs"
            ) from None
        except OSError as error:
            reason = cannot_be_written(self.path, error)
            raise UsageError(reason.message, reason.hint) from error
        content = {
            "name": self.name,
            "command": shlex.join(map(redacted_value, command)),
            "written": time.time(),
            **self.definition.as_json(),
        }
        write_text(self.path / "set.json", json.dumps(redacted_document(content), indent=2) + "\n")
        for run in self.runs:
            if run.state in ("missing", "lost"):
                write_text(self.recipe_file(run), to_toml(run.combination.recipe))

    def close(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._lock.release()

    def assign(self, summary: RunSummary) -> SweepRun | None:
        """Store a run on disk with the run of the sweep that it is; None where the command does not ask for it, or it is of no sweep."""
        membership = summary.info.set
        if membership.get("name") != self.name or "combination" not in membership:
            return None
        key = (redacted_value(combination_name(membership["combination"])), membership.get("seed"))
        for run in self.runs:
            if (redacted_value(run.combination.name), run.seed) == key:  # as run.json has it
                run.summary = summary  # the newest one: a second folder exists only where the first run was lost
                return run
        return None


def _file_stem(values: dict[str, Any]) -> str:
    """How the file names of a combination begin: readable, and unique by a digest."""
    short = "_".join(f"{key.rpartition('.')[2]}={redacted_value(str(value))}" for key, value in values.items())
    return f"{re.sub(r'[^A-Za-z0-9.=_-]+', '-', short)[:60] or 'as-it-is'}-{_digest(combination_name(values))[:6]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
