"""How a judge computes on a GPU: equal judges give equal answers, and equal trainings equal judges."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """cuDNN multiplies with all bits of float32 and adds up in one order, where it is used at all; then all is as before."""
    cudnn = torch.backends.cudnn
    with cudnn.flags(enabled=cudnn.enabled, deterministic=True, allow_tf32=False):  # left out, enabled would be False
        yield
