"""The generator of a run, from its end or from a checkpoint, with the data set that draws pictures of its samples."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganlab.components import Dataset
from ganlab.errors import GanlabError, UsageError
from ganlab.game.blame import blamed
from ganlab.game.factories import make_data
from ganlab.game.random_streams import default_generators_restored
from ganlab.generators.description import description, drawn_as
from ganlab.generators.loaded import LoadedGenerator, read_description, reason_of, rebuilt
from ganlab.pictures import are_images, image_grid, sheet, tiled
from ganlab.recipe import Lookup, Recipe
from ganlab.records import generator_step, trust
from ganlab.records.folder import RunFolder, step_of
from ganlab.records.request import RunRequest
from ganlab.records.summaries import RunSummary
from ganlab.runs.checkpoint_content import read_checkpoint
from ganlab.runs.device import DTYPES
from ganlab.runs.retention import newest_valid
from ganlab.runs.run import Run
from ganlab.runs.saved_recipe import recipe_of
from ganlab.runs.start import build_game
from ganlab.storage.reading import is_regular


@dataclass
class RunGenerator:
    """A run's generator, and the data set that draws pictures of its samples.

    Attributes:
        generator: on the CPU and in eval mode.
        load_data: loads the data set. Returns None where the range of the data is enough to draw, or where the data are not available.
    """

    generator: LoadedGenerator
    load_data: Callable[[], Dataset | None]

    @cached_property
    def dataset(self) -> Dataset | None:
        """The data set; loaded when the first picture is drawn."""
        return self.load_data()

    @property
    def draws_points(self) -> bool:
        """Whether samples are points, all drawn in one picture, and not images."""
        return not are_images(self.generator.info["spec"]["output_shape"])

    def sheet(self, samples: Tensor, columns: int | None = None) -> np.ndarray:
        """``samples``, ``(count, *data shape)``, in one picture with this number of ``columns``: uint8, ``(height, width, 3)``."""
        dataset = self.dataset
        if dataset is None:
            return sheet(samples, None, self.generator.info["range"], columns)
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
            return image_grid(sample[None], self.generator.info["range"], 1, pad=0)
        return self.sheet(sample[None])


def open_generator(
    summary: RunSummary, library: Lookup, request: RunRequest, data_root: Path, tell: Callable[[str], None], point: str = ""
) -> RunGenerator:
    """Load the generator of a run that has ended, or of its checkpoint ``point``.

    Args:
        request: ``trust`` is needed for the code and the paths in a run of another account; ``command`` is quoted in errors.
        point: ``"last"``, ``"best"`` or a step; empty: ``generator.safetensors``.

    Raises:
        UsageError: there is no such generator, or the run was made by another account and is not trusted.
        GanlabError: the generator cannot be read, or needs a component that is not installed.
    """
    folder, info = summary.folder, summary.folder.read_info()
    own_request = replace(request, trust=request.trust or trust.is_own(folder, info))  # the run's copy of a plugin file is enough
    if point:
        recipe = recipe_of(folder, info, library, own_request)
        return generator_at_checkpoint(find_checkpoint(summary, point, tell), recipe, library, data_root)
    path = generator_file(summary, request)
    state = read_description(path)
    installed = library.find("network", state["use"]) and library.find("noise", state["noise"]["use"])
    loaded_recipe = None if installed else recipe_of(folder, info, library, own_request)  # it loads the run's plugin files
    generator = rebuilt(path, state, library)
    outdated = generator_step.describe_outdated_generator(summary, generator.info["step"])
    if outdated:
        later = generator_step.last_checkpoint_command(summary, request)
        tell(f"{outdated}: that one is used.{f' To use its last checkpoint: {later}' if later else ''}")

    def load_data() -> Dataset | None:
        if generator.info["drawn_as"] == "images":
            return None
        try:
            return make_data(loaded_recipe or recipe_of(folder, info, library, own_request), data_root, download=False)
        except UsageError as error:
            tell(f"The samples are drawn without their data set, which is not available: {error}")
            return None

    return RunGenerator(generator, load_data)


def generator_at_checkpoint(path: Path, recipe: Recipe, library: Lookup, data_root: Path) -> RunGenerator:
    """Load the generator of the checkpoint ``path``. The whole recipe is built, because tricks may change the network."""
    state = read_checkpoint(path)
    dataset = make_data(recipe, data_root, download=False)
    with default_generators_restored(torch.device("cpu")):
        run = Run(recipe, None, torch.device("cpu"), DTYPES[recipe.train.dtype])
        run.tell = lambda text: None  # everything was announced when the run started
        build_game(run, dataset, [])
        try:
            run.players["generator"].network.load_state_dict(state["generator"]["network"])
            run.game.step = state["step"]
        except RuntimeError as error:
            raise GanlabError(f"checkpoint {path} is of another generator than its recipe's: {reason_of(error)}") from error
        return RunGenerator(rebuilt(path, description(run.game), library), lambda: dataset)


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


def generator_file(summary: RunSummary, request: RunRequest) -> Path:
    """The file ``generator.safetensors`` of a run. ``request`` is quoted in errors.

    Raises:
        UsageError: the run has none. The message says why, and what to do.
    """
    folder: RunFolder = summary.folder
    if is_regular(folder.generator):
        return folder.generator
    resume = f"resume it: {RunRequest().command_line(folder.path)}"
    reasons = {
        "running": ("it is still being trained", "wait until it ends, or press Ctrl-C"),
        "closing": ("its process is completing it", "wait until it ends"),
        "interrupted": ("it was killed", resume),
        "failed": ("it failed", resume),
    }
    why, hint = reasons.get(summary.status, ("the file is gone", ""))
    checkpoint_command = generator_step.last_checkpoint_command(summary, request)
    hints = [hint, f"use its last checkpoint: {checkpoint_command}" if checkpoint_command else ""]
    raise UsageError(f"run {summary.id} has no {folder.generator.name}: {why}", "\nor ".join(filter(None, hints)))
