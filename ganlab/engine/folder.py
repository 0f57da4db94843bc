"""A run's folder, which is the source of truth: what is in it, how it is written, how runs are found again. Imports no torch."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ganlab.engine import journal
from ganlab.errors import UsageError, cannot_be_written, did_you_mean

CLOCKS = 2.0  # seconds by which two readings of when a process, or the machine, was started may differ
#: What is read from run.json again, and of what type it is.
RECORD: dict[str, type] = {
    "status": str,
    "data": dict,
    "resumed": list,
    "announcements": list,
    "plugins": list,
    "script_tricks": list,
    "set": dict,
    "training_seconds": float,
    "total_steps": int,
}
SHORTEST = 4  # characters of a run's id that stand for it: the short id at its end
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

    def read_info(self) -> dict[str, Any]:
        """The content of run.json.

        Raises:
            UsageError: it is missing or damaged.
        """
        try:
            if not (self.path / "run.json").is_file():
                raise FileNotFoundError("[Errno 2] No such file or directory")
            info = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{self.path / 'run.json'} cannot be read: {error}", "is this a run's folder? `ganlab runs` lists them"
            ) from error
        if not isinstance(info, dict):
            raise UsageError(f"{self.path / 'run.json'} is not a run's")
        wrong = [key for key, kind in RECORD.items() if not isinstance(info.get(key, kind()), kind)]
        if wrong:
            raise UsageError(f"{self.path / 'run.json'} is damaged: its {wrong[0]} is {info[wrong[0]]!r}")
        if not all(map(_is_plugin_file, info.get("plugins", []))):
            raise UsageError(f"{self.path / 'run.json'} is damaged: its list of plugin files cannot be read")
        return {"data": {}, **info}

    def write_info(self, info: dict[str, Any]) -> None:
        """Write run.json."""
        write_text(self.path / "run.json", json.dumps(info, indent=2) + "\n")

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
        return journal.whole_lines(self.metrics.read_bytes()) if self.metrics.is_file() else []

    def truncate(self, step: int) -> None:
        """Drop the metrics, sheets and checkpoints after ``step``, before a run goes on from there, and what was left half written.

        What was measured at the end goes, too: a run that goes on has not come to it.
        """
        for file in (self.metrics, self.system):
            if file.is_file():
                with writing(file):
                    kept = journal.whole_lines(file.read_bytes(), step)
                write_text(file, "".join(line for line in kept if not journal.is_final(line)))
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


def _is_plugin_file(said: Any) -> bool:
    """Whether this is what run.json says of a plugin file."""
    return isinstance(said, dict) and {*said} == {"name", "from", "sha256"} and all(isinstance(text, str) for text in said.values())


def step_of(path: Path) -> int:
    """The step in a file's name: 1000 of ``step_000001000.png``."""
    return int(path.stem.removeprefix("step_"))


def beside(path: Path) -> Path:
    """Where ``path`` is written before it is renamed."""
    return path.with_name(f".{path.name}.part")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """A full disk, or a folder that is gone or may not be written, is one clear error."""
    try:
        yield
    except OSError as error:
        raise cannot_be_written(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one move."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one move."""
    aside = beside(path)
    with writing(path):
        try:
            aside.unlink(missing_ok=True)  # left by a process that was killed; or a link that somebody else has put there
            with open(aside, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                aside.unlink()
            raise


def flush(path: Path) -> None:
    """Make sure that what has been appended to ``path`` is on the disk."""
    if path.is_file():
        with writing(path), open(path, "rb+") as file:
            os.fsync(file.fileno())


def append_line(path: Path, step: int, metrics: dict[str, float]) -> str:
    """Append one line of metrics, and return it. Numbers that are not finite are written as null: JSON has no word for them."""
    finite = {name: value if abs(value) < float("inf") else None for name, value in metrics.items()}
    line = json.dumps({"step": step, "time": round(time.time(), 3), "metrics": finite}) + "\n"
    with writing(path), open(path, "a", encoding="utf-8") as file:
        file.write(line)
    return line


def process_lives(info: dict[str, Any]) -> bool:
    """Whether the process that ``info`` records is there still: its number may belong to another by now, or to another boot."""
    import psutil

    try:
        same_boot = bool(abs(psutil.boot_time() - info["boot"]) < CLOCKS)
        process = psutil.Process(info["pid"])
        same_start = bool(abs(process.create_time() - info["process_started"]) < CLOCKS)
        ended = process.status() == psutil.STATUS_ZOMBIE  # and nobody has asked how: in a container there may be nobody who does
        return same_boot and same_start and not ended and info["pid"] != os.getpid()
    except (psutil.Error, KeyError, TypeError, ValueError, OverflowError):
        return False


@dataclass(frozen=True)
class RunSummary:
    """A run, as ``ganlab runs`` lists it."""

    folder: RunFolder
    info: dict[str, Any]

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.folder.path.name

    @property
    def status(self) -> str:
        """As run.json has it; a run that says "running" but whose process is gone was killed: "interrupted"."""
        status = str(self.info.get("status", "unknown"))
        return "interrupted" if status == "running" and self._abandoned() else status

    @property
    def changes(self) -> dict[str, str]:
        """With what it went on where it was resumed with another recipe, by the step up to which it had the one before."""
        found: dict[str, str] = {}
        resumed = self.info.get("resumed")
        for one in resumed if isinstance(resumed, list) else ():
            if isinstance(one, dict) and isinstance(one.get("recipe"), list):
                step, words = str(one.get("step")), "; ".join(map(str, one["recipe"]))
                found[step] = f"{found[step]}; then {words}" if step in found else words
        return found

    def _abandoned(self) -> bool:
        """Whether nobody writes this run any more, as far as this machine can tell: of another machine's run it cannot."""
        if self.info.get("host") != socket.gethostname() or self.folder.locked_elsewhere():
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
    created = run.info.get("created")
    return float(created) if isinstance(created, int | float) else 0.0


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
