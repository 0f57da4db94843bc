"""``ganlab export``: write a run's generator in a format that other programs read."""

from __future__ import annotations

from pathlib import Path

from ganlab.records.request import RunRequest
from ganlab.records.summaries import find_run
from ganlab.screen.announcements import announce_plugin_files
from ganlab.screen.terminal import show_lines, warn


def export(
    name: str, *, kind: str | None, out: Path | None, checkpoint: str, force: bool, trust: bool, runs_dir: Path, data_root: Path | None
) -> None:
    """Export the generator of a run, check the written files, and show the result of the check."""
    summary = find_run(runs_dir, name)
    from ganlab.generators import formats
    from ganlab.registry.catalogue import Catalogue
    from ganlab.runs.generators import open_generator
    from ganlab.runs.workspace import Workspace

    kind, out = formats.destination(kind, out, summary.id, force)
    catalogue = Catalogue.of_installed(announce_plugin_files(warn))
    request, root = RunRequest(trust=trust, command="export"), Workspace(data=data_root).data_root()
    generator = open_generator(summary, catalogue, request, root, warn, checkpoint).generator
    files, verification = formats.export_generator(generator, kind, out, catalogue)
    sizes = ", ".join(f"{file} ({file.stat().st_size / 1000:,.0f} kB)" for file in files)
    tolerated = f"differ by at most {verification.difference:.2g} (accepted: {verification.tolerance:.2g})"
    result = tolerated if verification.difference else "are the same, bit for bit"
    batches = ", ".join(map(str, verification.batches))
    show_lines(
        f"generator of {summary.id}, step {generator.info['step']:,}: {sizes}",
        f"checked: reloaded, its samples of fixed latents {result}, in batches of {batches}",
    )
