"""Decodes image files by index, in a few threads, ahead of the training if it is told which come next."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import UsageError
from ganlab_datasets.decode import decode

AHEAD = 4  # batches that wait to be read, at most; the oldest are dropped
THREADS = 8  # at most; Pillow releases Python's lock while it decodes
SHOWN = 5  # mistakes in a message


@dataclass
class _Pending:
    images: np.ndarray  # uint8 (batch, channels, size, size), filled by the threads
    tasks: list[Future[None]]


class Reader:
    """Images by index, as uint8 ``(batch, channels, size, size)`` on the CPU.

    Args:
        paths: of the files.
        size: height and width of the decoded images.
        channels: of each image.
    """

    def __init__(self, paths: Sequence[Path], size: int, channels: int) -> None:
        self._paths, self._size, self._channels = paths, size, channels
        self._pool: ThreadPoolExecutor | None = None
        self._pending: dict[bytes, _Pending] = {}  # by indices, oldest first

    def start(self, indices: Tensor) -> None:
        """Start to decode the images at ``indices``, int64 ``(batch,)``."""
        key = indices.numpy().tobytes()
        if key in self._pending:
            return
        self._pending[key] = self._submit(indices)
        while len(self._pending) > AHEAD:
            for task in self._pending.pop(next(iter(self._pending))).tasks:
                task.cancel()

    def read(self, indices: Tensor) -> Tensor:
        """Wait for the images at ``indices``, int64 ``(batch,)``, and return them.

        Raises:
            UsageError: some files cannot be read; the message lists them.
        """
        pending = self._pending.pop(indices.numpy().tobytes(), None) or self._submit(indices)
        errors = [error for task in pending.tasks if (error := task.exception())]
        unreadable = [error for error in errors if isinstance(error, UsageError)]
        if len(errors) == 1 or len(unreadable) < len(errors):
            raise errors[0]
        if unreadable:
            more = f"\nand {len(unreadable) - SHOWN} more" if len(unreadable) > SHOWN else ""
            listed = "\n".join(sorted({error.message for error in unreadable})[:SHOWN])
            raise UsageError(f"{len(unreadable)} images cannot be used:\n{listed}{more}", unreadable[0].hint)
        return torch.from_numpy(pending.images)

    def close(self) -> None:
        """End the threads. The next call starts new ones."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool = None
        self._pending.clear()

    def _submit(self, indices: Tensor) -> _Pending:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1), thread_name_prefix="images")
        images = np.empty((len(indices), self._channels, self._size, self._size), dtype=np.uint8)
        return _Pending(images, [self._pool.submit(self._fill, images, place, index) for place, index in enumerate(indices.tolist())])

    def _fill(self, images: np.ndarray, place: int, index: int) -> None:
        images[place] = decode(self._paths[index], self._size, self._channels)  # numpy: torch would start threads
