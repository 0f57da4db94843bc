"""Build all of a recipe without training it; ``check`` and ``describe`` share this."""

from __future__ import annotations

from pathlib import Path

from ganlab.registry.catalogue import Catalogue
from ganlab.runs.run import Run
from ganlab.runs.start import assemble, find_data
from ganlab.runs.workspace import Workspace
from ganlab.screen.announcements import announce_plugin_files
from ganlab.screen.terminal import warn


def build_run(recipe: str, overrides: list[str], data_root: Path | None) -> Run:
    """Build the run of a recipe without a folder. Nothing is downloaded, written or trained.

    Where the recipe's data is not on this machine, a warning says so, and the run is that of the recipe's fallback.

    Raises:
        UsageError: the recipe is wrong, or its parts do not fit each other.
    """
    workspace = Workspace(data=data_root, tell=warn)
    choice = find_data(recipe, Catalogue.of_installed(announce_plugin_files(warn)), overrides, workspace, download=False)
    if choice.why:
        fallback = choice.recipe.data.use
        warn(f"'{choice.wanted}' is not here yet: this describes the recipe's fallback, the data set '{fallback}'. {choice.why}")
    return assemble(choice.recipe, choice.dataset, workspace, in_folder=False)
