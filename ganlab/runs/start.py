"""Starting a run: load the recipe, find its data, build all parts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import torch

from ganlab.components import Dataset
from ganlab.errors import DataUnavailable, UsageError
from ganlab.game.build import build
from ganlab.game.factories import make_data
from ganlab.game.hooks import Trick
from ganlab.game.out_of_memory import memory_errors_in_words
from ganlab.game.random_streams import default_generators_restored
from ganlab.recipe import Lookup, Recipe, display, load_recipe, to_toml
from ganlab.records import data_files, plugin_files, trust
from ganlab.records.folder import RunFolder
from ganlab.roles import ROLES
from ganlab.runs.checkpoint_content import read_checkpoint
from ganlab.runs.device import DTYPES, find_device
from ganlab.runs.evaluations import Evaluations
from ganlab.runs.provenance import provenance_of
from ganlab.runs.retention import newest_valid
from ganlab.runs.run import Run
from ganlab.runs.workspace import Workspace
from ganlab.speed.choose import speed_up
from ganlab.storage.atomic import write_text


def open_run(source: str | Path, library: Lookup, overrides: list[str], workspace: Workspace) -> Run:
    """Build a new run of a recipe, ready for :func:`ganlab.runs.training.execute`. If that fails, nothing is left behind.

    Where the data are not available and the recipe has a ``[fallback]``, the fallback is used, announced and recorded.

    Raises:
        UsageError: the recipe, the data or the machine make the run impossible.
    """
    choice = find_data(source, library, overrides, workspace)
    run = assemble(choice.recipe, choice.dataset, workspace, in_folder=True)
    if choice.why:
        run.info["data"] |= {"fallback_from": choice.wanted, "why": choice.why}
        run.announce(
            f"'{choice.wanted}' is not available here, so this run uses its recipe's fallback, the data set '{run.recipe.data.use}' "
            f"({len(choice.dataset):,} samples, {run.total_steps:,} steps). {choice.why}"
        )
    return run


@dataclass(frozen=True)
class RecipeWithData:
    """A recipe, with its fallback applied where that is needed, and its data set."""

    recipe: Recipe
    dataset: Dataset
    wanted: str  # the data set that the recipe names first
    why: str  # the fallback was applied; empty where it was not


def find_data(source: str | Path, library: Lookup, overrides: list[str], workspace: Workspace, download: bool = True) -> RecipeWithData:
    """Load the recipe and its data, or the recipe with its fallback and the fallback's data.

    Raises:
        DataUnavailable: the data are not available, and the recipe has no fallback.
    """
    recipe = load_recipe(source, library, overrides)
    try:
        return RecipeWithData(recipe, make_data(recipe, workspace.data_root(), download), recipe.data.use, "")
    except DataUnavailable as error:
        if not recipe.has_fallback:
            raise
        other = load_recipe(source, library, overrides, fallback=True)
        why = f"{error.message.rstrip('.')}. {error.hint}".strip()
        return RecipeWithData(other, make_data(other, workspace.data_root(), download), recipe.data.use, why)


def assemble(recipe: Recipe, dataset: Dataset, workspace: Workspace, in_folder: bool) -> Run:
    """Build a new run, in a folder of its own or (to check a recipe, or to try a trick) nowhere."""
    device, dtype = find_device(recipe.train.device), DTYPES[recipe.train.dtype]
    if recipe.train.threads:
        torch.set_num_threads(recipe.train.threads)
    folder = RunFolder.create(workspace.runs, recipe.name) if in_folder else None
    try:
        with memory_errors_in_words(recipe, device):
            run = Run(recipe, folder, device, dtype)
            run.written.info = provenance_of(recipe, folder, device, dataset)
            if workspace.sweep:
                run.info["set"] = workspace.sweep
            prepare(run, dataset, workspace)
            if recipe.train.init_from:
                load_weights(run, recipe.train.init_from)
        if folder is not None:
            folder.lock()
            run.info["plugins"] = plugin_files.copy_into_run(folder, recipe)
            write_text(folder.recipe, to_toml(recipe))
            data_files.note(folder, dataset)
            run.info["signature"] = trust.sign(folder, run.info["plugins"])
            run.save_info()
    except BaseException:
        if folder is not None:
            folder.discard()
        raise
    return run


def prepare(run: Run, dataset: Dataset, workspace: Workspace) -> None:
    """Build all parts of a run, new or resumed."""
    if workspace.tell is not None:
        run.tell = workspace.tell
    watchers = _named_watchers(run.recipe, [*workspace.tricks, *workspace.watchers])
    run.info["script_tricks"] = [trick.name for trick in watchers[: len(workspace.tricks)]]
    with default_generators_restored(run.device):
        build_game(run, dataset, watchers)
        timetable = run.timetable
        timetable.evaluations = Evaluations(
            run.game,
            run.written,
            timetable.sampler,
            timetable.clock,
            timetable.write_metrics,
            lambda: run.interrupted,
            workspace.cache_root(),
        )
    run.info["total_steps"] = run.total_steps


def build_game(run: Run, dataset: Dataset, watchers: list[Trick]) -> None:
    """Build the run's game. Its networks are compiled or captured where the recipe asks for it."""
    build(run.game, dataset, watchers, {"run": run})
    speed_up(run.game)


def _named_watchers(recipe: Recipe, watchers: list[object]) -> list[Trick]:
    """Wrap objects with run hooks that the recipe does not list as tricks. Each is named after its class, with a number where needed."""
    taken = {choice.name for choice in recipe.tricks}
    tricks = []
    for watcher in watchers:
        kind = watcher.__name__ if isinstance(watcher, type) else type(watcher).__name__
        name = next(name for number in itertools.count(1) if (name := kind if number == 1 else f"{kind} {number}") not in taken)
        taken.add(name)
        tricks.append(Trick(name, watcher, name))
    return tricks


def load_weights(run: Run, path: Path) -> None:
    """``train.init_from``: both networks' weights from a checkpoint file, or from a run's last checkpoint.

    Raises:
        UsageError: there is none, or it is of other networks.
    """
    if path.is_dir():
        folder = RunFolder(path)
        if not folder.checkpoint_files():
            raise UsageError(f"train.init_from = '{display(path)}': the run has no checkpoint", "name a run's folder or a checkpoint file")
        path, state, skipped = newest_valid(folder)
        for text in skipped:
            run.announce(f"train.init_from: {text}")
    elif path.is_file():
        state = read_checkpoint(path)
    else:
        raise UsageError(
            f"train.init_from = '{display(path)}': there is no such file or folder",
            "name a run's folder or a checkpoint file; `ganlab runs` lists runs",
        )
    for role in ROLES:
        try:
            run.players[role].network.load_state_dict(state[role]["network"])
        except RuntimeError as error:
            detail = "; ".join(line.strip() for line in str(error).splitlines()[1:4])
            raise UsageError(f"train.init_from: the {role} of {path} is another network than the recipe's: {detail}") from error
    run.info["init_from"] = str(path)
