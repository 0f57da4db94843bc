"""``ganlab sync``: send a run to its tracker."""

from __future__ import annotations

from pathlib import Path

from ganlab.records.request import RunRequest
from ganlab.records.summaries import find_run
from ganlab.registry.catalogue import Catalogue
from ganlab.runs.sync import sync_run
from ganlab.screen.announcements import announce_plugin_files
from ganlab.screen.terminal import show_lines, warn


def sync(name: str, overrides: list[str], *, trust: bool, runs_dir: Path) -> None:
    """Send a run to its tracker."""
    catalogue = Catalogue.of_installed(announce_plugin_files(warn))
    request = RunRequest(tuple(overrides), trust=trust)
    sync_run(find_run(runs_dir, name), catalogue, request, lambda text: show_lines(text))
