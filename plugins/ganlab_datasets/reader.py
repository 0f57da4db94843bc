"""Decodes image files by index, in a few threads, ahead of the training if it is told which come next."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import UsageError
from ganlab_datasets.decode import UnreadableImage, decode

AHEAD = 4  # batches that wait to be read, at most; the oldest are dropped
THREADS = 8  # at most; Pillow releases Python's lock while it decodes
SHOWN = 20  # files in a message


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
        substitutes: returns the indices of images that may take the place of an unreadable one, the best first; None: there are none.

    Attributes:
        unreadable: for each file that could not be read and was replaced, by index: the substitute's index, and the reason.
    """

    def __init__(self, paths: Sequence[Path], size: int, channels: int, substitutes: Callable[[int], Iterable[int]] | None = None) -> None:
        self._paths, self._size, self._channels, self._substitutes = paths, size, channels, substitutes
        self.unreadable: dict[int, tuple[int, str]] = {}
        self._failed: set[int] = set()  # indices that could not be decoded: not tried again as substitutes of others
        self._pool: ThreadPoolExecutor | None = None
        self._pending: dict[bytes, _Pending] = {}  # by indices, oldest first

    @property
    def threads(self) -> int:
        """How many threads read files."""
        return min(THREADS, os.cpu_count() or 1)

    @property
    def has_substitutes(self) -> bool:
        """Whether other images take the place of unreadable ones."""
        return self._substitutes is not None

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
        unusable = [error for error in errors if isinstance(error, UsageError)]
        if len(unusable) < len(errors):
            raise next(error for error in errors if not isinstance(error, UsageError))
        if unusable:
            raise all_unusable(unusable, self.has_substitutes) from unusable[0]
        return torch.from_numpy(pending.images)

    def close(self) -> None:
        """End the threads. The next call starts new ones."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool = None
        self._pending.clear()

    def _submit(self, indices: Tensor) -> _Pending:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="images")
        images = np.empty((len(indices), self._channels, self._size, self._size), dtype=np.uint8)
        return _Pending(images, [self._pool.submit(self._fill, images, place, index) for place, index in enumerate(indices.tolist())])

    def _fill(self, images: np.ndarray, place: int, index: int) -> None:
        try:
            images[place] = decode(self._paths[index], self._size, self._channels)  # numpy: torch would start threads
        except UsageError as error:
            if self._substitutes is None:
                raise
            self._failed.add(index)
            images[place] = self._decode_substitute(index, error)

    def _decode_substitute(self, index: int, error: UsageError) -> np.ndarray:
        """The first image that can be read of those that may take the place of the one at ``index``."""
        assert self._substitutes is not None
        for substitute in self._substitutes(index):
            if substitute in self._failed:
                continue
            try:
                image = decode(self._paths[substitute], self._size, self._channels)
            except UsageError:
                self._failed.add(substitute)
            else:
                self.unreadable[index] = substitute, error.message
                return image
        raise error


def all_unusable(errors: Sequence[UsageError], skipping: bool) -> UsageError:
    """One error for several files.

    Args:
        errors: why each of them cannot be used.
        skipping: other images were to take their places, but no readable one was found.
    """
    hints = list(dict.fromkeys(error.hint for error in errors))
    if skipping:
        hints.append("no image of the same class that could take its place can be read")
    elif any(isinstance(error, UnreadableImage) for error in errors):
        hints.append("or use other images instead: `--set data.unreadable=skip`")
    hint, listed = "\n".join(hints), sorted({error.message for error in errors})
    if len(listed) == 1:
        return UsageError(listed[0], hint)
    more = f"\nand {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return UsageError(f"{len(listed)} images cannot be used:\n{chr(10).join(listed[:SHOWN])}{more}", hint)
