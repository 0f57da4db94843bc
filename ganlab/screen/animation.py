"""Sheets of one run as an animation of its training: GIF, animated PNG or WebP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from ganlab.errors import GanlabError

FORMATS = {".gif": "GIF", ".png": "PNG", ".webp": "WEBP"}
STRIP = 16  # pixels under a sheet, for its step
REST = 10  # frames' time that the last one stays


def animate(sheets: Sequence[Path], steps: Sequence[int], path: Path, seconds: float) -> None:
    """Write ``sheets`` as an animation that repeats, each frame with its step under it.

    Args:
        sheets: PNG files, oldest first; smaller ones are shown in the corner of the largest one's place.
        steps: of each.
        path: whose ending says the format: .gif, .png or .webp.
        seconds: a frame is shown; the last one stays longer.

    Raises:
        GanlabError: a sheet cannot be read.
    """
    pictures = [_read(sheet) for sheet in sheets]
    size = max(picture.width for picture in pictures), max(picture.height for picture in pictures)
    frames = [_frame(picture, size, f"step {step:,}") for picture, step in zip(pictures, steps, strict=True)]
    times = [round(1000 * seconds)] * (len(frames) - 1) + [round(1000 * seconds * REST)]
    more = {"lossless": True} if path.suffix.lower() == ".webp" else {}
    frames[0].save(path, format=FORMATS[path.suffix.lower()], save_all=True, append_images=frames[1:], duration=times, loop=0, **more)


def _read(sheet: Path) -> Image.Image:
    try:
        with Image.open(sheet) as image:
            return image.convert("RGB")
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:  # SyntaxError is what Pillow makes of a broken PNG
        raise GanlabError(f"sheet {sheet} cannot be read: {error}", "remove it, and the others are shown") from error


def _frame(picture: Image.Image, size: tuple[int, int], text: str) -> Image.Image:
    frame = Image.new("RGB", (size[0], size[1] + STRIP), (255, 255, 255))
    frame.paste(picture, (0, 0))
    ImageDraw.Draw(frame).text((4, size[1] + 2), text, fill=(0, 0, 0), font=ImageFont.load_default())
    return frame
