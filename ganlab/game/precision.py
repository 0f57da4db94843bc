"""TensorFloat-32 (TF32) on NVIDIA GPUs: allowed or not inside a context. The process's own settings are restored on exit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import backends


@contextlib.contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """A context in which a GPU's float32 matrix products and convolutions may, or may not, round their factors to TF32.

    TF32 has 10 bits of mantissa in place of 23. Torch has two interfaces to this setting, and the older one may refuse to read what the
    newer one has set. This context uses the older one, as ``torch.backends.cudnn.flags(allow_tf32=...)`` does, so that code inside may use
    that function. It also restores what the process had set by the newer interface.

    Args:
        allowed: whether they may.
    """
    flags, precisions = _older_flags(), [backend.fp32_precision for backend in _newer_settings()]
    for backend in _newer_settings()[:2]:  # these two general settings would apply wherever an operation has no setting of its own
        backend.fp32_precision = "none"
    backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32 = allowed, allowed
    try:
        yield
    finally:
        backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32 = flags
        for backend, precision in zip(_newer_settings(), precisions, strict=True):
            if backend.fp32_precision != precision:
                backend.fp32_precision = precision


def _older_flags() -> tuple[bool, bool]:
    """The older flags of matrix products and of convolutions. Torch's defaults if they cannot be read because both interfaces were used."""
    try:
        return bool(backends.cuda.matmul.allow_tf32), bool(backends.cudnn.allow_tf32)
    except RuntimeError:
        return False, True


def _newer_settings() -> list[Any]:
    """Objects on which the newer interface sets a precision, from the most general to single operations. Empty before torch 2.9."""
    cudnn: Any = backends.cudnn
    return [backends, cudnn, backends.cuda.matmul, cudnn.conv, cudnn.rnn] if hasattr(backends, "fp32_precision") else []
