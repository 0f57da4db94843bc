"""The run folder, the source of truth of a run: its files, how they are written, and its lock. Imports no torch."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from ganlab.errors import GanlabError, UsageError, cannot_be_written
from ganlab.records import metric_lines
from ganlab.records.run_info import RunInfo
from ganlab.storage.atomic import temporary_path, write_errors, write_text
from ganlab.storage.reading import is_folder, is_regular, open_file

CHECKPOINT = re.compile(r"step_(\d+)\.safetensors")
SHEET_OR_CHECKPOINT = re.compile(r"step_(\d+)\.(png|safetensors)")


class RunFolder:
    """The files of one run. All writes are atomic, except to the two ``.jsonl`` files, which grow."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = path / "recipe.toml"
        self.metrics = path / "metrics.jsonl"
        self.system = path / "system.jsonl"
        self.samples = path / "samples"
        self.checkpoints = path / "checkpoints"
        self.generator = path / "generator.safetensors"
        self.evaluation = path / "evaluation.json"
        self.data_files = path / "data_files.json.gz"
        self._lock_path = path / ".lock"
        self._lock = FileLock(self._lock_path)

    def __fspath__(self) -> str:
        return str(self.path)

    @classmethod
    def create(cls, runs: Path, recipe: str) -> RunFolder:
        """A new folder ``<time>-<recipe>-<short id>`` in ``runs``.

        Raises:
            UsageError: the folder cannot be made.
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
        """Remove the folder of a run that did not start."""
        self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)

    def lock(self) -> None:
        """Keep other processes from writing this run, until :meth:`unlock` or until this process ends.

        Raises:
            UsageError: another process is writing this run, or its folder cannot be written.
        """
        if os.path.lexists(self._lock_path) and not is_regular(self._lock_path):
            raise UsageError(f"{self._lock_path} is no regular file, so the run cannot be locked", "remove it")
        while True:
            try:
                self._lock.acquire(timeout=0)
                return
            except Timeout:  # a subclass of OSError
                if self.locked_elsewhere():
                    raise UsageError(
                        f"run {self.path.name} is being written by another process", "wait for it, or stop it with Ctrl-C where it runs"
                    ) from None
                time.sleep(0.001)  # a reader looked at the lock just now
            except OSError as error:
                reason = cannot_be_written(self.path, error)
                raise UsageError(reason.message, reason.hint) from error

    def unlock(self) -> None:
        """Let other processes write this run again."""
        self._lock.release()

    def locked_elsewhere(self) -> bool:
        """Whether another process is writing this run now.

        A reader takes a shared lock for a moment. So readers do not mistake each other for the writer, whose lock is exclusive.
        """
        if self._lock.is_locked:
            return False
        try:
            with open_file(self._lock_path, math.inf) as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # nothing that ganlab has locked is there
            return False
        return False

    def read_info(self) -> RunInfo:
        """The content of run.json.

        Raises:
            UsageError: run.json is missing or damaged.
        """
        return RunInfo.read(self.path / "run.json")

    def write_info(self, info: RunInfo) -> None:
        """Write run.json."""
        write_text(self.path / "run.json", info.as_json())

    def checkpoint_path(self, step: int) -> Path:
        """The path of the checkpoint of ``step``, which need not exist."""
        return self.checkpoints / f"step_{step:09d}.safetensors"

    def checkpoint_files(self) -> list[Path]:
        """All checkpoints, oldest first."""
        paths = self.checkpoints.glob("step_*.safetensors") if is_folder(self.checkpoints) else iter(())
        return sorted((path for path in paths if CHECKPOINT.fullmatch(path.name) and is_regular(path)), key=step_of)

    def sheets(self) -> list[Path]:
        """All sheets of samples, oldest first."""
        paths = self.samples.glob("step_*.png") if is_folder(self.samples) else iter(())
        return sorted((path for path in paths if SHEET_OR_CHECKPOINT.fullmatch(path.name) and is_regular(path)), key=step_of)

    def lines(self) -> Iterator[str]:
        """The whole lines of metrics.jsonl; none where it cannot be read."""
        return metric_lines.readable_lines(self.metrics)

    def truncate(self, step: int) -> None:
        """Drop the metrics, sheets and checkpoints after ``step``, and temporary files, before the run resumes at ``step``.

        The final evaluation is dropped, too: a resumed run has not reached its end.
        """
        for file in (self.metrics, self.system):
            if os.path.lexists(file):
                if not is_regular(file):
                    raise GanlabError(
                        f"{file} is no regular file, so the run cannot be resumed", "remove it; that part of the record is lost"
                    )
                with write_errors(file):
                    lines = list(metric_lines.whole_lines(file, step))
                write_text(file, "".join(line for line in lines if not metric_lines.is_final(line)))
        with write_errors(self.path):
            self.evaluation.unlink(missing_ok=True)
            for file in [*self.sheets(), *self.checkpoint_files()]:
                if step_of(file) > step:
                    file.unlink()
            written = (self.path / "run.json", self.recipe, self.metrics, self.system, self.generator, self.evaluation)
            folders = [folder for folder in (self.samples, self.checkpoints) if is_folder(folder)]
            for file in [*map(temporary_path, written), *(part for folder in folders for part in folder.glob(".step_*.part"))]:
                file.unlink(missing_ok=True)


def step_of(path: Path) -> int:
    """The step in a file's name: 1000 of ``step_000001000.png``."""
    return int(path.stem.removeprefix("step_"))


def append_line(path: Path, step: int, metrics: dict[str, float]) -> str:
    """Append one line of metrics, and return it. Numbers that are not finite become null: JSON cannot hold them."""
    finite = {name: value if abs(value) < float("inf") else None for name, value in metrics.items()}
    line = json.dumps({"step": step, "time": round(time.time(), 3), "metrics": finite}) + "\n"
    with write_errors(path), open(path, "a", encoding="utf-8") as file:
        file.write(line)
    return line
