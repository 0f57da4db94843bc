"""``ganlab delete``: remove a run's folder. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from ganlab.records.summaries import delete_run, find_run
from ganlab.screen.terminal import confirmed, show_lines


def delete(name: str, runs_dir: Path, yes: bool) -> None:
    """Remove a run's folder; without ``yes``, only after the user has confirmed it."""
    run = find_run(runs_dir, name)
    megabytes = sum(file.stat().st_size for file in run.folder.path.rglob("*") if file.is_file()) / 1e6
    if not yes and not confirmed(f"Remove {run.folder.path} ({run.status}, {megabytes:.1f} MB) for good?"):
        show_lines("nothing was removed")
        return
    delete_run(run)
    show_lines(f"{run.folder.path} is removed")
