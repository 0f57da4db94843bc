"""The handwritten digits of scikit-learn, which need no download."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from ganlab.components import DatasetSpec, ResidentDataset
from ganlab_datasets.classes import Classes, classes_of, keep_classes
from ganlab_datasets.values import LEVELS, ValueRange, scale_and_offset

NAMES = tuple(str(digit) for digit in range(10))
INK = 16  # the highest value of a stored pixel, which is a count of black dots in 4 x 4 of the scan
BOX, MARGIN = 20, 4  # MNIST draws its digits into 20 x 20 pixels and leaves 4 around them
CONTRAST = 1.6  # restores the contrast that enlarging blurs, to that of MNIST


def digits(spec: DatasetSpec, *, range: ValueRange = (-1.0, 1.0), classes: Annotated[Classes, classes_of(NAMES)] = ()) -> ResidentDataset:
    """Handwritten digits without a download: the 1,797 images of scikit-learn, enlarged to 28 x 28 pixels, in 10 classes.

    The images have 8 x 8 pixels (Alpaydin and Kaynak, 1998). They are enlarged to 20 x 20 by bicubic interpolation, which costs contrast;
    the contrast is restored, and a margin of 4 pixels is added, as in MNIST.

    Raises:
        UsageError: a class does not exist.
    """
    from sklearn.datasets import load_digits  # 1 s to import

    scale, offset = scale_and_offset(range)
    images, labels = load_digits(return_X_y=True)
    enlarged = _enlarge(torch.from_numpy(images).reshape(-1, 1, 8, 8))
    kept, labels, names = keep_classes(torch.from_numpy(labels).long(), NAMES, classes)
    enlarged = enlarged if kept is None else enlarged[kept]
    return ResidentDataset(
        enlarged, labels, scale=scale, offset=offset, range=range, class_names=names,
        complete=lambda: digits(spec, range=range) if classes else None,
    )  # fmt: skip


def _enlarge(images: Tensor) -> Tensor:
    """``(count, 1, 8, 8)`` with values from 0 to 16, to uint8 ``(count, 1, 28, 28)``."""
    ink = torch.nn.functional.interpolate(images / INK, size=(BOX, BOX), mode="bicubic", align_corners=False)
    ink = ((ink - 0.5) * CONTRAST + 0.5).clamp(0, 1)
    return torch.nn.functional.pad(ink * LEVELS, (MARGIN,) * 4).round().to(torch.uint8)
