"""Reads IDX files, the format of MNIST: a magic number, the sizes, then the bytes (https://yann.lecun.com/exdb/mnist/)."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from ganlab.errors import UsageError

UNSIGNED_BYTE = 0x08  # the type of all values in MNIST's files


def find_idx(folder: Path, name: str) -> Path | None:
    """The file ``name`` in ``folder``, else ``name.gz``; None if neither exists."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def read_idx(path: Path, shape: tuple[int | None, ...]) -> np.ndarray:
    """The content of an IDX file, uint8, writable.

    Args:
        path: the file; compressed if its name ends in ``.gz``.
        shape: the shape that the file must have; None for a size of at least 1.

    Raises:
        UsageError: the file cannot be read, is damaged, or holds something else.
    """
    try:
        if path.suffix == ".gz":
            content = np.frombuffer(bytearray(gzip.decompress(path.read_bytes())), dtype=np.uint8)
        else:
            content = np.fromfile(path, dtype=np.uint8)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _damaged(path, f"it cannot be unpacked: {error}") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}", f"check its permissions: ls -l {path}") from error
    return _values(path, content, shape)


def _values(path: Path, content: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
    header, begins = 4 + 4 * len(shape), bytes((0, 0, UNSIGNED_BYTE, len(shape)))
    sizes: tuple[int, ...] = ()
    if len(content) >= header and content[:4].tobytes() == begins:
        sizes = struct.unpack(f">{len(shape)}I", content[4:header].tobytes())
    fits = bool(sizes) and all(size >= 1 if wanted is None else size == wanted for size, wanted in zip(sizes, shape, strict=True))
    if not fits or len(content) - header != math.prod(sizes):  # Python's integers: a broken header may promise more than 2**63
        expected = " x ".join("any" if size is None else str(size) for size in shape)
        raise _damaged(path, f"its {len(content)} bytes are not an IDX file of {expected} values")
    return content[header:].reshape(sizes)


def _damaged(path: Path, why: str) -> UsageError:
    return UsageError(f"{path} is damaged: {why}", f"delete it and run again to download it anew: rm '{path}'")
