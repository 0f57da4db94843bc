"""Memorisation: how near fakes are to training samples, against others that were never trained on."""

from __future__ import annotations

import pytest
import torch
from metrics_support import evidence, measured, normal
from torch import Tensor

from ganlab.evaluation import NotMeasured
from ganlab_metrics import blocks
from ganlab_metrics.memorisation import Memorisation, nearest

TRAINING, REAL, HELD_OUT, NEW = (normal(seed, count, 8) for seed, count in ((1, 3000), (2, 500), (3, 500), (4, 500)))


def ratio(fakes: Tensor, **options: int) -> float:
    return measured(Memorisation(**options), fakes, REAL, HELD_OUT, TRAINING)["memorisation"]


def test_the_nearest_is_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "NUMBERS", 1000)
    expected = torch.tensor([min(float((new - old).norm()) for old in TRAINING[:300]) for new in NEW[:20]])
    assert nearest(NEW[:20], TRAINING[:300]).float().tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_it_is_the_ratio_of_the_means() -> None:
    expected = nearest(NEW, TRAINING).mean() / nearest(HELD_OUT, TRAINING).mean()
    assert ratio(NEW) == pytest.approx(float(expected), rel=1e-12)


def test_new_samples_are_as_far_as_held_out_ones() -> None:
    assert ratio(NEW) == pytest.approx(1, abs=0.05)


def test_copies_are_nothing_away_and_half_of_them_half() -> None:
    assert ratio(TRAINING[:500]) < 1e-6
    assert ratio(torch.cat([TRAINING[:250], NEW[:250]])) == pytest.approx(0.5, abs=0.05)
    assert ratio(NEW + 100) > 10


def test_all_training_samples_are_searched_and_told_of() -> None:
    assert ratio(TRAINING[-500:]) < 1e-6
    shown = evidence(NEW, REAL, HELD_OUT, TRAINING)
    Memorisation().measure(shown)
    assert shown.facts == {"memorisation_training": 3000}


def test_no_more_are_looked_at_than_it_says() -> None:
    assert ratio(torch.cat([TRAINING[:50], NEW]), samples=50) < 1e-6
    expected = nearest(NEW[:100], TRAINING).mean() / nearest(HELD_OUT[:100], TRAINING).mean()
    assert ratio(NEW, samples=100) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize(
    ("held_out", "why"),
    [(None, "the data have no held-out samples"), (TRAINING[:1], "all held-out samples are among those that are trained on")],
)
def test_without_held_out_samples_nothing_is_said(held_out: Tensor | None, why: str) -> None:
    with pytest.raises(NotMeasured) as told:
        measured(Memorisation(), NEW, REAL, held_out, TRAINING)
    assert told.value.message == why
