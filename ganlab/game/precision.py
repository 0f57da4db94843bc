"""TensorFloat-32 of NVIDIA's GPUs: allowed or not while a run goes on, and afterwards as the process had it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import backends


@contextlib.contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Whether float32 matrix products and convolutions of a GPU may round their factors to TF32 (10 bits of mantissa in place of 23).

    Torch has two interfaces to this, and may refuse to be asked by the older one what was set by the newer one. Here the older one is
    used, which ``torch.backends.cudnn.flags(allow_tf32=...)`` belongs to, so that code inside may go on to use that. What the process
    had set by the newer one is put back as well.
    """
    switches, precisions = _switches(), [place.fp32_precision for place in _places()]
    for place in _places()[:2]:  # what these two say would hold where an operation's own place says nothing
        place.fp32_precision = "none"
    backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32 = allowed, allowed
    try:
        yield
    finally:
        backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32 = switches
        for place, precision in zip(_places(), precisions, strict=True):
            if place.fp32_precision != precision:
                place.fp32_precision = precision


def _switches() -> tuple[bool, bool]:
    """Of matrix products and of convolutions; torch's defaults where the process has mixed the interfaces, so that it does not say."""
    try:
        return bool(backends.cuda.matmul.allow_tf32), bool(backends.cudnn.allow_tf32)
    except RuntimeError:
        return False, True


def _places() -> list[Any]:
    """Where the newer interface keeps a precision, from the most general to single operations. Before torch 2.9 there was none."""
    cudnn: Any = backends.cudnn
    return [backends, cudnn, backends.cuda.matmul, cudnn.conv, cudnn.rnn] if hasattr(backends, "fp32_precision") else []
