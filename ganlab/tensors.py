"""Reductions of tensors per sample, with the batch as dimension 0."""

from __future__ import annotations

from torch import Tensor


def squared_norm_per_sample(x: Tensor) -> Tensor:
    """The squared L2 norm of each sample: ``(batch, *features)`` to ``(batch,)``. Penalties then average over dim 0."""
    return x.square().flatten(1).sum(1)
