"""Pictures of samples: image grids, scatter plots, histograms, and PNG files. Everything here is on the CPU."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import cannot_be_written

PAD = 2  # pixels between the images of a grid
SIZE = 320  # width and height of a plot, in pixels
SCATTERED = 2000  # samples of the data in a scatter plot
BINS = 64  # of a histogram
MARGIN = 0.2  # around the data in a plot, in parts of their extent
GREY, ORANGE = (200, 200, 200), (214, 96, 0)  # the data's colour and the samples'
PNG_EFFORT = 3  # zlib's level: a sheet of MNIST takes 4 ms and 52 kB; PNG's default, 6, takes 10 ms and 61 kB


def are_images(shape: tuple[int, ...]) -> bool:
    """Whether samples of this shape, without the batch, are images: at least (height, width). All others are points."""
    return len(shape) > 1


def sheet(samples: Tensor, data: Tensor | None = None, range: tuple[float, float] | None = None, columns: int | None = None) -> np.ndarray:
    """Samples of any shape in one picture: images in a grid, points in a scatter plot, single numbers in a histogram.

    Args:
        samples: ``(count, *shape)``.
        data: samples of the data, ``(count, *shape)``, to draw points over; None draws the points alone, scaled to themselves.
        range: as for :func:`image_grid`.
        columns: as for :func:`image_grid`.

    Returns:
        uint8 ``(height, width, 3)``.
    """
    if are_images(samples.shape[1:]):
        return image_grid(samples, range, columns)
    points = samples.reshape(len(samples), -1)
    reference = points if data is None else data.reshape(len(data), -1)
    return histogram(points, reference) if points.shape[1] == 1 else scatter(points, reference)


def image_grid(samples: Tensor, range: tuple[float, float] | None = None, columns: int | None = None, pad: int = PAD) -> np.ndarray:
    """A sheet of images, row by row.

    Args:
        samples: ``(count, channels, height, width)``, or ``(count, height, width)``. Of other than 1 or 3 channels only the first is shown.
        range: the values of black and white; None for the samples' own minimum and maximum.
        columns: images in a row; None makes the sheet as square as possible.
        pad: pixels between images, and around the sheet.

    Returns:
        uint8 ``(height, width, 3)``.
    """
    values = samples.detach().cpu().float().reshape(len(samples), -1, *samples.shape[-2:])
    count, channels = values.shape[:2]
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


def scatter(samples: Tensor, data: Tensor, size: int = SIZE) -> np.ndarray:
    """2-D samples (orange) over 2-D data (grey), to see which regions are covered.

    Args:
        samples: ``(count, dimension)``; of more than two dimensions the first two are shown.
        data: ``(count, dimension)``; the picture shows its extent with a margin of a fifth.
        size: width and height of the picture, in pixels.

    Returns:
        uint8 ``(size, size, 3)``.
    """
    canvas = np.full((size, size, 3), 255, dtype=np.uint8)
    reference = data.detach().cpu().float()[:SCATTERED, :2]
    low, high = reference.amin(0), reference.amax(0)
    margin = MARGIN * (high - low).clamp_min(1e-6)
    low, extent = low - margin, high - low + 2 * margin
    for points, colour, radius in ((reference, GREY, 1), (samples.detach().cpu().float()[:, :2], ORANGE, 1)):
        pixels = (torch.nan_to_num(points - low) / extent * (size - 1)).round().long().numpy()
        inside = pixels[((pixels >= radius) & (pixels < size - radius)).all(1)]
        for right in range(-radius, radius + 1):
            for down in range(-radius, radius + 1):
                canvas[size - 1 - inside[:, 1] + down, inside[:, 0] + right] = colour
    return canvas


def histogram(samples: Tensor, data: Tensor, size: int = SIZE) -> np.ndarray:
    """The histogram of 1-D samples (an orange outline) over that of 1-D data (grey bars). Both show shares, so the counts may differ.

    Args:
        samples: ``(count, 1)``; those outside of the picture are counted, but not shown.
        data: ``(count, 1)``; the picture shows its extent with a margin of a fifth. Its highest bar fills two thirds of the height.
        size: width and height of the picture, in pixels.

    Returns:
        uint8 ``(size, size, 3)``.
    """
    reference, numbers = (values.detach().cpu().double().numpy().ravel() for values in (data, samples))
    finite = reference[np.isfinite(reference)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    margin = MARGIN * (high - low) or 0.5 + abs(high)
    shares = [np.histogram(values, BINS, (low - margin, high + margin))[0] / len(values) for values in (reference, numbers)]
    top = 1.5 * max(shares[0].max(), 1e-12)
    bin_of_column = np.arange(size) * BINS // size
    bars, line = ((size * share / top).clip(0, size - 2).round()[bin_of_column] for share in shares)  # heights, in pixels
    rows = np.arange(size)[::-1, None]  # the height of each row of pixels above the lower edge
    before = np.concatenate([line[:1], line[:-1]])  # the outline joins the height of a column with that of the column to its left
    canvas = np.full((size, size, 3), 255, dtype=np.uint8)
    canvas[rows < bars] = GREY
    canvas[(rows >= np.minimum(line, before) - 1) & (rows <= np.maximum(line, before) + 1)] = ORANGE
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
