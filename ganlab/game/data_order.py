"""The order of the data: which samples are shown next, as a function of the seed, the epoch and the place in it."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.game.random_streams import derive


class DataOrder:
    """Batches of indices. Its whole state is one number, ``drawn``.

    Shuffled: in a new random order every epoch. Every batch is full: what is left at the end of an epoch, fewer than
    ``batch_size`` samples, is left out until the next epoch's order brings it up.

    Contiguous: indices that follow each other, from a start uniform in 0 .. size - batch_size - 1. (The start size - batch_size
    would fit too; the Keras tutorial, where such batches come from, never draws it.) An epoch is as many batches as without it.

    Args:
        size: number of samples.
        batch_size: at most ``size``; less than it for contiguous batches.
        seed: of the run.
        contiguous: which of the two.
        pinned: put the indices where a GPU can fetch them without the host waiting for it.
    """

    def __init__(self, size: int, batch_size: int, seed: int, contiguous: bool = False, pinned: bool = False) -> None:
        self.size, self.batch_size, self.seed, self.contiguous, self.pinned = size, batch_size, seed, contiguous, pinned
        self.per_epoch = size // batch_size
        self.drawn = 0
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    @property
    def epoch(self) -> int:
        """How many times the data have been gone through."""
        return self.drawn // self.per_epoch

    def peek(self) -> Tensor:
        """The indices of the next batch: int64 ``(batch_size,)``, on the CPU."""
        if self.contiguous:
            generator = torch.Generator().manual_seed(derive(self.seed, "contiguous batches", self.drawn))
            start = int(torch.randint(self.size - self.batch_size, (), generator=generator))  # the upper end is exclusive
            return torch.arange(start, start + self.batch_size, pin_memory=self.pinned)
        epoch, place = divmod(self.drawn, self.per_epoch)
        if self._order[0] != epoch:
            generator = torch.Generator().manual_seed(derive(self.seed, "data order", epoch))
            self._order = (epoch, torch.randperm(self.size, generator=generator, pin_memory=self.pinned))
        return self._order[1][place * self.batch_size : (place + 1) * self.batch_size]

    def next(self) -> Tensor:
        """The indices of the next batch, which is then over."""
        indices = self.peek()
        self.drawn += 1
        return indices
