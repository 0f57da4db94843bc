"""Evidence by hand, for the tests of metrics."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from ganlab.components import Dataset
from ganlab.evaluation import Evidence, Judge, Samples


class Table:
    """A judge that has made up its mind: gives what it is told for the images' numbers."""

    description, identity = "a table", "7ab1e"

    def __init__(self, answers: Tensor) -> None:
        self.answers, self.classes = answers, answers.shape[1]

    def features(self, images: Tensor) -> Tensor:
        return self.answers[images]

    def probabilities(self, images: Tensor) -> Tensor:
        return self.answers[images]


class Classes:
    """A data set of which only its classes are asked."""

    def __init__(self, count: int) -> None:
        self.class_names = tuple(str(number) for number in range(count))


def seen(answers: Tensor) -> Samples:
    """Samples in which the judge sees that: features or probabilities, ``(count, columns)``."""
    return Samples(torch.arange(len(answers)), lambda: cast(Judge, Table(answers)))


def evidence(fakes: Tensor, real: Tensor, held_out: Tensor | None = None, training: Tensor | None = None) -> Evidence:
    """What a metric is shown, by what the judge sees in it."""
    held = None if held_out is None else seen(held_out)
    return Evidence(seen(fakes), seen(real), held, seen(real if training is None else training), cast(Dataset, Classes(real.shape[1])))


def measured(metric: Any, *given: Tensor | None) -> dict[str, float]:
    """What a metric finds in that :func:`evidence`."""
    found: dict[str, float] = metric.measure(evidence(*given))  # type: ignore[arg-type]
    return found


def normal(seed: int, count: int, dimensions: int) -> Tensor:
    """Standard normal features."""
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed))


def skewed(seed: int, count: int, dimensions: int) -> Tensor:
    """Features as those of networks are: of many scales, mixed, and cut off at zero."""
    mixing = normal(1000, dimensions, dimensions) * torch.logspace(-1, 1, dimensions)
    return (normal(seed, count, dimensions) @ mixing + 1).relu()
