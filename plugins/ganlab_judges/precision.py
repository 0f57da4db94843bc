"""The precision of judges on a GPU: results are reproducible."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Within this context cuDNN, if it is used, is deterministic and multiplies float32 in full precision."""
    cudnn = torch.backends.cudnn
    with cudnn.flags(enabled=cudnn.enabled, deterministic=True, allow_tf32=False):  # without it, enabled would be False
        yield
