"""A digest of a data set's content that does not depend on the recipe's range of values. It names the files of judges."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from ganlab.components import Dataset
from ganlab.evaluation import pictures

LOOKED_AT = 1000  # images in the digest


def images_and_labels(dataset: Dataset, indices: Tensor) -> tuple[Tensor, Tensor | None]:
    """Images in [0, 1], float32 ``(count, *shape)``, and their labels, int64 ``(count,)``, both on the CPU."""
    batch = dataset.fetch(indices)
    return pictures(dataset, batch.images), None if batch.labels is None else batch.labels.cpu()


def digest(dataset: Dataset, *more: object) -> str:
    """16 hexadecimal characters that depend on the data set's size, shape, classes and some images, and on ``more``."""
    content = hashlib.sha256(repr((len(dataset), tuple(dataset.shape), tuple(dataset.class_names), more)).encode())
    chosen = torch.linspace(0, len(dataset) - 1, min(LOOKED_AT, len(dataset)), dtype=torch.float64).long()
    images, labels = images_and_labels(dataset, chosen)
    content.update((images * 255).round().to(torch.uint8).contiguous().numpy().data)
    if labels is not None:
        content.update(labels.contiguous().numpy().data)
    return content.hexdigest()[:16]
