"""The kernel distance of fakes from real samples in a judge's features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ganlab.evaluation import Better, Evidence, Needs, NotMeasured
from ganlab_metrics.blocks import products


def kernel_sum(left: Tensor, right: Tensor) -> float:
    """The sum of k(x, y) = (x . y / d + 1)^3 over all pairs."""
    dimensions = left.shape[1]
    return sum(float(block.div_(dimensions).add_(1).pow_(3).sum()) for _, block in products(left, right))


def within(features: Tensor) -> float:
    """The mean of k(x, x') over all pairs of two different samples."""
    count = len(features)
    with_themselves = float((features.double().square().mean(1) + 1).pow(3).sum())
    return (kernel_sum(features, features) - with_themselves) / (count * (count - 1))


def between(left: Tensor, right: Tensor) -> float:
    """The mean of k(x, y) over all pairs."""
    return kernel_sum(left, right) / (len(left) * len(right))


@dataclass
class KernelDistance:
    """The squared maximum mean discrepancy of fakes and training samples in the judge's features, with the kernel
    ``k(x, y) = (x . y / d + 1)^3`` (the KID of Bińkowski et al. 2018, arXiv:1801.01401).

        mean of k(x, x') + mean of k(y, y') - 2 mean of k(x, y), over all pairs of two different samples

    It is unbiased at any number of samples: 0 is perfect, and a good generator may be slightly below. All pairs are used at once, where
    the paper and torchmetrics average over random subsets of 1,000; that is the same number with less noise. Like the Fréchet
    distance it can be compared for one judge only. ``kernel_distance_of_held_out`` in what the evaluation says ``about`` itself is what
    held-out samples score, which tells how far from 0 chance alone may be.
    """

    results: ClassVar[Mapping[str, Better]] = {"kernel_distance": "lower"}
    main_results: ClassVar[Sequence[str]] = ("kernel_distance",)
    needs: ClassVar[Needs] = "features"
    quick: ClassVar[bool] = True

    def measure(self, evidence: Evidence) -> dict[str, float]:
        fakes, real = evidence.fakes.features, evidence.real.features
        if min(len(fakes), len(real)) < 2:
            raise NotMeasured("it needs two samples or more")
        evidence.note("feature_dimensions", real.shape[1])
        within_real = within(real)
        held_out = evidence.held_out
        if held_out is not None and len(held_out) > 1:
            usual = within(held_out.features) + within_real - 2 * between(held_out.features, real)
            evidence.note("kernel_distance_of_held_out", usual)
        return {"kernel_distance": within(fakes) + within_real - 2 * between(fakes, real)}
