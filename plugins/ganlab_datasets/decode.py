"""Decodes an image file of any kind and size to a square of uint8."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganlab.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
SUFFIXES = (*PICTURES, ".npy")
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # Pillow's modes by number of channels
#: A run sees its files by their places in the order of the names. So a file may be replaced, also before a resume, but not removed.
REPAIR = "repair it, or put another image in its place, under the same name"
DEEP = ("I;16", "I;16B", "I;16L", "I;16N")  # 16 bits a pixel


class UnreadableImage(UsageError):
    """A file that is no image, is damaged or cut, or cannot be opened."""


def decode(path: Path, size: int, channels: int) -> np.ndarray:
    """Read an image, scale its shorter side to ``size`` and crop the centre.

    A picture is rotated as its EXIF data say, and converted to grey (1 channel), grey and alpha (2), RGB (3) or RGBA (4). Without an
    alpha channel, transparent pixels become white. Animations give their first frame. A ``.npy`` file is uint8 ``(height, width)`` or
    ``(height, width, channels)``.

    Returns:
        uint8 ``(channels, size, size)``.

    Raises:
        UnreadableImage: the file is damaged.
        UsageError: it has another number of channels, or of bits.
    """
    try:
        bands = _read_array(path, channels) if path.suffix.lower() == ".npy" else [_read_picture(path, size, channels)]
        square = np.dstack([np.asarray(_square(band, size)) for band in bands])  # (size, size, channels)
        return np.ascontiguousarray(square.transpose(2, 0, 1))
    except UsageError:
        raise
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error and more on a damaged file
        raise UnreadableImage(f"{path} cannot be read as an image: {error or type(error).__name__}", REPAIR) from error


def _read_picture(path: Path, size: int, channels: int) -> Picture:
    from PIL import Image, ImageOps

    if channels not in MODES:
        raise UsageError(
            f"{path} cannot have {channels} channels",
            "a picture has 1 to 4; data of other channel counts must be .npy files, or set data.channels",
        )
    with Image.open(path) as opened:
        opened.draft(None, (2 * size, 2 * size))  # decodes a large JPEG at a fraction of its size, many times as fast
        image: Picture = ImageOps.exif_transpose(opened)
        image.load()
    if image.mode in DEEP:
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise UsageError(f"{path} has 32 bits a pixel, and ganlab shows 8", "save it with 8 or 16 bits, or as a uint8 .npy file")
    if not image.has_transparency_data:
        return image.convert(MODES[channels])
    image = image.convert("RGBA")
    if channels in (1, 3):
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(MODES[channels])


def _read_array(path: Path, channels: int) -> list[Picture]:
    from PIL import Image

    array = np.load(path, allow_pickle=False)
    array = array[:, :, None] if array.ndim == 2 else array
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != channels:
        raise UsageError(
            f"{path} holds {array.dtype} {tuple(array.shape)}, not uint8 (height, width, {channels})",
            "save it so, or set data.channels to what the files have",
        )
    return [Image.fromarray(np.ascontiguousarray(array[:, :, channel])) for channel in range(channels)]


def _square(image: Picture, size: int) -> Picture:
    from PIL import Image

    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    if side == size:
        left, top = int(left), int(top)  # without scaling, pixels stay as they are, and are not moved by half a pixel
    return image.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
