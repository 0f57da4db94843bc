"""Which classes the fakes fall into: those that are missing, and those that are rare."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from ganlab.components import Dataset
from ganlab.evaluation import Better, Evidence, Needs, NotMeasured, complete_of

UNSEEN = 0.5  # samples that a class counts for in which no real one is seen, so that a fake in it is unlikely and not impossible


def histogram(probabilities: Tensor) -> Tensor:
    """How many samples are most probably of each class: float64 ``(classes,)``."""
    return torch.bincount(probabilities.argmax(1), minlength=probabilities.shape[1]).double()


def kl_of_histograms(fakes: Tensor, real: Tensor) -> float:
    """KL(fakes || real) in nats, of numbers of samples; see :data:`UNSEEN`."""
    found, expected = fakes / fakes.sum(), real.clamp(min=UNSEEN) / real.sum()
    return float((torch.special.xlogy(found, found) - torch.special.xlogy(found, expected)).sum())


def by_chance(classes: int, fakes: int, real: int) -> float:
    """The mean of KL(fakes || real) where both are drawn from one law, to first order and to two digits: each histogram is off by
    ``(classes - 1) / (2 N)`` (half a chi-squared number of ``classes - 1`` degrees of freedom, Wilks 1938).

    >>> by_chance(10, 1000, 1000), by_chance(10, 10_000, 10_000), by_chance(1, 500, 500)
    (0.009, 0.0009, 0.0)
    """
    return float(f"{(classes - 1) * (1 / fakes + 1 / real) / 2:.2g}")


@dataclass
class ClassHistogram:
    """The classes that the judge sees in the fakes, held against those that the same judge sees in training samples, whose mistakes are
    thereby on both sides. A sample is of its most probable class.

    Gives ``classes``, how many are present, and ``class_kl``, the divergence KL(fakes || real) of the two histograms in nats: 0 is
    perfect; it is ``-log(share)`` where only classes that make up that share of the data are kept, and otherwise as they should be. Of a
    perfect generator that draws its classes at random it is, by chance alone, about ``(classes - 1) / N``: 0.009 for 10 classes and 1,000
    samples. That number stands beside it, as ``class_kl_by_chance``; it is not subtracted.

    A class is one of the data's when enough real samples are seen in it: where a recipe takes some classes only, a few of their samples
    are still mistaken for others. It is present when enough fakes are.

    Fakes as uneven as if less than half of the data were left (``class_kl`` above log 2) count as a collapse.

    Options:
        found_by: the share of fakes, of the share of real samples in that class, from which on a class counts as present.
        counts_by: the share of real samples, of those in the most frequent class, from which on a class is one of the data's.
    """

    found_by: Annotated[float, Field(gt=0, le=1)] = 0.1
    counts_by: Annotated[float, Field(ge=0, le=1)] = 0.05

    results: ClassVar[Mapping[str, Better]] = {"classes": "higher", "class_kl": "lower"}
    main_results: ClassVar[Sequence[str]] = ("class_kl",)
    needs: ClassVar[Needs] = "probabilities"
    quick: ClassVar[bool] = True

    def collapsed(self, values: Mapping[str, float], dataset: Dataset) -> str:
        share = math.exp(-values["class_kl"])
        return f"its classes are as uneven as if {share:.0%} of the data were left" if share < 0.5 else ""

    def measure(self, evidence: Evidence) -> dict[str, float]:
        known, there = evidence.real.probabilities.shape[1], len(complete_of(evidence.dataset).class_names)
        if known != there:
            raise NotMeasured(f"the judge knows {known:,} classes, and the data have {there}")
        fakes, real = histogram(evidence.fakes.probabilities), histogram(evidence.real.probabilities)
        counts = (real > 0) & (real >= self.counts_by * real.max())
        wanted = self.found_by * real / real.sum() * fakes.sum()  # above 0 in the classes that count
        evidence.note("classes_of_real", int(counts.sum()))
        evidence.note("class_kl_by_chance", by_chance(int(counts.sum()), int(fakes.sum()), int(real.sum())))
        return {"classes": float((counts & (fakes >= wanted)).sum()), "class_kl": kl_of_histograms(fakes, real)}
