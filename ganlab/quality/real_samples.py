"""The real samples that fakes are compared with: the same ones in every run of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from ganlab.components import Dataset
from ganlab.errors import GanlabError
from ganlab.evaluation import CHUNK, Judge, Samples, held_out_of, pictures
from ganlab.game.blame import blamed
from ganlab.game.random_streams import derive

Split = Literal["real", "held out"]  # training data, data that are never trained on; part of the random streams' names


class RealSamples:
    """Selects real samples of a data set.

    Args:
        dataset: the training data, placed.
        use: the data set's name in the recipe, for error messages.
        judge: returns the judge that the samples ask for features and probabilities.
        warn: announces that there are no held-out data, though the data set should have some.
    """

    def __init__(self, dataset: Dataset, use: str, judge: Callable[[], Judge], warn: Callable[[str], None]) -> None:
        self.dataset, self.use, self.judge, self.warn = dataset, use, judge, warn
        self._selected: dict[tuple[Split, int], Samples | None] = {}

    def select(self, split: Split, count: int) -> Samples | None:
        """Select ``count`` samples, or fewer if there are fewer. They are cached, with what the judge computes for them.

        Returns:
            The samples; None if the data set has no held-out data.
        """
        if (split, count) not in self._selected:
            source = self.dataset if split == "real" else self.held_out
            self._selected[split, count] = None if source is None else self._samples(source, split, count)
        return self._selected[split, count]

    def labels(self, count: int) -> Tensor | None:
        """Labels for ``count`` fakes: those of the real samples that the fakes are compared with, so that both have one distribution.

        Returns:
            ``(count,)``, on the CPU. If the samples have no labels: all classes in turn; None if there are no classes either.
        """
        parts = [self.dataset.fetch(part).labels for part in torch.split(_order(self.dataset, "real", count), CHUNK)]
        labels = [part.cpu() for part in parts if part is not None]
        if len(labels) == len(parts):
            return torch.cat(labels)
        return torch.arange(count) % len(self.dataset.class_names) if self.dataset.class_names else None

    @cached_property
    def held_out(self) -> Dataset | None:
        """The held-out data, on the CPU in float32; None if the data set has none, or fails to provide them."""
        try:
            with blamed(f"dataset '{self.use}', in held_out(),"):
                held_out = held_out_of(self.dataset)
                if held_out is not None:
                    held_out.place(torch.device("cpu"), torch.float32)
        except GanlabError as error:
            self.warn(f"Samples are not compared with held-out data. {error}")
            return None
        return held_out

    def _samples(self, source: Dataset, split: Split, count: int) -> Samples:
        order = _order(source, split, count)

        def parts() -> Iterator[Tensor]:
            for start in range(0, len(order), CHUNK):
                yield pictures(source, source.fetch(order[start : start + CHUNK]).images)

        return Samples(parts, self.judge, len(order))


def _order(source: Dataset, split: Split, count: int) -> Tensor:
    """Indices of the selected samples, ``(count,)``, in random order: the first of them are a fair selection, too."""
    return torch.randperm(len(source), generator=torch.Generator().manual_seed(derive(0, "evaluation", split)))[:count]
