"""Checks that image files are complete, by their ends, without decoding them: a cut file is found before the first step."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ganlab.errors import UsageError
from ganlab_datasets.decode import decode

PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
JPEG_END = b"\xff\xd9"
PADDING = b"\0 \r\n"  # that some programs write after the end
TAIL = 32  # bytes that are read of the end of a file
REPORT = 5.0  # seconds between two messages
log = logging.getLogger("ganlab.data")


def unreadable_files(paths: Sequence[Path], size: int, channels: int, threads: int) -> dict[int, str]:
    """Find the files that are not complete.

    A file whose end is as it must be is taken for complete. Each other one, and each of a kind whose end tells nothing, is decoded.

    Args:
        paths: of the files.
        size, channels: of the decoded images.
        threads: that read files.

    Returns:
        Why a file cannot be read, by its position in ``paths``.
    """
    found: dict[int, str] = {}
    begun = told = time.monotonic()

    def check(position: int) -> str:
        if ends_well(paths[position]):
            return ""
        try:
            decode(paths[position], size, channels)
        except UsageError as error:
            return error.message
        return ""

    with ThreadPoolExecutor(threads, thread_name_prefix="check") as pool:
        for position, reason in enumerate(pool.map(check, range(len(paths)))):
            if reason:
                found[position] = reason
            if position % 64 == 0 and time.monotonic() - told > REPORT:
                told = time.monotonic()
                log.info("Checking images: %s of %s after %.0f s", f"{position:,}", f"{len(paths):,}", told - begun)
    return found


def ends_well(path: Path) -> bool:
    """Whether the end of a file shows that it is complete; False where it shows that it is not, or tells nothing."""
    suffix = path.suffix.lower()
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
