"""Reductions that keep the rule of lanes: batch first, lanes last, and nothing else mixed."""

from __future__ import annotations

from torch import Tensor


def squared_norm_per_sample(x: Tensor) -> Tensor:
    """The squared L2 norm of each sample: ``(batch, *features)`` to ``(batch,)``. Penalties then take the mean over dim 0."""
    return x.square().flatten(1).sum(1)
