"""The runs in a folder: how they are listed, found by name, and deleted. Imports no torch."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from ganlab.errors import UsageError, did_you_mean
from ganlab.records.folder import RunFolder
from ganlab.records.run_info import RunInfo

CLOCKS = 2.0  # seconds by which two readings of when a process, or the machine, was started may differ


SHORTEST = 4  # characters of a run's id that stand for it: the short id at its end


def process_lives(info: RunInfo) -> bool:
    """Whether the process that ``info`` records is there still: its number may belong to another by now, or to another boot."""
    import psutil

    if info.pid is None or info.boot is None or info.process_started is None:
        return False
    try:
        same_boot = bool(abs(psutil.boot_time() - info.boot) < CLOCKS)
        process = psutil.Process(info.pid)
        same_start = bool(abs(process.create_time() - info.process_started) < CLOCKS)
        ended = process.status() == psutil.STATUS_ZOMBIE  # and nobody has asked how: in a container there may be nobody who does
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
        """As run.json has it; a run that says "running" but whose process is gone was killed: "interrupted"."""
        status = self.info.status
        return "interrupted" if status == "running" and self._abandoned() else status

    @property
    def changes(self) -> dict[str, str]:
        """With what it went on where it was resumed with another recipe, by the step up to which it had the one before."""
        changes: dict[str, str] = {}
        for resumption in self.info.resumed:
            if "recipe" in resumption:
                step, words = str(resumption.get("step")), "; ".join(resumption["recipe"])
                changes[step] = f"{changes[step]}; then {words}" if step in changes else words
        return changes

    def _abandoned(self) -> bool:
        """Whether nobody writes this run any more, as far as this machine can tell: of another machine's run it cannot."""
        if self.info.host != socket.gethostname() or self.folder.locked_elsewhere():
            return False
        return not process_lives(self.info)  # some shared file systems have no locks that work


def list_runs(runs: Path) -> list[RunSummary]:
    """The runs in the folder ``runs``, oldest first; folders that are no runs are left out, and those of :func:`damaged_runs`."""
    found = []
    for folder in _folders(runs):
        with contextlib.suppress(UsageError):
            found.append(RunSummary(folder, folder.read_info()))
    return sorted(found, key=_began)


def damaged_runs(runs: Path) -> list[str]:
    """What is wrong with the runs in the folder ``runs`` whose run.json cannot be read."""
    found = []
    for folder in _folders(runs):
        try:
            folder.read_info()
        except UsageError as error:
            found.append(error.message)
    return found


def _folders(runs: Path) -> list[RunFolder]:
    return [RunFolder(path) for path in (sorted(runs.iterdir()) if runs.is_dir() else []) if (path / "run.json").is_file()]


def _began(run: RunSummary) -> float:
    """When a run began: names tell the second only."""
    return run.info.created or 0.0


def find_run(runs: Path, name: str) -> RunSummary:
    """The run called ``name``: a folder's path, a run's id, four or more characters of its beginning or end, or ``last``.

    Raises:
        UsageError: none is, or more than one.
    """
    if name and (Path(name) / "run.json").is_file():
        folder = RunFolder(Path(name))
        return RunSummary(folder, folder.read_info())
    known = list_runs(runs)
    if name == "last" and known:
        return known[-1]
    for folder in map(RunFolder, (Path(name), runs / name)):
        if name and folder.checkpoints.is_dir():
            return RunSummary(folder, folder.read_info())  # which says why it cannot
    matching = [run for run in known if run.id == name]
    if not matching and len(name) >= SHORTEST:
        matching = [run for run in known if run.id.startswith(name) or run.id.endswith(name)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise UsageError(
            f"more than one run in {runs} is called '{name}': {', '.join(run.id for run in matching)}", "type more of the name"
        )
    hint = did_you_mean(name, [run.id for run in known][-5:]) if known else "there are none yet: `ganlab run mnist_adaptive` makes one"
    raise UsageError(f"no run called '{name}' in {runs}", hint)


def delete_run(run: RunSummary) -> None:
    """Remove a run's folder with all that is in it.

    Raises:
        UsageError: another process is writing it, or it cannot be removed.
    """
    run.folder.lock()  # which says why it cannot
    run.folder.unlock()
    try:
        shutil.rmtree(run.folder.path)
    except OSError as error:
        raise UsageError(f"{run.folder.path} cannot be removed: {error}") from error
