"""Pictures of samples: image grids, 2-D scatter plots, and PNG files. Everything here is on the CPU."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import cannot_be_written

PAD = 2  # pixels between the images of a grid
PNG_EFFORT = 3  # zlib's level: a sheet of MNIST takes 4 ms and 52 kB; PNG's default, 6, takes 10 ms and 61 kB


def image_grid(samples: Tensor, range: tuple[float, float] | None = None, columns: int | None = None, pad: int = PAD) -> np.ndarray:
    """A sheet of images, row by row.

    Args:
        samples: ``(count, channels, height, width)``; any number of channels; with other than 1 or 3, only the first is shown.
        range: the values of black and white; None for the samples' own minimum and maximum.
        columns: images in a row; None makes the sheet as square as possible.
        pad: pixels between images, and around the sheet.

    Returns:
        uint8 ``(height, width, 3)``.
    """
    count, channels, _height, _width = samples.shape
    values = samples.detach().cpu().float()
    values = values if channels in (1, 3) else values[:, :1]
    finite = torch.nan_to_num(values)
    low, high = range or (float(finite.min()), float(finite.max()))
    pixels = ((finite - low) / max(high - low, 1e-12)).clamp(0, 1).mul(255).round().to(torch.uint8)
    return tiled(list(pixels.permute(0, 2, 3, 1).numpy()), columns or math.ceil(math.sqrt(count)), pad)


def tiled(pictures: list[np.ndarray], columns: int, pad: int = PAD) -> np.ndarray:
    """Pictures of equal size, each uint8 ``(height, width, 1 or 3)``, in rows of ``columns``: uint8 ``(height, width, 3)``."""
    height, width = pictures[0].shape[:2]
    rows = math.ceil(len(pictures) / columns)
    sheet = np.full((rows * (height + pad) + pad, columns * (width + pad) + pad, 3), 40, dtype=np.uint8)
    for number, image in enumerate(pictures):
        top, left = (pad + index * (size + pad) for index, size in zip(divmod(number, columns), (height, width), strict=True))
        sheet[top : top + height, left : left + width] = image
    return sheet


def scatter(samples: Tensor, data: Tensor, size: int = 320) -> np.ndarray:
    """2-D samples (orange) over 2-D data (grey), to see which regions are covered.

    Args:
        samples: ``(count, dimension)``; of more than two dimensions the first two are shown.
        data: ``(count, dimension)``; the picture shows its extent with a margin of a fifth.
        size: width and height of the picture, in pixels.

    Returns:
        uint8 ``(size, size, 3)``.
    """
    canvas = np.full((size, size, 3), 255, dtype=np.uint8)
    reference = data.detach().cpu().float()[:2000, :2]
    low, high = reference.amin(0), reference.amax(0)
    margin = 0.2 * (high - low).clamp_min(1e-6)
    low, extent = low - margin, high - low + 2 * margin
    for points, colour, radius in ((reference, (200, 200, 200), 1), (samples.detach().cpu().float()[:, :2], (214, 96, 0), 1)):
        pixels = (torch.nan_to_num(points - low) / extent * (size - 1)).round().long().numpy()
        inside = pixels[((pixels >= radius) & (pixels < size - radius)).all(1)]
        for right in range(-radius, radius + 1):
            for down in range(-radius, radius + 1):
                canvas[size - 1 - inside[:, 1] + down, inside[:, 0] + right] = colour
    return canvas


def save_png(picture: np.ndarray, path: Path) -> None:
    """Write a uint8 ``(height, width, 3)`` picture with an atomic write.

    Raises:
        GanlabError: it cannot be written.
    """
    from PIL import Image

    temporary = path.with_name(f".{path.name}.part")
    try:
        Image.fromarray(picture).save(temporary, format="PNG", compress_level=PNG_EFFORT)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise cannot_be_written(path, error) from error
