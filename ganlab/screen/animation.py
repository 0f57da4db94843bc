"""Animations of a run's training, made from its sheets of samples: GIF, animated PNG or WebP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from ganlab.errors import GanlabError
from ganlab.storage.reading import PICTURE, open_file

FORMATS = {".gif": "GIF", ".png": "PNG", ".webp": "WEBP"}
STRIP = 16  # height in pixels of the strip under a sheet, which shows its step
REST = 10  # the last frame is shown this many times as long as the others


def animate(sheets: Sequence[Path], steps: Sequence[int], path: Path, seconds: float) -> None:
    """Write ``sheets`` as an animation that loops. Each frame shows its step below the sheet.

    Args:
        sheets: PNG files, oldest first. All frames have the size of the largest sheet; smaller ones are in the upper left corner.
        steps: the step of each sheet.
        path: the file to write; its ending is the format: .gif, .png or .webp.
        seconds: for which a frame is shown; the last one is shown longer.

    Raises:
        GanlabError: a sheet cannot be read.
    """
    pictures = [_read(sheet) for sheet in sheets]
    size = max(picture.width for picture in pictures), max(picture.height for picture in pictures)
    frames = [_frame(picture, size, f"step {step:,}") for picture, step in zip(pictures, steps, strict=True)]
    durations = [round(1000 * seconds)] * (len(frames) - 1) + [round(1000 * seconds * REST)]
    options = {"lossless": True} if path.suffix.lower() == ".webp" else {}
    frames[0].save(
        path, format=FORMATS[path.suffix.lower()], save_all=True, append_images=frames[1:], duration=durations, loop=0, **options
    )


def _read(sheet: Path) -> Image.Image:
    try:
        with open_file(sheet, PICTURE) as file, Image.open(file, formats=["PNG"]) as image:
            return image.convert("RGB")
    except (
        OSError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
        SyntaxError,
        ValueError,
    ) as error:  # Pillow raises SyntaxError for a broken PNG
        raise GanlabError(f"sheet {sheet} cannot be read: {error}", "remove it to animate the other sheets") from error


def _frame(picture: Image.Image, size: tuple[int, int], text: str) -> Image.Image:
    frame = Image.new("RGB", (size[0], size[1] + STRIP), (255, 255, 255))
    frame.paste(picture, (0, 0))
    ImageDraw.Draw(frame).text((4, size[1] + 2), text, fill=(0, 0, 0), font=ImageFont.load_default())
    return frame
