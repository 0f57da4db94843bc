"""The kernel distance: against a double loop, torchmetrics, and what is known of it."""

from __future__ import annotations

import warnings
from statistics import mean, stdev

import pytest
import torch
from metrics_support import evidence, measured, normal, skewed
from torch import Tensor, nn

from ganlab.evaluation import NotMeasured
from ganlab_metrics import blocks
from ganlab_metrics.kernel import KernelDistance


def kernel_distance(first: Tensor, second: Tensor) -> float:
    return measured(KernelDistance(), first, second)["kernel_distance"]


def by_hand(first: Tensor, second: Tensor) -> float:
    """All pairs, one after the other."""
    one, two = first.double().tolist(), second.double().tolist()

    def k(x: list[float], y: list[float]) -> float:
        return float((sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3)

    within_one = mean(k(x, y) for i, x in enumerate(one) for j, y in enumerate(one) if i != j)
    within_two = mean(k(x, y) for i, x in enumerate(two) for j, y in enumerate(two) if i != j)
    return within_one + within_two - 2 * mean(k(x, y) for x in one for y in two)


def test_it_is_what_a_double_loop_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "NUMBERS", 100)
    first, second = skewed(1, 40, 3), skewed(2, 31, 3) + 0.5
    assert kernel_distance(first, second) == pytest.approx(by_hand(first, second), rel=1e-9)


def test_it_is_that_of_torchmetrics_where_that_takes_all_samples() -> None:
    from torchmetrics.image.kid import KernelInceptionDistance

    first, second = skewed(1, 300, 16).double(), skewed(2, 300, 16).double() * 1.1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it keeps the features
        theirs = KernelInceptionDistance(nn.Identity(), subsets=1, subset_size=300)
    theirs.update(first, real=True)
    theirs.update(second, real=False)
    assert kernel_distance(first, second) == pytest.approx(float(theirs.compute()[0]), rel=1e-9)


@pytest.mark.parametrize("count", [20, 400])
def test_it_is_zero_on_average_for_one_law(count: int) -> None:
    found = [kernel_distance(normal(2 * seed, count, 4), normal(2 * seed + 1, count, 4)) for seed in range(300)]
    assert abs(mean(found)) < 3 * stdev(found) / 300**0.5
    assert min(found) < 0


def test_of_a_shift_it_is_what_the_kernel_makes_of_it() -> None:
    # for points at 0 and at a, with d = 1: k(0, 0) + k(a, a) - 2 k(0, a) = 1 + (a^2 + 1)^3 - 2
    assert kernel_distance(torch.zeros(10, 1), torch.full((20, 1), 2.0)) == pytest.approx(124)


def test_it_needs_two_samples() -> None:
    with pytest.raises(NotMeasured, match="it needs two samples or more"):
        measured(KernelDistance(), normal(1, 1, 2), normal(2, 3, 2))


def test_what_held_out_samples_score_stands_beside_it() -> None:
    fakes, real, held_out = skewed(1, 50, 3), skewed(2, 60, 3), skewed(3, 40, 3) + 1
    shown = evidence(fakes, real, held_out)
    assert KernelDistance().measure(shown) == {"kernel_distance": pytest.approx(by_hand(fakes, real), rel=1e-9)}
    assert shown.facts == {"feature_dimensions": 3, "kernel_distance_of_held_out": pytest.approx(by_hand(held_out, real), rel=1e-9)}
