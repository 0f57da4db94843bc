"""Precision, recall, density and coverage: against NumPy by the papers' formulas, torch-fidelity, and what is known of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metrics_support import evidence, measured, normal, skewed
from torch import Tensor

from ganlab.evaluation import NotMeasured
from ganlab_metrics import blocks
from ganlab_metrics.neighbours import Neighbours, prdc


def by_hand(fakes: Tensor, real: Tensor, k: int) -> dict[str, float]:
    """As the papers write them, sample by sample, by differences."""
    y, x = fakes.double().numpy(), real.double().numpy()

    def radius(samples: np.ndarray, i: int) -> float:
        return float(sorted(np.linalg.norm(samples[i] - other) for j, other in enumerate(samples) if j != i)[k - 1])

    real_radii, fake_radii = [radius(x, i) for i in range(len(x))], [radius(y, j) for j in range(len(y))]
    in_real = np.array([[np.linalg.norm(x[i] - y[j]) <= real_radii[i] for j in range(len(y))] for i in range(len(x))])
    in_fake = np.array([[np.linalg.norm(x[i] - y[j]) <= fake_radii[j] for j in range(len(y))] for i in range(len(x))])
    return {
        "precision": float(np.mean([in_real[:, j].any() for j in range(len(y))])),
        "recall": float(np.mean([in_fake[i].any() for i in range(len(x))])),
        "density": float(in_real.sum() / (k * len(y))),
        "coverage": float(np.mean([in_real[i].any() for i in range(len(x))])),
    }


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("numbers", [150, 1_000_000])
def test_they_are_what_the_papers_formulas_give(k: int, numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "NUMBERS", numbers)
    fakes, real = skewed(1, 60, 3) * 1.3, skewed(2, 47, 3) + 0.5
    expected = by_hand(fakes, real, k)
    assert len(set(expected.values())) == 4 and 0 < expected["recall"] < 1
    assert measured(Neighbours(k=k), fakes, real) == pytest.approx(expected, abs=1e-12)


def test_precision_and_recall_are_those_of_torch_fidelity() -> None:
    theirs = pytest.importorskip("torch_fidelity.metric_prc")
    fakes, real = skewed(1, 400, 8) * 1.2, skewed(2, 300, 8)
    found = prdc(fakes, real, 3)
    assert (found["precision"], found["recall"]) == pytest.approx(theirs.calculate_precision_recall_full(fakes, real, 3), abs=1e-6)


@pytest.mark.parametrize("k", [1, 5])
def test_of_one_law_density_is_one_and_coverage_what_theory_says(k: int) -> None:
    found = [prdc(normal(2 * seed, 500, 4), normal(2 * seed + 1, 500, 4), k) for seed in range(10)]
    assert sum(each["density"] for each in found) / 10 == pytest.approx(1, abs=0.05)
    assert sum(each["coverage"] for each in found) / 10 == pytest.approx(1 - 0.5**k, abs=0.02)


def test_fakes_that_are_far_away_have_nothing() -> None:
    assert set(prdc(normal(1, 50, 4) + 100, normal(2, 50, 4), 5).values()) == {0.0}


def test_one_sample_again_and_again_is_precise_and_covers_nothing() -> None:
    real = normal(1, 500, 4)
    centre = real[real.square().sum(1).argmin()]
    found = prdc(centre.expand(500, 4), real, 5)
    assert found["precision"] == 1.0
    assert found["recall"] <= 1 / 500
    assert found["coverage"] < 0.05
    assert found["density"] == pytest.approx(found["coverage"] * 500 / 5)


def test_a_sample_that_lies_far_from_the_origin_keeps_its_neighbours() -> None:
    fakes, real = normal(1, 100, 4), normal(2, 100, 4)
    assert prdc(fakes + 1000, real + 1000, 5) == pytest.approx(prdc(fakes, real, 5), abs=0.011)


def test_the_dimensions_are_told_and_too_few_samples_refused() -> None:
    shown = evidence(normal(1, 10, 3), normal(2, 10, 3))
    Neighbours().measure(shown)
    assert shown.facts == {"feature_dimensions": 3}
    with pytest.raises(NotMeasured, match="a sample's 5th neighbour is among more than 5 samples"):
        measured(Neighbours(), normal(1, 10, 3), normal(2, 5, 3))


def test_no_block_is_larger_than_it_may_be() -> None:
    left, right = torch.zeros(5000, 2), torch.zeros(3000, 2)
    sizes = [(rows, distances.numel()) for rows, distances in blocks.squared_distances(left, right)]
    assert max(size for _, size in sizes) <= blocks.NUMBERS
    assert [index for rows, _ in sizes for index in range(5000)[rows]] == list(range(5000))
