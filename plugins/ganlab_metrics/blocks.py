"""Products of all pairs of two sets of features, a block at a time: at 10,000 samples a whole matrix would be 800 MB."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

NUMBERS = 1_000_000  # in a block: 8 MB in float64


def rows(left: Tensor, right: Tensor) -> Iterator[slice]:
    """Consecutive rows of ``left`` whose pairs with all of ``right`` fit into a block."""
    step = max(1, NUMBERS // len(right))
    return (slice(start, start + step) for start in range(0, len(left), step))


def products(left: Tensor, right: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Inner products in float64: which rows of ``left``, and ``(rows, len(right))``, which the caller may overwrite."""
    others = right.double().T
    for block in rows(left, right):
        yield block, left[block].double() @ others


def squared_distances(left: Tensor, right: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared Euclidean distances: which rows of ``left``, and ``(rows, len(right))`` in float64, which the caller may overwrite.

    By way of inner products, which is many times faster than by differences. What that costs in precision is small in float64 once the
    features lie around the origin: equal samples are some 1e-7 of their norm apart.
    """
    others = right.double()
    origin = others.mean(0)
    others = others - origin
    norms = others.square().sum(1)
    for block in rows(left, right):
        mine = left[block].double() - origin
        distances = torch.addmm(norms, mine, others.T, alpha=-2).add_(mine.square().sum(1, keepdim=True))
        yield block, distances.clamp_(min=0)
