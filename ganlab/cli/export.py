"""``ganlab export``: a run's generator in files that other programs read."""

from __future__ import annotations

from pathlib import Path

from ganlab.records.request import RunRequest
from ganlab.records.summaries import find_run
from ganlab.screen.announcements import announce_plugin_files
from ganlab.screen.terminal import show_lines, warn


def export(
    name: str, *, kind: str | None, out: Path | None, checkpoint: str, force: bool, trust: bool, runs_dir: Path, data_root: Path | None
) -> None:
    """Export the generator of a run, and say what the check has shown."""
    summary = find_run(runs_dir, name)
    from ganlab.generators import formats
    from ganlab.registry.catalogue import Catalogue
    from ganlab.runs.generators import open_generator
    from ganlab.runs.workspace import Workspace

    kind = kind or formats.kind_of(out)
    out = out or formats.usual_place(kind, summary.id)
    formats.check_out(kind, out, force)
    if kind == "onnx":
        formats.require_extras()
    library = Catalogue.of_installed(announce_plugin_files(warn))
    request, root = RunRequest(trust=trust, command="export"), Workspace(data=data_root).data_root()
    generator = open_generator(summary, library, request, root, warn, checkpoint, draw=False).generator
    made = formats.export_generator(generator, kind, out, library, force)
    sizes = ", ".join(f"{file} ({file.stat().st_size / 1000:,.0f} kB)" for file in made.files)
    bound = f"differ by at most {made.difference:.2g} (accepted: {made.tolerance:.2g})"
    differ = bound if made.difference else "are the same, bit for bit"
    batches = ", ".join(map(str, formats.BATCHES))
    show_lines(
        f"generator of {summary.id}, step {generator.info['step']:,}: {sizes}",
        f"checked: read again, its samples of fixed latents {differ}, in batches of {batches}",
    )
