"""The runs in a folder: list them, find one by name, delete one. Imports no torch."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from ganlab.errors import UsageError, did_you_mean
from ganlab.records.folder import RunFolder
from ganlab.records.run_info import ACTIVE, RunInfo
from ganlab.storage.reading import is_folder

CLOCK_TOLERANCE = 2.0  # seconds by which two readings of a process's start, or of the boot time, may differ
SHORTEST = 4  # characters of a run's id that identify it: the short id at its end


def process_lives(info: RunInfo) -> bool:
    """Whether the process that ``info`` records is still alive. Its PID alone does not tell: it may belong to another process, or boot."""
    import psutil

    if info.pid is None or info.boot is None or info.process_started is None:
        return False
    try:
        same_boot = bool(abs(psutil.boot_time() - info.boot) < CLOCK_TOLERANCE)
        process = psutil.Process(info.pid)
        same_start = bool(abs(process.create_time() - info.process_started) < CLOCK_TOLERANCE)
        ended = process.status() == psutil.STATUS_ZOMBIE  # in a container there may be no parent that reaps it
        return same_boot and same_start and not ended and info.pid != os.getpid()
    except (psutil.Error, ValueError, OverflowError):
        return False


@dataclass(frozen=True)
class RunSummary:
    """A run, as ``ganlab runs`` lists it."""

    folder: RunFolder
    info: RunInfo

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.folder.path.name

    @property
    def status(self) -> str:
        """The status in run.json; but ``"interrupted"`` for a killed run, whose process is gone though it says "running" or "closing"."""
        status = self.info.status
        return "interrupted" if status in ACTIVE and self._abandoned() else status

    @property
    def is_active(self) -> bool:
        """Whether a process is writing the run, as far as can be told."""
        return self.status in ACTIVE

    @property
    def changes(self) -> dict[int, str]:
        """For each resume with a changed recipe: the changes in words, by the step after which they apply."""
        changes: dict[int, str] = {}
        for resumption in self.info.resumed:
            if "recipe" in resumption:
                step, words = resumption.get("step", 0), "; ".join(resumption["recipe"])
                changes[step] = f"{changes[step]}; then {words}" if step in changes else words
        return changes

    def _abandoned(self) -> bool:
        """Whether no process writes this run any more. For a run of another machine this cannot be told: False."""
        if self.info.host != socket.gethostname() or self.folder.locked_elsewhere():
            return False
        return not process_lives(self.info)  # locks do not work on some shared file systems


def list_runs(runs: Path) -> list[RunSummary]:
    """The runs in the folder ``runs``, oldest first, without those that :func:`damaged_runs` lists."""
    return read_runs(runs)[0]


def damaged_runs(runs: Path) -> list[str]:
    """One message for each run in the folder ``runs`` whose run.json cannot be read."""
    return read_runs(runs)[1]


def read_runs(runs: Path) -> tuple[list[RunSummary], list[str]]:
    """The runs in the folder ``runs``, oldest first, and one message for each whose run.json cannot be read."""
    summaries, messages = [], []
    for path in sorted(runs.iterdir()) if runs.is_dir() else []:
        if not os.path.lexists(path / "run.json"):
            continue
        try:
            folder = RunFolder(path)
            summaries.append(RunSummary(folder, folder.read_info()))
        except UsageError as error:
            messages.append(error.message)
    return sorted(summaries, key=lambda run: run.info.created or 0.0), messages  # the folder's name has whole seconds only


def find_run(runs: Path, name: str) -> RunSummary:
    """The run called ``name``: a folder's path, a run's id, four or more characters of its beginning or end, or ``last``.

    Raises:
        UsageError: no run matches, or more than one.
    """
    if name and os.path.lexists(Path(name) / "run.json"):
        folder = RunFolder(Path(name))
        return RunSummary(folder, folder.read_info())
    runs_here = list_runs(runs)
    if name == "last" and runs_here:
        return runs_here[-1]
    for folder in map(RunFolder, (Path(name), runs / name)):
        if name and is_folder(folder.checkpoints):
            return RunSummary(folder, folder.read_info())  # raises, with the reason
    matching = [run for run in runs_here if run.id == name]
    if not matching and len(name) >= SHORTEST:
        matching = [run for run in runs_here if run.id.startswith(name) or run.id.endswith(name)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise UsageError(
            f"more than one run in {runs} is called '{name}': {', '.join(run.id for run in matching)}", "type more of the name"
        )
    hint = (
        did_you_mean(name, [run.id for run in runs_here][-5:]) if runs_here else "there are none yet: `ganlab run mnist_adaptive` makes one"
    )
    raise UsageError(f"no run called '{name}' in {runs}", hint)


def delete_run(run: RunSummary) -> None:
    """Remove a run's folder with everything in it.

    Raises:
        UsageError: another process is writing the run, or the folder cannot be removed.
    """
    run.folder.lock()  # raises if another process is writing
    run.folder.unlock()
    try:
        shutil.rmtree(run.folder.path)
    except OSError as error:
        raise UsageError(f"{run.folder.path} cannot be removed: {error}") from error
