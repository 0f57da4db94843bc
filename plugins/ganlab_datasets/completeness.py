"""Checks that image files are complete, by their ends or headers, without decoding them: a cut file is found before the first step."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ganlab.errors import UsageError
from ganlab_datasets.decode import decode

PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
JPEG_END = b"\xff\xd9"
PADDING = b"\0 \r\n"  # that some programs write after the end
TAIL = 32  # bytes that are read of the end of a file
REPORT = 5.0  # seconds between two messages
log = logging.getLogger("ganlab.data")


def unreadable_files(paths: Sequence[Path], size: int, channels: int, threads: int) -> dict[int, UsageError]:
    """Find the files that are not complete.

    A file whose end or header shows that it is complete is not read further. Each other one, and each of a kind that does not show it,
    is decoded.

    Args:
        paths: of the files.
        size, channels: of the decoded images.
        threads: that read files.

    Returns:
        Errors that say why files cannot be used, by position in ``paths``.
    """
    found: dict[int, UsageError] = {}
    begun = told = time.monotonic()

    def check(position: int) -> UsageError | None:
        if not is_complete(paths[position], channels):
            try:
                decode(paths[position], size, channels)
            except UsageError as error:
                return error
        return None

    with ThreadPoolExecutor(threads, thread_name_prefix="check") as pool:
        for position, error in enumerate(pool.map(check, range(len(paths)))):
            if error is not None:
                found[position] = error
            if position % 64 == 0 and time.monotonic() - told > REPORT:
                told = time.monotonic()
                log.info("Checking images: %s of %s after %.0f s", f"{position:,}", f"{len(paths):,}", told - begun)
    return found


def is_complete(path: Path, channels: int) -> bool:
    """Whether the end or the header of a file shows that it is complete; False where it shows that it is not, or tells nothing."""
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _array_fits(path, channels)
    try:
        with open(path, "rb") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - TAIL))
            tail = file.read().rstrip(PADDING)
            if suffix == ".png":
                return tail.endswith(PNG_END.rstrip(PADDING))
            if suffix in (".jpg", ".jpeg"):
                return tail.endswith(JPEG_END)
            if suffix == ".gif":
                return tail.endswith(b";")
            file.seek(0)
            head = file.read(12)
    except OSError:
        return False
    if suffix == ".webp":
        return head[:4] == b"RIFF" and length >= 8 + int.from_bytes(head[4:8], "little")
    if suffix == ".bmp":
        return head[:2] == b"BM" and length >= int.from_bytes(head[2:6], "little") > 0
    return False


def _array_fits(path: Path, channels: int) -> bool:
    """Whether a ``.npy`` file is as long as its header says, and holds what it must. Reads the header only."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception:  # numpy raises OSError, EOFError, ValueError, SyntaxError and more for a damaged header
        return False
    if array.dtype != np.uint8 or array.ndim not in (2, 3):
        return False
    return bool((array.shape[2] if array.ndim == 3 else 1) == channels)
