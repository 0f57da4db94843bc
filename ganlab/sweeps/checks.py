"""Checks before runs of a sweep start: every combination can be built, its data are there, and no plugin file was edited."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from ganlab.components import Dataset
from ganlab.errors import DataUnavailable, GanlabError, RecipeError, UsageError
from ganlab.game.factories import make_data
from ganlab.recipe import PluginFile
from ganlab.recipe.grid import Combination
from ganlab.runs.start import assemble
from ganlab.runs.workspace import Workspace


def build_each(combinations: Sequence[Combination], workspace: Workspace) -> None:
    """Build each combination once, on the CPU and without a folder, to refuse mistakes before the first run starts.

    Each data set is downloaded here, before many processes need it at the same time.

    Raises:
        UsageError: data are not available and there is no fallback, or networks, tricks or numbers do not fit each other; all mistakes
            at once.
    """
    datasets: dict[str, tuple[Dataset, bool]] = {}
    mistakes: dict[str, str] = {}  # message: hint
    for combination in combinations:
        recipe = combination.recipe
        key = json.dumps([recipe.document["data"], recipe.train.batch_of("discriminator")], default=str)
        try:
            if key not in datasets:
                datasets[key] = _load_data(combination, workspace)
            dataset, is_fallback = datasets[key]
            used_recipe = combination.fallback if is_fallback and combination.fallback else recipe
            on_cpu = dataclasses.replace(used_recipe, train=dataclasses.replace(used_recipe.train, device="cpu", init_from=None))
            assemble(on_cpu, dataset, workspace, in_folder=False)
        except UsageError as error:
            if not combination.values:
                raise
            mistakes[f"{combination.name}: {error.message}"] = error.hint
    if mistakes:
        raise RecipeError(list(mistakes), next(iter(mistakes.values())))


def _load_data(combination: Combination, workspace: Workspace) -> tuple[Dataset, bool]:
    """A combination's data set, and whether it is that of its fallback."""
    try:
        return make_data(combination.recipe, workspace.data_root()), False
    except DataUnavailable:
        if combination.fallback is None:
            raise
        return make_data(combination.fallback, workspace.data_root()), True


def refuse_edited_plugins(files: Sequence[PluginFile]) -> None:
    """Check that no plugin file was edited since the sweep started. The sweep's copies of the recipes refer to these files.

    Raises:
        GanlabError: one was.
    """
    for file in files:
        try:
            content = file.path.read_bytes()
        except OSError:
            content = b""
        if content != file.content:
            raise GanlabError(f"the plugin file {file.path} was edited while the sweep was running: restore it")
