"""The life of a run: opened, and carried out to whatever end. :mod:`ganlab.runs.resume` is how it goes on after that."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from ganlab.components import Dataset
from ganlab.errors import DataUnavailable, GanlabError
from ganlab.game import loop
from ganlab.game.build import build, make_data
from ganlab.game.hooks import Trick, call_each
from ganlab.game.out_of_memory import memory_errors_in_words
from ganlab.game.precision import tf32
from ganlab.game.random_streams import default_generators_restored
from ganlab.generators.description import save_generator
from ganlab.recipe import Lookup, Recipe, load_recipe, to_toml
from ganlab.records import plugin_files, trust
from ganlab.records.folder import RunFolder
from ganlab.runs import rescue
from ganlab.runs.device import DTYPES, find_device
from ganlab.runs.evaluations import Evaluations
from ganlab.runs.init_from import load_weights
from ganlab.runs.metric_names import check_best
from ganlab.runs.provenance import birth_certificate
from ganlab.runs.run import Run
from ganlab.runs.signals import ended_by_signals
from ganlab.runs.workspace import Place
from ganlab.speed.allocator import keep_freed_memory
from ganlab.speed.thread_waiting import watching
from ganlab.storage.atomic import write_text


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
        run.info |= birth_certificate(run, dataset) | ({"set": place.member} if place.member else {})
        with memory_errors_in_words(recipe, device):
            prepare(run, dataset, place)
            if recipe.train.init_from:
                load_weights(run, recipe.train.init_from)
        if folder is not None:
            folder.lock()
            run.info["plugins"] = plugin_files.keep(folder, recipe)
            write_text(folder.recipe, to_toml(recipe))
            run.info["signature"] = trust.sign(folder, run.info["plugins"])
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
    for watcher in [*place.tricks, *place.watchers]:
        kind = watcher.__name__ if isinstance(watcher, type) else type(watcher).__name__
        name = next(name for number in itertools.count(1) if (name := kind if number == 1 else f"{kind} {number}") not in taken)
        taken.add(name)
        watchers.append(Trick(name, watcher, name))
    run.info["script_tricks"] = [trick.name for trick in watchers[: len(place.tricks)]]
    with default_generators_restored(run.device):
        build(run, dataset, watchers)
        run.evaluations = Evaluations(run, place.cache_root())
    check_best(run)
    run.info["total_steps"] = run.total_steps


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
    with ended_by_signals(run, leave), watching(torch.get_num_threads()):
        return _execute(run)


def _execute(run: Run) -> str:
    """Train, and close the run whatever comes."""
    status = "failed"
    keep_freed_memory()
    try:
        with default_generators_restored(run.device), tf32(run.recipe.train.tf32):
            _train(run)
        status = "finished" if run.step >= run.total_steps and not run.evaluations.cut_short else "interrupted"
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
    else:
        run.evaluations.catch_up()
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
    if run.step >= run.total_steps:
        run.evaluations.at_end()


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
