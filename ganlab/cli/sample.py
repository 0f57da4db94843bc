"""``ganlab sample``: a sheet of samples, single ones, interpolations, or an animation of the training."""

from __future__ import annotations

import re
from collections.abc import Iterator
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


IMAGES, POINTS = 64, 1000  # samples, where nobody says how many
ROWS, COLUMNS, PATH_POINTS = 8, 10, 100  # of interpolations; points on the way, where samples are points
FRAME_SECONDS = 0.2
ANIMATIONS = (".gif", ".webp")  # a .png may be either


@dataclass(frozen=True)
class Layout:
    """How many samples, and in how many columns.

    Attributes:
        count: of all samples.
        columns: of the sheet; None: as the data set likes it.
        rows: of interpolations; 0: none.
    """

    count: int
    columns: int | None
    rows: int = 0

    @classmethod
    def of(cls, count: int | None, grid: str | None, interpolate: bool, points: bool) -> Layout:
        """What ``--count``, ``--grid`` and ``--interpolate`` say together.

        Raises:
            UsageError: they contradict each other.
        """
        given = parse_grid(grid)
        if interpolate:
            if count is not None:
                raise UsageError("--interpolate makes as many samples as its grid has places", "say --grid RxC in place of --count")
            rows, columns = given or (ROWS, PATH_POINTS if points else COLUMNS)
            if columns < 2:
                raise UsageError("a row from one latent to another has two columns at least", f"say --grid {rows}x{COLUMNS}")
            return cls(rows * columns, columns, rows)
        if given is None:
            return cls(count or (POINTS if points else IMAGES), None)
        rows, columns = given
        if points:
            raise UsageError("samples of this run are points, which a scatter plot shows all at once: there is no grid", "say --count N")
        if count not in (None, rows * columns):
            raise UsageError(f"--grid {grid} has {rows * columns} places, and --count asks for {count} samples", "say one of the two")
        return cls(rows * columns, columns)


def parse_grid(text: str | None) -> tuple[int, int] | None:
    """Rows and columns of ``"8x10"``."""
    if text is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,3})[xX×]([1-9]\d{0,3})", text.strip())
    if found is None:
        raise UsageError(f"--grid {text} is no grid", "write rows, an x and columns: --grid 8x10")
    return int(found[1]), int(found[2])


def sample(name: str, *, animate: bool, out: Path | None, frame_seconds: float | None, force: bool, runs_dir: Path, **options: Any) -> None:
    """Draw samples of a run, or animate its sheets."""
    if animate or (out is not None and out.suffix.lower() in ANIMATIONS):
        _refuse_for_animations(options)
        return _animate(name, out, frame_seconds or FRAME_SECONDS, force, runs_dir)
    if frame_seconds is not None:
        raise UsageError("--frame-seconds is of animations", "add --animate")
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
    parse_grid(grid)  # before torch is imported
    from ganlab.game.out_of_memory import out_of_memory
    from ganlab.generators.latents import way_of
    from ganlab.records.request import RunRequest
    from ganlab.registry.catalogue import Catalogue
    from ganlab.runs.generators import open_generator
    from ganlab.runs.workspace import Workspace

    library, workspace = Catalogue.of_installed(announce_plugin_files(warn)), Workspace(data=data_root)
    trained = open_generator(summary, library, RunRequest(trust=trust, command="sample"), workspace.data_root(), warn, checkpoint)
    if single and trained.draws_points:
        raise UsageError(f"samples of run {summary.id} are points: all are in one picture", "name a .png with --out")
    layout, generator = Layout.of(count, grid, interpolate, trained.draws_points), trained.generator
    try:
        if layout.rows:
            assert layout.columns is not None
            made = generator.interpolate(layout.rows, layout.columns, seed or 0, label, truncation)
        else:
            made = generator.sample(layout.count, seed or 0, label, truncation)
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise UsageError(f"there is not enough memory for {layout.count:,} samples at once", "draw fewer, with other seeds") from error
    if single:
        width = max(4, len(str(layout.count - 1)))
        files = [out / f"sample_{number:0{width}d}.png" for number in range(layout.count)]
        refuse_existing(files, force)
        write_pngs(out, ((file.name, trained.single(each)) for file, each in zip(files, made, strict=True)))
        if force:
            _remove_rest(out, layout.count, width)
    else:
        write_pngs(out.parent, [(out.name, trained.sheet(made, layout.columns))])
    said = [f"{layout.count:,} samples of {summary.id}, step {generator.info['step']:,}", f"seed {seed or 0}"]
    said += [f"class {label}"] if label is not None else []
    said += [f"truncated at {truncation:g}"] if truncation is not None else []
    said += [f"{layout.rows} rows, each a {way_of(generator.noise)} interpolation between two latents"] if layout.rows else []
    show_lines(f"{out}: {', '.join(said)}")


def _remove_rest(folder: Path, number: int, width: int) -> None:
    """Remove the pictures of an earlier, longer series, from this number on: else the folder would hold two kinds under names of one.

    Raises:
        UsageError: one cannot be removed.
    """
    while (path := folder / f"sample_{number:0{width}d}.png").is_file():
        try:
            path.unlink()
        except OSError as error:
            raise UsageError(
                f"{path} is of earlier samples, and cannot be removed: {error.strerror}", "remove it, or it counts as one"
            ) from error
        number += 1


def is_folder(out: Path) -> bool:
    """Whether ``out`` is a folder for single pictures, and not a sheet's file.

    Raises:
        UsageError: it is a file of another kind.
    """
    if out.is_dir() or not out.suffix:
        return True
    if out.suffix.lower() != ".png":
        raise UsageError(
            f"--out {out}: samples are written as .png", "name a .png, a folder for single ones, or a .gif to animate the sheets"
        )
    return False


def write_pngs(folder: Path, pictures: Iterator[tuple[str, np.ndarray]] | list[tuple[str, np.ndarray]]) -> None:
    """Write named pictures, uint8 ``(height, width, 3)``, into a folder: all of them, or none."""
    from PIL import Image

    with staged(folder) as stage:
        for name, picture in pictures:
            Image.fromarray(picture).save(stage / name, format="PNG")


def _refuse_for_animations(options: dict[str, Any]) -> None:
    """An animation shows what the run has drawn while it was trained: nothing of how to sample has a meaning for it."""
    flags = {"count": "--count", "seed": "--seed", "label": "--class", "truncation": "--truncation", "grid": "--grid"}
    flags |= {"interpolate": "--interpolate", "checkpoint": "--checkpoint"}
    said = [flag for key, flag in flags.items() if options[key] is not None and options[key] is not False and options[key] != ""]
    if said:
        raise UsageError(
            f"an animation is of the sheets that the run has drawn itself, from its own fixed noise: {', '.join(said)} cannot change them",
            "leave that out, or name a .png with --out for new samples",
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
