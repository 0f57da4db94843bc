"""The kernel distance of fakes from real samples in a judge's features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ganlab.evaluation import Better, Evidence, Needs, NotMeasured
from ganlab_metrics.blocks import products


def kernel_sum(left: Tensor, right: Tensor) -> float:
    """The sum of k(x, y) = (x . y / d + 1)^3 over all pairs."""
    dimensions = left.shape[1]
    return sum(float(block.div_(dimensions).add_(1).pow_(3).sum()) for _, block in products(left, right))


def kernel_diagonal(features: Tensor) -> float:
    """The sum of k(x, x)."""
    return float((features.double().square().mean(1) + 1).pow(3).sum())


def kernel_distance(first: Tensor, second: Tensor) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy of two sets of features, ``(n, d)`` and ``(m, d)``."""
    n, m = len(first), len(second)
    within_first = (kernel_sum(first, first) - kernel_diagonal(first)) / (n * (n - 1))
    within_second = (kernel_sum(second, second) - kernel_diagonal(second)) / (m * (m - 1))
    return within_first + within_second - 2 * kernel_sum(first, second) / (n * m)


@dataclass
class KernelDistance:
    """The squared maximum mean discrepancy of fakes and training samples in the judge's features, with the kernel
    ``k(x, y) = (x . y / d + 1)^3`` (the KID of Bińkowski et al. 2018, arXiv:1801.01401).

        mean of k(x, x') + mean of k(y, y') - 2 mean of k(x, y), over all pairs of two different samples

    It is unbiased at any number of samples: 0 is perfect, and a good generator may be slightly below. All pairs are used at once, where
    the paper and torchmetrics average over random subsets of 1,000; that is the same number with less noise. Like the Fréchet
    distance it can be compared for one judge only.
    """

    results: ClassVar[Mapping[str, Better]] = {"kernel_distance": "lower"}
    needs: ClassVar[Needs] = "features"
    quick: ClassVar[bool] = True

    def measure(self, evidence: Evidence) -> dict[str, float]:
        fakes, real = evidence.fakes.features, evidence.real.features
        if min(len(fakes), len(real)) < 2:
            raise NotMeasured("it needs two samples or more")
        evidence.note("feature_dimensions", real.shape[1])
        return {"kernel_distance": kernel_distance(fakes, real)}
