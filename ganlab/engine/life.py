"""The life of a run: opened, carried out to whatever end, resumed."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ganlab.components import Dataset
from ganlab.engine import checkpoint, loop, rescue, sameness
from ganlab.engine.build import build, load_weights, make_data
from ganlab.engine.device import DTYPES, find_device
from ganlab.engine.export import save_generator
from ganlab.engine.folder import RunFolder, RunSummary, write_text
from ganlab.engine.hooks import Trick, call_each
from ganlab.engine.memory import memory_errors_in_words
from ganlab.engine.provenance import birth_certificate
from ganlab.engine.run import Run
from ganlab.engine.seeding import default_generators_restored
from ganlab.engine.signals import ended_by_signals
from ganlab.errors import DataUnavailable, GanlabError, UsageError
from ganlab.recipe import Lookup, Recipe, load_recipe, to_toml


@dataclass
class Place:
    """Where a run finds and leaves things, and whom it tells.

    Attributes:
        runs: the folder of all runs.
        data: the root of the data sets; None is ``GANLAB_DATA``, else the user's cache folder.
        tell: called with one clear paragraph for each thing a person must know.
        watchers: objects with run hooks that are no part of the recipe, such as a live display; called after its tricks.
    """

    runs: Path = Path("runs")
    data: Path | None = None
    tell: Callable[[str], None] | None = None
    watchers: list[object] = field(default_factory=list)

    def data_root(self) -> Path:
        """The folder that data is read from and downloaded into."""
        if self.data is not None:
            return self.data.expanduser()
        if os.environ.get("GANLAB_DATA"):
            return Path(os.environ["GANLAB_DATA"]).expanduser()
        from platformdirs import user_cache_path

        return user_cache_path("ganlab") / "data"


def open_run(source: str | Path, library: Lookup, overrides: list[str], place: Place) -> Run:
    """A new run of a recipe, built and ready for :func:`execute`. Nothing is left behind when it cannot be.

    Where the data cannot be had and the recipe has a ``[fallback]``, that is laid over it, announced and recorded.

    Raises:
        UsageError: anything about the recipe, the data or the machine that makes the run impossible.
    """
    found = find_data(source, library, overrides, place)
    run = assemble(found.recipe, found.dataset, place, in_folder=True)
    if found.why:
        run.info["data"] |= {"fallback_from": found.wanted, "why": found.why}
        run.announce(
            f"'{found.wanted}' cannot be had here, so this run takes its recipe's fallback, the data set '{run.recipe.data.use}' "
            f"({len(found.dataset):,} samples, {run.total_steps:,} steps). {found.why}"
        )
    return run


@dataclass(frozen=True)
class Found:
    """A recipe whose data are there: as it is, or with its fallback laid over it, and then why."""

    recipe: Recipe
    dataset: Dataset
    wanted: str  # the data set that the recipe asks for first
    why: str  # the fallback was taken; empty when it was not


def find_data(source: str | Path, library: Lookup, overrides: list[str], place: Place, download: bool = True) -> Found:
    """The recipe and its data, or its fallback and the fallback's data.

    Raises:
        DataUnavailable: the data cannot be had, and the recipe names no fallback.
    """
    recipe = load_recipe(source, library, overrides)
    try:
        return Found(recipe, make_data(recipe, place.data_root(), download), recipe.data.use, "")
    except DataUnavailable as error:
        if not recipe.has_fallback:
            raise
        other = load_recipe(source, library, overrides, fallback=True)
        why = f"{error.message.rstrip('.')}. {error.hint}".strip()
        return Found(other, make_data(other, place.data_root(), download), recipe.data.use, why)


def assemble(recipe: Recipe, dataset: Dataset, place: Place, in_folder: bool) -> Run:
    """Build a new run, in a folder of its own or (to check a recipe, or to try a trick) nowhere."""
    device = find_device(recipe.train.device)
    if recipe.train.threads:
        torch.set_num_threads(recipe.train.threads)
    folder = RunFolder.create(place.runs, recipe.name) if in_folder else None
    run = Run(recipe, folder, device, DTYPES[recipe.train.dtype], {})
    try:
        run.info |= birth_certificate(run, dataset)
        with memory_errors_in_words(recipe, device):
            prepare(run, dataset, place)
            if recipe.train.init_from:
                load_weights(run, recipe.train.init_from)
        if folder is not None:
            folder.lock()
            write_text(folder.recipe, to_toml(recipe))
            run.save_info()
    except BaseException:
        if folder is not None:
            folder.discard()
        raise
    return run


def prepare(run: Run, dataset: Dataset, place: Place) -> None:
    """What a new and a resumed run have in common: all their parts."""
    if place.tell is not None:
        run.tell = place.tell
    taken = {choice.name for choice in run.recipe.tricks}
    watchers = []
    for watcher in place.watchers:
        kind = type(watcher).__name__
        name = next(name for number in itertools.count(1) if (name := kind if number == 1 else f"{kind} {number}") not in taken)
        taken.add(name)
        watchers.append(Trick(name, watcher, name))
    with default_generators_restored(run.device):
        build(run, dataset, watchers)
    run.info["total_steps"] = run.total_steps


def reopen_run(summary: RunSummary, library: Lookup, place: Place, changed: bool = False) -> Run:
    """A run that stopped, put back to its last checkpoint and ready for :func:`execute`.

    Args:
        summary, library, place: the run, what its recipe may pick from, and where it finds things.
        changed: go on although its recipe is no longer the one it was trained with.

    Raises:
        UsageError: it is finished, or has no checkpoint, or another process is writing it, or its recipe or data have changed.
    """
    folder = summary.folder
    folder.lock()
    try:
        return _reopen(folder, library, place, changed)
    except BaseException:
        folder.unlock()
        raise


def _reopen(folder: RunFolder, library: Lookup, place: Place, may_change: bool) -> Run:
    info, name = folder.read_info(), folder.path.name
    if info.get("status") == "finished":
        raise UsageError(f"run {name} is finished", f"to train its networks on, start a new run with `--set train.init_from={folder.path}`")
    path, state, skipped = newest_valid(folder)
    recipe = load_recipe(folder.recipe, library, [])
    changes = sameness.changes(state["recipe"], sameness.kept(recipe))
    if changes and not may_change:
        raise UsageError(
            f"{folder.recipe} is not the recipe that run {name} was trained with up to {path.stem}: {'; '.join(changes)}",
            f"put it back as it was, or go on with it as it is now: `ganlab resume {folder.path} --changed`",
        )
    dataset = make_data(recipe, place.data_root())
    device = find_device(recipe.train.device)
    if recipe.train.threads:
        torch.set_num_threads(recipe.train.threads)
    if info["data"].get("fingerprint") != dataset.fingerprint():
        raise UsageError(
            f"the data of run {name} have changed since it began", "put them back as they were; a resumed run must see the same data"
        )
    run = Run(recipe, folder, device, DTYPES[recipe.train.dtype], {})
    run.info = _merged(info, birth_certificate(run, dataset))
    run.opening = True
    with memory_errors_in_words(recipe, device):
        prepare(run, dataset, place)
        run.restore(path, state)
    run.opening = False
    for text in skipped:
        run.announce(text)
    if changes:
        run.announce(f"From step {run.step} on this run goes on with a changed recipe: {'; '.join(changes)}.")
    run.training_seconds = info.get("training_seconds", 0.0)
    run.resumed_from = run.step
    changed = run.info["resumed"][-1]["changed"].keys() - {"host"}
    if changed:
        run.announce(
            f"This run goes on under other circumstances than it began ({', '.join(sorted(changed))}; see run.json), "
            "so its numbers may differ in the last digits from those of a run that never stopped."
        )
    return run


def newest_valid(folder: RunFolder) -> tuple[Path, dict[str, Any], list[str]]:
    """The newest checkpoint that can be read, its state, and a sentence for each newer one that is skipped because it is damaged.

    Raises:
        UsageError: there is none.
    """
    skipped: list[str] = []
    for path in reversed(folder.checkpoint_files()):
        try:
            return path, checkpoint.load(path), [f"{text} It is skipped, and the run goes on from {path.name}." for text in skipped]
        except GanlabError as error:
            skipped.append(f"{error.message}.")
    anew = f"start it anew: `ganlab run {folder.recipe}`"
    if skipped:
        raise UsageError(f"run {folder.path.name} has no checkpoint that can be read: {' '.join(skipped)}", anew)
    raise UsageError(f"run {folder.path.name} has no checkpoint to go on from", anew)


def execute(run: Run, leave: Callable[[Run], None] | None = None) -> str:
    """Train, to the end of the budget, to a signal or to a failure; ``after_run`` is called and run.json written in any case.

    Args:
        run: it.
        leave: what a second Ctrl-C does; None raises KeyboardInterrupt.

    Returns:
        ``"finished"`` or ``"interrupted"``.

    Raises:
        GanlabError, or whatever a step raised: status is then ``"failed"``.
    """
    run.info |= {"status": "running", "started": run.info.get("started") or time.time()}
    with ended_by_signals(run, leave):
        return _execute(run)


def _execute(run: Run) -> str:
    """Train, and close the run whatever comes."""
    status = "failed"
    try:
        with default_generators_restored(run.device):
            _train(run)
        status = "finished" if run.step >= run.total_steps else "interrupted"
    except KeyboardInterrupt:  # the second one: leave at once, with the last checkpoint
        status = "interrupted"
        raise
    except BaseException as error:
        run.info["failure"] = f"{type(error).__name__}: {error}"
        raise
    finally:
        _close(run, status)
    return status


def _train(run: Run) -> None:
    run.save_info()
    run.hooks.before_run(run=run)
    run.start_clock()
    if run.resumed_from is None:
        run.sample_sheet()
    while True:
        try:
            loop.train(run)
            run.guard.settle(due=True)
            break
        except Exception as error:
            if not rescue.rescued(run, error):
                raise
    run.stop_clock()
    if run.step < run.total_steps:
        run.save_checkpoint()
    save_generator(run)


def _close(run: Run, status: str) -> None:
    run.info |= {"status": status, "ended": time.time()}
    with suppress(GanlabError, OSError):  # a full disk must not hide what went wrong first
        run.save_info()
    with default_generators_restored(run.device):
        raised = call_each(run.hooks.after_run, run=run, status=status)
    for error in raised:
        run.tell(f"The run is {status}, but at its end {error}")
    with suppress(GanlabError, OSError):
        run.save_info()
    if run.folder is not None:
        run.folder.unlock()


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """run.json of a resumed run: as it was, with a note of the circumstances it goes on under."""
    changed = {key: new[key] for key in ("ganlab", "versions", "device_name", "threads", "host") if old.get(key) != new.get(key)}
    resumed = [*old.get("resumed", []), {"time": time.time(), "changed": changed}]
    process = {key: new[key] for key in ("pid", "host", "boot", "process_started")}
    return old | {"resumed": resumed, "failure": None, "signal": None, "ended": None} | process
