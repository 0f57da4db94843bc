"""The order of the data: the indices of each batch, as a function of the seed, the epoch and the position in it."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.game.random_streams import derive


class DataOrder:
    """Batches of indices. The only state is ``drawn``, the number of batches drawn.

    Shuffled batches: each epoch has a new random order. Every batch is full. If fewer than ``batch_size`` samples are left at the end of
    an epoch, the epoch skips them.

    Contiguous batches: consecutive indices from a start that is uniform in 0 .. size - batch_size - 1. (The start size - batch_size would
    also be possible, but the Keras tutorial, from which such batches come, never draws it.) An epoch has as many batches as a shuffled one.

    Args:
        size: number of samples.
        batch_size: at most ``size``; less than ``size`` for contiguous batches.
        seed: seed of the order.
        contiguous: whether batches are contiguous.
        pinned: whether the indices are in pinned memory, so that the CPU need not wait while a GPU copies them.
    """

    def __init__(self, size: int, batch_size: int, seed: int, contiguous: bool = False, pinned: bool = False) -> None:
        self.size, self.batch_size, self.seed, self.contiguous, self.pinned = size, batch_size, seed, contiguous, pinned
        self.per_epoch = size // batch_size
        self.drawn = 0
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    @property
    def epoch(self) -> int:
        """The number of completed passes over the data."""
        return self.drawn // self.per_epoch

    def peek(self) -> Tensor:
        """The indices of the next batch, int64 ``(batch_size,)`` on the CPU, without drawing it."""
        if self.contiguous:
            generator = torch.Generator().manual_seed(derive(self.seed, "contiguous batches", self.drawn))
            start = int(torch.randint(self.size - self.batch_size, (), generator=generator))  # the upper bound is exclusive
            return torch.arange(start, start + self.batch_size, pin_memory=self.pinned)
        epoch, position = divmod(self.drawn, self.per_epoch)
        if self._order[0] != epoch:
            generator = torch.Generator().manual_seed(derive(self.seed, "data order", epoch))
            self._order = (epoch, torch.randperm(self.size, generator=generator, pin_memory=self.pinned))
        return self._order[1][position * self.batch_size : (position + 1) * self.batch_size]

    def next(self) -> Tensor:
        """Draw the next batch: its indices, int64 ``(batch_size,)`` on the CPU."""
        indices = self.peek()
        self.drawn += 1
        return indices
