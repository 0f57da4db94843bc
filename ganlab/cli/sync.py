"""``ganlab sync``: send a run to its tracker."""

from __future__ import annotations

from pathlib import Path

from ganlab.cli.options import option_overrides
from ganlab.records.request import RunRequest
from ganlab.records.summaries import find_run
from ganlab.registry.catalogue import Catalogue
from ganlab.runs.sync import sync_run
from ganlab.screen.announcements import announce_plugin_files
from ganlab.screen.terminal import show_lines, warn


def sync(name: str, overrides: list[str], *, tracking_uri: str | None, trust: bool, runs_dir: Path) -> None:
    """Send a run to its tracker."""
    catalogue = Catalogue.of_installed(announce_plugin_files(warn))
    request = RunRequest((*overrides, *option_overrides(tracking_uri=tracking_uri)), trust=trust)
    sync_run(find_run(runs_dir, name), catalogue, request, lambda text: show_lines(text))
