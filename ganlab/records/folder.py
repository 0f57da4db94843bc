"""A run's folder, which is the source of truth: what is in it, how it is written, how runs are found again. Imports no torch."""

from __future__ import annotations

import errno
import json
import re
import secrets
import shutil
import time
from pathlib import Path

from filelock import FileLock, Timeout

from ganlab.errors import UsageError, cannot_be_written
from ganlab.records import metric_lines
from ganlab.records.run_info import RunInfo
from ganlab.storage.atomic import beside, write_text, writing

CHECKPOINT = re.compile(r"step_(\d+)\.safetensors")
SHEET_OR_CHECKPOINT = re.compile(r"step_(\d+)\.(png|safetensors)")


class RunFolder:
    """The files of one run. Everything but the two ``.jsonl`` files, which grow, is written whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = path / "recipe.toml"
        self.metrics = path / "metrics.jsonl"
        self.system = path / "system.jsonl"
        self.samples = path / "samples"
        self.checkpoints = path / "checkpoints"
        self.generator = path / "generator.safetensors"
        self.evaluation = path / "evaluation.json"
        self._lock = FileLock(path / ".lock")

    def __fspath__(self) -> str:
        return str(self.path)

    @classmethod
    def create(cls, runs: Path, recipe: str) -> RunFolder:
        """A new folder ``<time>-<recipe>-<short id>`` in ``runs``.

        Raises:
            UsageError: it cannot be made.
        """
        path = runs / f"{time.strftime('%Y%m%d-%H%M%S')}-{recipe}-{secrets.token_hex(2)}"
        try:
            path.mkdir(parents=True)
            (path / "samples").mkdir()
            (path / "checkpoints").mkdir()
        except OSError as error:
            hint = "give the recipe's file a shorter name" if error.errno == errno.ENAMETOOLONG else "choose another place with --runs-dir"
            raise UsageError(f"the run's folder {path} cannot be made: {error.strerror}", hint) from error
        return cls(path)

    def discard(self) -> None:
        """Remove what a run left that never began."""
        self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)

    def lock(self) -> None:
        """Keep other processes from writing this run until :meth:`unlock` or the process's end.

        Raises:
            UsageError: another process is writing it, or its folder cannot be written.
        """
        try:
            self._lock.acquire(timeout=0)
        except Timeout:  # an OSError itself
            raise UsageError(
                f"run {self.path.name} is being written by another process", "wait for it, or stop it with Ctrl-C where it runs"
            ) from None
        except OSError as error:
            reason = cannot_be_written(self.path, error)
            raise UsageError(reason.message, reason.hint) from error

    def unlock(self) -> None:
        """Let others write this run again."""
        self._lock.release()

    def locked_elsewhere(self) -> bool:
        """Whether another process is writing this run now."""
        if self._lock.is_locked:
            return False
        try:
            with self._lock.acquire(timeout=0):
                return False
        except (Timeout, OSError):
            return True

    def read_info(self) -> RunInfo:
        """The content of run.json.

        Raises:
            UsageError: it is missing or damaged.
        """
        return RunInfo.read(self.path / "run.json")

    def write_info(self, info: RunInfo) -> None:
        """Write run.json."""
        write_text(self.path / "run.json", info.as_json())

    def checkpoint_path(self, step: int) -> Path:
        """Where the checkpoint of ``step`` is or will be."""
        return self.checkpoints / f"step_{step:09d}.safetensors"

    def checkpoint_files(self) -> list[Path]:
        """All checkpoints, oldest first."""
        found = self.checkpoints.glob("step_*.safetensors") if self.checkpoints.is_dir() else iter(())
        return sorted((path for path in found if CHECKPOINT.fullmatch(path.name) and path.is_file()), key=step_of)

    def sheets(self) -> list[Path]:
        """All sheets of samples, oldest first."""
        found = [] if self.samples.is_symlink() else [path for path in self.samples.glob("step_*.png") if not path.is_symlink()]
        return sorted((path for path in found if SHEET_OR_CHECKPOINT.fullmatch(path.name) and path.is_file()), key=step_of)

    def lines(self) -> list[str]:
        """The whole lines of metrics.jsonl."""
        return metric_lines.whole_lines(self.metrics.read_bytes()) if self.metrics.is_file() else []

    def truncate(self, step: int) -> None:
        """Drop the metrics, sheets and checkpoints after ``step``, before a run goes on from there, and what was left half written.

        What was measured at the end goes, too: a run that goes on has not come to it.
        """
        for file in (self.metrics, self.system):
            if file.is_file():
                with writing(file):
                    kept = metric_lines.whole_lines(file.read_bytes(), step)
                write_text(file, "".join(line for line in kept if not metric_lines.is_final(line)))
        with writing(self.path):
            self.evaluation.unlink(missing_ok=True)
            for made in [*self.samples.glob("step_*.png"), *self.checkpoint_files()]:
                if SHEET_OR_CHECKPOINT.fullmatch(made.name) and step_of(made) > step:
                    made.unlink()
            for left in self._half_written():
                left.unlink(missing_ok=True)

    def _half_written(self) -> list[Path]:
        """What a process that was killed had written aside: under ganlab's names for that, and under the safetensors library's."""
        whole = [self.path / "run.json", self.recipe, self.metrics, self.system, self.generator, self.evaluation]
        ours = [*map(beside, whole), *self.samples.glob(".step_*.part"), *self.checkpoints.glob(".step_*.part")]
        return [path for path in [*ours, *self.path.glob(".tmp??????"), *self.checkpoints.glob(".tmp??????")] if path.is_file()]


def step_of(path: Path) -> int:
    """The step in a file's name: 1000 of ``step_000001000.png``."""
    return int(path.stem.removeprefix("step_"))


def append_line(path: Path, step: int, metrics: dict[str, float]) -> str:
    """Append one line of metrics, and return it. Numbers that are not finite are written as null: JSON has no word for them."""
    finite = {name: value if abs(value) < float("inf") else None for name, value in metrics.items()}
    line = json.dumps({"step": step, "time": round(time.time(), 3), "metrics": finite}) + "\n"
    with writing(path), open(path, "a", encoding="utf-8") as file:
        file.write(line)
    return line
