"""``ganlab run``: train a recipe in a new run. With ``--seeds`` or ``--grid`` it is a sweep, which ``ganlab.cli.sweep`` trains."""

from __future__ import annotations

from pathlib import Path

from ganlab.cli.training import train
from ganlab.registry.catalogue import Catalogue
from ganlab.runs.start import open_run
from ganlab.runs.workspace import Workspace
from ganlab.screen.announcements import announce_plugin_files
from ganlab.screen.terminal import Display
from ganlab.sweeps.membership import join_sweep


def run(recipe: str, overrides: list[str], *, runs_dir: Path, data_root: Path | None, quiet: bool) -> None:
    """Train a recipe in a new run."""
    membership = join_sweep()
    with Display(quiet) as display:
        workspace = Workspace(runs_dir, data_root, display.tell, [display], sweep=membership)
        catalogue = Catalogue.of_installed(announce_plugin_files(display.tell))
        train(open_run(recipe, catalogue, overrides, workspace), display)
