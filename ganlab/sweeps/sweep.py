"""Runs that belong together: which there are to be, which are there, and that all of them are of one recipe. Imports no torch.

A set has a folder, ``sets/NAME`` in the folder of all runs: ``set.json`` (what it is), ``recipes/`` (each combination's resolved recipe,
which its runs are made from: a file that is edited while they go on changes none of them), ``logs/`` (what each run has printed) and
``summary.json``. Which runs are its own stands in their ``run.json``, under ``set``.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import time
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ganlab.errors import UsageError, cannot_be_written
from ganlab.recipe import Recipe, differences, flatten, shipped_recipes, to_toml
from ganlab.recipe.grid import Combination, named
from ganlab.records.folder import RunFolder
from ganlab.records.summaries import RunSummary, list_runs
from ganlab.storage.atomic import write_text

FOLDER = "sets"
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)


@dataclass(frozen=True)
class Definition:
    """What makes a set this one and no other; seeds and values of the grid may be added to it.

    Attributes:
        source: the recipe: a shipped one's name, or the path of a file, absolute.
        overrides: of ``--set``, but for where runs are recorded; in the alphabet's order.
        keys: of the grid, in the alphabet's order.
    """

    source: str
    overrides: tuple[str, ...]
    keys: tuple[str, ...]

    @classmethod
    def of(cls, source: str, path: Path, overrides: Iterable[str], keys: Iterable[str]) -> Definition:
        """Of a command: ``path`` is the file that ``source`` means."""
        kept = (text.strip() for text in overrides if not text.strip().startswith("tracking."))
        shipped = shipped_recipes().get(source) == path
        return cls(source if shipped else str(path.resolve()), tuple(sorted(kept)), tuple(sorted(keys)))

    def name(self, recipe: str) -> str:
        """The name of the set that is not given one."""
        return f"{recipe}-{_digest(json.dumps(self.as_json()))[:6]}"

    def as_json(self) -> dict[str, Any]:
        """As ``set.json`` holds it."""
        return {"source": self.source, "overrides": list(self.overrides), "keys": list(self.keys)}


@dataclass
class Member:
    """One run of a set, there or to be made.

    Attributes:
        combination, seed: what it is.
        run: its folder, where it has one.
        state: ``"missing"``, ``"lost"`` (stopped before its first checkpoint), ``"interrupted"``, ``"elsewhere"`` (another process is
            writing it), ``"running"`` (a process of this one is), ``"finished"`` or ``"failed"``.
        message: why it failed or stopped.
    """

    combination: Combination
    seed: int
    run: RunSummary | None = None
    state: str = "missing"
    message: str = ""

    @property
    def name(self) -> str:
        """``generator.optimizer.lr=0.0001, seed 3``."""
        return ", ".join([*([self.combination.name] if self.combination.values else []), f"seed {self.seed}"])

    @property
    def file(self) -> str:
        """The beginning of the names of its files."""
        return f"{_file(self.combination.values)}-seed-{self.seed}"

    def look(self) -> None:
        """Read what has become of it."""
        if self.run is None:
            self.state = "missing"
            return
        self.run = RunSummary(self.run.folder, self.run.folder.read_info())
        self.state = state_of(self.run)
        if self.state == "failed":
            self.message = self.message or next(iter((self.run.info.failure or "").splitlines()), "")


@dataclass
class RunSet:
    """A set.

    Attributes:
        name: its name.
        runs: the folder of all runs.
        definition: what it is.
        members: its runs in the order in which they are made: every combination with the first seed, then with the second ...
        others: runs of its own that the command does not ask for.
    """

    name: str
    runs: Path
    definition: Definition
    members: list[Member]
    others: list[RunSummary] = field(default_factory=list)
    _lock: FileLock | None = field(default=None, repr=False)

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.runs / FOLDER / self.name

    def told(self, member: Member) -> dict[str, Any]:
        """What a member's run.json says of it."""
        return {"name": self.name, "combination": member.combination.values, "seed": member.seed}

    def recipe_of(self, member: Member) -> Path:
        """The file that a member's run is made from."""
        return self.path / "recipes" / f"{_file(member.combination.values)}.toml"

    def log_of(self, member: Member) -> Path:
        """What a member's process prints goes there."""
        return self.path / "logs" / f"{member.file}.txt"

    def open(self, command: Sequence[str]) -> None:
        """Make its folder, keep other processes from carrying it out, and write what it is made from.

        Raises:
            UsageError: another process carries it out, the name is another set's, or the folder cannot be written.
        """
        try:
            for folder in ("recipes", "logs"):
                (self.path / folder).mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.path / ".lock")
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(
                f"set {self.name} is being run by another process", "wait for it, or stop it with Ctrl-C where it runs"
            ) from None
        except OSError as error:
            reason = cannot_be_written(self.path, error)
            raise UsageError(reason.message, reason.hint) from error
        content = {"name": self.name, "command": shlex.join(command), "written": time.time(), **self.definition.as_json()}
        write_text(self.path / "set.json", json.dumps(content, indent=2) + "\n")
        for member in self.members:
            if member.state in ("missing", "lost"):
                write_text(self.recipe_of(member), to_toml(member.combination.recipe))

    def close(self) -> None:
        """Let others carry it out."""
        if self._lock is not None:
            self._lock.release()

    def take(self, run: RunSummary) -> Member | None:
        """Give a run to the member that it is of; None where it is none's."""
        membership = run.info.set
        if membership.get("name") != self.name or "combination" not in membership:
            return None
        key = (named(membership["combination"]), membership.get("seed"))
        for member in self.members:
            if (member.combination.name, member.seed) == key:
                member.run = run  # the newest: another was made only where the one before was lost
                return member
        return None


def find_set(
    name: str, runs: Path, source: str, overrides: Sequence[str], found: Sequence[Combination], seeds: Sequence[int], command: Sequence[str]
) -> RunSet:
    """A set, and which of its runs are there.

    Args:
        name: empty for the one that follows from the other arguments.
        runs: the folder of all runs.
        source, overrides: the recipe as it was typed, and what ``--set`` says.
        found: the combinations of the grid. seeds: of each.
        command: what was typed, to say what to type next.

    Raises:
        UsageError: the name is no name, or another set's; or its runs are of another recipe than it is now.
    """
    if name and not NAME.fullmatch(name):
        raise UsageError(f"--name {name!r}: a set's name has letters, digits, '_', '-' and '.' in it, and begins with a letter or a digit")
    first = found[0]
    definition = Definition.of(source, first.recipe.path, overrides, first.values)
    one = RunSet(name or definition.name(first.recipe.name), runs, definition, [Member(each, seed) for seed in seeds for each in found])
    _refuse_another(one)
    for run in list_runs(runs):
        if one.take(run) is None and run.info.set.get("name") == one.name:
            one.others.append(run)
    for member in one.members:
        if member.run is not None:
            _refuse_changed(one, member, member.run, command)
            member.look()
    return one


def state_of(run: RunSummary) -> str:
    """What is to be done about a run, as :class:`Member` has it."""
    status = run.status
    if status in ("finished", "failed"):
        return status
    if status == "running" or run.folder.locked_elsewhere():
        return "elsewhere"
    return "interrupted" if run.folder.checkpoint_files() else "lost"


def changes(run: RunSummary, combination: Combination, seed: int) -> list[str]:
    """In what a run's recipe is another than it would be now, in words; empty when it is not.

    Raises:
        UsageError: its recipe cannot be read.
    """
    recipe = combination.fallback if run.info.data.get("fallback_from") and combination.fallback else combination.recipe
    try:
        then = tomllib.loads(run.folder.recipe.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{run.folder.recipe} cannot be read: {error}", f"`ganlab delete {run.id}` removes the run; then it is made anew"
        ) from error
    now = tomllib.loads(to_toml(recipe))  # a file has tables in an order of its own
    now["train"]["seed"] = seed
    before, after = flatten(then), flatten(now)
    words = [*differences.describe_changes(before, after).values(), *_changed_files(run, recipe)]
    words += [f"no change at step {step} ({text})" for step, text in run.changes.items()]
    key = "train.init_from"
    return words + ([f"{key} = {after.get(key, '')} (was {before.get(key, '')})"] if before.get(key) != after.get(key) else [])


def _changed_files(run: RunSummary, recipe: Recipe) -> list[str]:
    then = {said["name"]: said["sha256"] for said in run.info.plugins}
    return [f"the plugin file {file.path.name}" for file in recipe.plugins if then.get(file.path.name) != file.sha256]


def _refuse_another(one: RunSet) -> None:
    """See that a set of this name is the same."""
    path = one.path / "set.json"
    if not path.is_file():
        return
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        known = {key: said[key] for key in one.definition.as_json()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged: {error}", "remove it: it is written anew, and the runs know which set they are of") from error
    if known != one.definition.as_json():
        raise UsageError(
            f"set {one.name} is another one; it was made by `{said.get('command', '')}`",
            "only its seeds and the values of its grid may be other ones; choose another --name",
        )


def _refuse_changed(one: RunSet, member: Member, run: RunSummary, command: Sequence[str]) -> None:
    """See that a run is of the recipe as it is now.

    Raises:
        UsageError: it is not.
    """
    found = changes(run, member.combination, member.seed)
    longer = all(text.removeprefix("no ").startswith(differences.BUDGET) for text in found)  # the recipe's file may be another by now, too
    again = shlex.join([*_without_name(command), "--name", f"{one.name}-2"])
    if found and (run.changes or (longer and any(run.folder.path.glob("recipe.before_step_*.toml")))):
        raise UsageError(
            f"run {run.id} of set {one.name} has gone on with another recipe (`ganlab resume`); to be one of the set it would need "
            f"{'; '.join(found)}",
            f"`ganlab delete {shlex.quote(str(run.folder.path))}` removes it, and the same command makes it anew; "
            f"or begin a set with the recipe as it is now: {again}",
        )
    if found:
        raise UsageError(
            f"run {run.id} of set {one.name} was made with another recipe than it would be now, and cannot be compared with new runs: "
            f"{'; '.join(found)}",
            f"put the recipe back as it was; or begin a set with it as it is now: {again}",
        )


def _without_name(command: Sequence[str]) -> list[str]:
    words = list(command)
    if "--name" in words:
        place = words.index("--name")
        del words[place : place + 2]
    return words


def _file(values: dict[str, Any]) -> str:
    """The beginning of a combination's files: readable, and another for each."""
    short = "_".join(f"{key.rpartition('.')[2]}={value}" for key, value in values.items())
    return f"{re.sub(r'[^A-Za-z0-9.=_-]+', '-', short)[:60] or 'as-it-is'}-{_digest(named(values))[:6]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def new_runs(runs: Path, known: set[str]) -> list[RunSummary]:
    """The runs whose folders have come since the last call; ``known`` is kept for the next one."""
    found = []
    for path in runs.iterdir() if runs.is_dir() else []:
        if path.name not in known and (path / "run.json").is_file():
            try:
                folder = RunFolder(path)
                found.append(RunSummary(folder, folder.read_info()))
            except UsageError:
                continue  # being written for the first time, perhaps
            known.add(path.name)
    return found
