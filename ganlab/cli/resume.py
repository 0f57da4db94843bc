"""``ganlab resume``: resume a stopped run from its last checkpoint."""

from __future__ import annotations

from pathlib import Path

from ganlab.cli.training import train
from ganlab.records.request import RunRequest
from ganlab.records.summaries import find_run
from ganlab.registry.catalogue import Catalogue
from ganlab.runs.resume import resume_run
from ganlab.runs.workspace import Workspace
from ganlab.screen.announcements import announce_plugin_files
from ganlab.screen.terminal import Display
from ganlab.sweeps.membership import join_sweep


def resume(name: str, overrides: list[str], *, changed: bool, trust: bool, runs_dir: Path, data_root: Path | None, quiet: bool) -> None:
    """Resume a stopped run."""
    join_sweep()
    summary = find_run(runs_dir, name)
    with Display(quiet) as display:
        workspace = Workspace(summary.folder.path.parent, data_root, display.tell, [display])
        catalogue = Catalogue.of_installed(announce_plugin_files(display.tell))
        train(resume_run(summary, catalogue, workspace, RunRequest(tuple(overrides), changed, trust)), display)
