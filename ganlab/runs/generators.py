"""The generator of a run, from its end or from a checkpoint, with the data set that draws pictures of its samples."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.components import Dataset
from ganlab.errors import GanlabError, UsageError
from ganlab.game.blame import blamed
from ganlab.game.factories import make_data
from ganlab.game.random_streams import default_generators_restored
from ganlab.generators.description import description, drawn_as
from ganlab.generators.loaded import LoadedGenerator, rebuilt
from ganlab.pictures import image_grid, scatter, tiled
from ganlab.recipe import Lookup, Recipe
from ganlab.records import generator_step, trust
from ganlab.records.folder import RunFolder, step_of
from ganlab.records.request import RunRequest
from ganlab.records.summaries import RunSummary
from ganlab.runs.device import DTYPES
from ganlab.runs.retention import newest_valid
from ganlab.runs.run import Run
from ganlab.runs.saved_recipe import recipe_of
from ganlab.runs.start import build_game
from ganlab.storage import checkpoint


@dataclass
class RunGenerator:
    """A run's generator, and the data set that draws pictures of its samples.

    Attributes:
        generator: on the CPU and in eval mode.
        dataset: None where the range of the data is enough to draw, or where the data set is not available.
    """

    generator: LoadedGenerator
    dataset: Dataset | None = None

    @property
    def draws_points(self) -> bool:
        """Whether samples are points, all drawn in one picture, and not images."""
        return len(self.generator.info["spec"]["output_shape"]) == 1

    def sheet(self, samples: Tensor, columns: int | None = None) -> np.ndarray:
        """``samples``, ``(count, *data shape)``, in one picture with this number of ``columns``: uint8, ``(height, width, 3)``."""
        dataset, limits = self.dataset, self.generator.info["range"]
        if dataset is None:
            return scatter(samples, samples) if self.draws_points else image_grid(samples, limits and tuple(limits), columns)
        with blamed("the data set, in picture(),"):
            if columns is None or self.draws_points:
                return dataset.picture(samples)
            if hasattr(dataset, "columns"):
                dataset = copy.copy(dataset)
                dataset.columns = columns
                return dataset.picture(samples)
            return tiled([dataset.picture(sample[None]) for sample in samples], columns)

    def single(self, sample: Tensor) -> np.ndarray:
        """One sample, ``(*data shape)``, as a picture of its own."""
        if self.dataset is None or drawn_as(self.dataset) == "images":
            limits = self.generator.info["range"]
            return image_grid(sample[None], limits and tuple(limits), 1, pad=0)
        with blamed("the data set, in picture(),"):
            return self.dataset.picture(sample[None])


def open_generator(
    summary: RunSummary,
    library: Lookup,
    request: RunRequest,
    data_root: Path,
    tell: Callable[[str], None],
    point: str = "",
    draw: bool = True,
) -> RunGenerator:
    """Load the generator of a run that has ended, or of its checkpoint ``point``.

    Args:
        summary: the run.
        library: the components that its recipe may pick.
        request: ``trust`` is needed for the code and the paths in a run of another account; ``command`` is quoted in errors.
        data_root: the folder of the data sets; nothing is downloaded.
        tell: called with one paragraph for each thing that a person must know.
        point: ``"last"``, ``"best"`` or a step; empty: ``generator.safetensors``.
        draw: whether samples will be drawn, for which the data set may be needed.

    Raises:
        UsageError: there is no such generator, or the run was made by another account and is not trusted.
        GanlabError: the generator cannot be read, or needs a component that is not installed.
    """
    folder, info = summary.folder, summary.folder.read_info()
    typed, request = (
        request,
        replace(request, trust=request.trust or trust.is_own(folder, info)),
    )  # the run's copy of a plugin file is enough
    if point:
        return generator_at_checkpoint(find_checkpoint(summary, point, tell), recipe_of(folder, info, library, request), library, data_root)
    if not folder.generator.is_file():
        raise _no_generator(summary, typed)
    state = checkpoint.load(folder.generator, "generator")
    recipe = recipe_of(folder, info, library, request) if _needs_files(state, library, request) else None
    generator = rebuilt(folder.generator, state, library)
    outdated = generator_step.describe_outdated_generator(summary, generator.info["step"])
    if outdated:
        later = generator_step.last_checkpoint_command(summary, typed)
        tell(f"{outdated}: that one is used.{f' To use its last checkpoint: {later}' if later else ''}")
    dataset = None
    if draw and generator.info["drawn_as"] == "data":
        try:
            dataset = make_data(recipe or recipe_of(folder, info, library, request), data_root, download=False)
        except UsageError as error:
            tell(f"The samples are drawn without their data set, which is not available: {error}")
    return RunGenerator(generator, dataset)


def _needs_files(state: dict[str, Any], library: Lookup, request: RunRequest) -> bool:
    """Whether the generator needs components of the run's plugin files, which :func:`recipe_of` loads if they may be trusted."""
    picked = (("network", state.get("use", "")), ("noise", dict(state.get("noise", {})).get("use", "")))
    return any(library.find(kind, str(name)) is None for kind, name in picked)  # type: ignore[arg-type]


def generator_at_checkpoint(path: Path, recipe: Recipe, library: Lookup, data_root: Path) -> RunGenerator:
    """Load the generator of the checkpoint ``path``. The whole recipe is built, because tricks may change the network."""
    state = checkpoint.load(path)
    dataset = make_data(recipe, data_root, download=False)
    with default_generators_restored(torch.device("cpu")):
        run = Run(recipe, None, torch.device("cpu"), DTYPES[recipe.train.dtype])
        run.tell = lambda text: None  # everything was announced when the run started
        build_game(run, dataset, [])
        try:
            run.players["generator"].network.load_state_dict(state["generator"]["network"])
            run.game.step = state["step"]
        except (KeyError, RuntimeError) as error:
            raise GanlabError(f"checkpoint {path} is of another generator than its recipe's: {str(error).splitlines()[0]}") from error
        return RunGenerator(rebuilt(path, description(run.game), library), dataset)


def find_checkpoint(summary: RunSummary, point: str, tell: Callable[[str], None]) -> Path:
    """The file of the checkpoint called ``point``: ``"last"``, ``"best"`` or a step.

    Raises:
        UsageError: there is no such checkpoint.
    """
    folder = summary.folder
    files = {step_of(path): path for path in folder.checkpoint_files()}
    existing = f"it has those of steps {', '.join(map(str, files))}, and `last`" if files else "it has none"
    if point == "last":
        path, _state, skipped = newest_valid(folder)
        for text in skipped:
            tell(text)
        return path
    if point == "best":
        name = Path((summary.info.best_checkpoint or {}).get("path", "")).name
        paths = [path for path in files.values() if path.name == name]
        if not paths:
            raise UsageError(f"run {summary.id} has no best checkpoint: its recipe names no metric in train.keep_best", existing)
        return paths[0]
    if not point.isdecimal():
        raise UsageError(f"'{point}' is not a checkpoint", "a checkpoint is `last`, `best` or a step")
    if int(point) not in files:
        raise UsageError(f"run {summary.id} has no checkpoint of step {point}", existing)
    return files[int(point)]


def _no_generator(summary: RunSummary, request: RunRequest) -> UsageError:
    """The error that says why a run has no generator, and what to do."""
    folder: RunFolder = summary.folder
    why = {"running": "it is still being trained", "interrupted": "it was killed", "failed": "it failed"}.get(summary.status, "it is gone")
    hints = [f"resume it: {RunRequest().command_line(folder.path)}"] if summary.status in ("interrupted", "failed") else []
    if folder.checkpoint_files():
        hints.append(f"use its last checkpoint: {generator_step.last_checkpoint_command(summary, request)}")
    return UsageError(f"run {summary.id} has no generator yet: {why}", "\nor ".join(hints) or "it has no checkpoint either, so far")
