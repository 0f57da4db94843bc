"""``ganlab sample``: a sheet of samples, single images, interpolations, or an animation of the training."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganlab.errors import UsageError
from ganlab.records.folder import step_of
from ganlab.records.summaries import find_run
from ganlab.screen.announcements import announce_plugin_files
from ganlab.screen.terminal import show_lines, warn
from ganlab.storage.output_files import refuse_existing, staged, unused_path

if TYPE_CHECKING:
    import numpy as np


IMAGES, POINTS = 64, 1000  # default number of samples
ROWS, COLUMNS, PATH_POINTS = 8, 10, 100  # default size of interpolations; PATH_POINTS is the columns where samples are points
FRAME_SECONDS = 0.2
ANIMATIONS = (".gif", ".webp")  # endings that only an animation has; a .png may be either


@dataclass(frozen=True)
class Layout:
    """How many samples to draw, and how to arrange them.

    Attributes:
        count: number of samples.
        columns: of the sheet; None leaves them to the data set.
        rows: number of interpolations, one per row; 0 for independent samples.
    """

    count: int
    columns: int | None
    rows: int = 0

    @classmethod
    def of(cls, count: int | None, grid: str | None, interpolate: bool, points: bool) -> Layout:
        """Return the layout for ``--count``, ``--grid`` and ``--interpolate``. ``points`` says whether samples are points, not images.

        Raises:
            UsageError: the options contradict each other.
        """
        size = parse_grid(grid)
        if interpolate:
            if count is not None:
                raise UsageError("--interpolate draws one sample for each place of its grid", "use --grid RxC instead of --count")
            rows, columns = size or (ROWS, PATH_POINTS if points else COLUMNS)
            if columns < 2:
                raise UsageError("a row from one latent to another needs at least two columns", f"use --grid {rows}x{COLUMNS}")
            return cls(rows * columns, columns, rows)
        if size is None:
            return cls(count or (POINTS if points else IMAGES), None)
        rows, columns = size
        if points:
            raise UsageError("samples of this run are points, shown in one plot: it has no grid", "use --count N")
        if count not in (None, rows * columns):
            raise UsageError(f"--grid {grid} has {rows * columns} places, and --count asks for {count} samples", "use one of the two")
        return cls(rows * columns, columns)


def parse_grid(text: str | None) -> tuple[int, int] | None:
    """Return the rows and columns that ``"8x10"`` means; None for None.

    Raises:
        UsageError: the text is not a grid.
    """
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,3})[xX×]([1-9]\d{0,3})", text.strip())
    if match is None:
        raise UsageError(f"--grid {text} is not a grid", "write rows, an x and columns: --grid 8x10")
    return int(match[1]), int(match[2])


def sample(name: str, *, animate: bool, out: Path | None, frame_seconds: float | None, force: bool, runs_dir: Path, **options: Any) -> None:
    """Draw samples of a run, or animate its sheets."""
    if animate or (out is not None and out.suffix.lower() in ANIMATIONS):
        _refuse_for_animations(options)
        return _animate(name, out, frame_seconds or FRAME_SECONDS, force, runs_dir)
    if frame_seconds is not None:
        raise UsageError("--frame-seconds is only for animations", "add --animate")
    return _draw(name, out, force, runs_dir, **options)


def _draw(
    name: str, out: Path | None, force: bool, runs_dir: Path, *, count: int | None, seed: int | None, label: str | None,
    truncation: float | None, grid: str | None, interpolate: bool, checkpoint: str, trust: bool, data_root: Path | None,
) -> None:  # fmt: skip
    summary = find_run(runs_dir, name)
    out = out or unused_path(Path(f"{summary.id}.png"), force)
    single = is_folder(out)
    if not single:
        refuse_existing([out], force)
    parse_grid(grid)  # an invalid grid is refused before torch is imported
    from ganlab.game.out_of_memory import out_of_memory
    from ganlab.generators.latents import way_of
    from ganlab.records.request import RunRequest
    from ganlab.registry.catalogue import Catalogue
    from ganlab.runs.generators import open_generator
    from ganlab.runs.workspace import Workspace

    library, workspace = Catalogue.of_installed(announce_plugin_files(warn)), Workspace(data=data_root)
    run_generator = open_generator(summary, library, RunRequest(trust=trust, command="sample"), workspace.data_root(), warn, checkpoint)
    if single and run_generator.draws_points:
        raise UsageError(f"samples of run {summary.id} are points, which are drawn in one picture", "name a .png with --out")
    layout, generator = Layout.of(count, grid, interpolate, run_generator.draws_points), run_generator.generator
    try:
        if layout.rows:
            assert layout.columns is not None
            samples = generator.interpolate(layout.rows, layout.columns, seed or 0, label, truncation)
        else:
            samples = generator.sample(layout.count, seed or 0, label, truncation)
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise UsageError(f"there is not enough memory for {layout.count:,} samples at once", "draw fewer, with other seeds") from error
    if single:
        width = max(4, len(str(layout.count - 1)))
        files = [out / f"sample_{number:0{width}d}.png" for number in range(layout.count)]
        refuse_existing(files, force)
        write_pngs(out, ((file.name, run_generator.single(sample)) for file, sample in zip(files, samples, strict=True)))
        if force:
            _remove_rest(out, layout.count, width)
    else:
        write_pngs(out.parent, [(out.name, run_generator.sheet(samples, layout.columns))])
    facts = [f"{layout.count:,} samples of {summary.id}, step {generator.info['step']:,}", f"seed {seed or 0}"]
    facts += [f"class {label}"] if label is not None else []
    facts += [f"truncated at {truncation:g}"] if truncation is not None else []
    facts += [f"{layout.rows} rows, each a {way_of(generator.noise)} interpolation between two latents"] if layout.rows else []
    show_lines(f"{out}: {', '.join(facts)}")


def _remove_rest(folder: Path, number: int, width: int) -> None:
    """Remove pictures of an earlier, longer series, from ``number`` on. Otherwise they would look like part of the new series."""
    while (path := folder / f"sample_{number:0{width}d}.png").is_file():
        path.unlink()
        number += 1


def is_folder(out: Path) -> bool:
    """Tell whether ``out`` is a folder for single pictures rather than the file of a sheet.

    Raises:
        UsageError: ``out`` is a file of another format.
    """
    if out.is_dir() or not out.suffix:
        return True
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out {out}: samples are written as .png", "name a .png, a folder for single images, or a .gif for an animation")
    return False


def write_pngs(folder: Path, pictures: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write named pictures, uint8 of shape ``(height, width, 3)``, into a folder: all of them or none."""
    from PIL import Image

    with staged(folder) as stage:
        for name, picture in pictures:
            Image.fromarray(picture).save(stage / name, format="PNG")


def _refuse_for_animations(options: dict[str, Any]) -> None:
    """Refuse options of sampling: an animation shows sheets that the run drew while it trained, so they have no effect on it."""
    flags = {"count": "--count", "seed": "--seed", "label": "--class", "truncation": "--truncation", "grid": "--grid"}
    flags |= {"interpolate": "--interpolate", "checkpoint": "--checkpoint"}
    refused = [flag for key, flag in flags.items() if options[key] is not None and options[key] is not False and options[key] != ""]
    if refused:
        raise UsageError(
            f"an animation shows the sheets that the run drew from its own fixed noise: {', '.join(refused)} cannot change them",
            "leave it out, or name a .png with --out for new samples",
        )


def _animate(name: str, out: Path | None, seconds: float, force: bool, runs_dir: Path) -> None:
    from ganlab.screen.animation import FORMATS, animate

    summary = find_run(runs_dir, name)
    out = out or unused_path(Path(f"{summary.id}.gif"), force)
    if out.suffix.lower() not in FORMATS:
        raise UsageError(f"--out {out}: an animation is a {', '.join(FORMATS)}", f"name {out.with_suffix('.gif')}, for instance")
    refuse_existing([out], force)
    sheets = summary.folder.sheets()
    if not sheets:
        raise UsageError(f"run {summary.id} has no sheets of samples", f"{summary.folder.samples} is empty")
    with staged(out.parent) as stage:
        animate(sheets, [step_of(sheet) for sheet in sheets], stage / out.name, seconds)
    show_lines(
        f"{out}: {len(sheets)} sheets of {summary.id}, steps {step_of(sheets[0]):,} to {step_of(sheets[-1]):,}, {seconds:g} s for each"
    )
