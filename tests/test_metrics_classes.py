"""The classifier score and the histogram of classes."""

from __future__ import annotations

import math

import pytest
import torch
from metrics_support import evidence, measured, normal
from torch import Tensor, nn

from ganlab_metrics.histogram import ClassHistogram
from ganlab_metrics.score import ClassifierScore, classifier_score


def of(*counts: int) -> Tensor:
    """So many samples of each class, of which the judge is sure."""
    return torch.eye(len(counts))[torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))]


@pytest.mark.filterwarnings("ignore:Metric `InceptionScore` will save")
def test_the_score_is_that_of_torchmetrics_where_that_takes_all_samples_at_once() -> None:
    from torchmetrics.image.inception import InceptionScore

    logits = 3 * normal(1, 500, 10).double()
    theirs = InceptionScore(nn.Identity(), splits=1)
    theirs.update(logits)
    with pytest.warns(UserWarning, match="degrees of freedom"):
        expected = float(theirs.compute()[0])
    assert classifier_score(logits.softmax(1)) == pytest.approx(expected, rel=1e-9)


def test_the_score_of_what_is_known() -> None:
    assert classifier_score(of(7, 7, 7, 7)) == pytest.approx(4)  # clear, and equally frequent
    assert classifier_score(of(7, 0, 0, 0)) == pytest.approx(1)  # one class only
    assert classifier_score(torch.full((9, 4), 0.25)) == pytest.approx(1)  # nothing is clear
    assert classifier_score(of(3, 1)) == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))


def test_the_score_of_real_samples_stands_beside_it() -> None:
    shown = evidence(of(5, 5, 0), of(2, 2, 2))
    assert ClassifierScore().measure(shown) == {"classifier_score": pytest.approx(2)}
    assert shown.facts == {"classifier_score_of_real": pytest.approx(3)}


def histogram(fakes: Tensor, real: Tensor, **options: float) -> tuple[float, float]:
    found = measured(ClassHistogram(**options), fakes, real)
    assert list(found) == ["classes", "class_kl"]
    return found["classes"], found["class_kl"]


@pytest.mark.parametrize("kept", [1, 3, 10])
def test_kept_classes_are_counted_and_their_share_is_in_the_divergence(kept: int) -> None:
    real = [50 + 10 * number for number in range(10)]
    classes, kl = histogram(of(*real[:kept], *[0] * (10 - kept)), of(*real))
    assert (classes, kl) == (kept, pytest.approx(-math.log(sum(real[:kept]) / sum(real)), abs=1e-12))


def test_the_divergence_is_of_the_fakes_from_the_real() -> None:
    assert histogram(of(3, 1), of(1, 1))[1] == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert histogram(of(1, 1), of(3, 1))[1] == pytest.approx(0.5 * math.log(2 / 3) + 0.5 * math.log(2))


def test_the_divergence_is_finite_where_no_real_sample_is() -> None:
    assert histogram(of(50, 50), of(100, 0))[1] == pytest.approx(0.5 * math.log(0.5) + 0.5 * math.log(0.5 / 0.005))


def test_a_class_is_present_from_a_tenth_of_its_share_on() -> None:
    assert histogram(of(991, 9, 0), of(900, 100, 0))[0] == 1  # 9 of the 100 that there should be
    assert histogram(of(990, 10, 0), of(900, 100, 0))[0] == 2
    assert histogram(of(991, 9, 0), of(900, 100, 0), found_by=0.05)[0] == 2


def test_what_is_mistaken_for_a_class_is_none_of_the_datas() -> None:
    real, fakes = of(0, 990, 10), of(0, 980, 20)
    assert histogram(fakes, real)[0] == 1
    assert histogram(fakes, real, counts_by=0.01)[0] == 2
    assert histogram(fakes, real, counts_by=0.0)[0] == 2  # one without a real sample never counts
    shown = evidence(fakes, real)
    ClassHistogram().measure(shown)
    assert shown.facts["classes_of_real"] == 1


def test_few_fakes_of_many_classes_are_not_present_when_there_is_none() -> None:
    assert histogram(of(*[1] * 3, *[0] * 97), of(*[100] * 100))[0] == 3


def test_a_collapse_is_told_from_half_of_the_data_on() -> None:
    metric = ClassHistogram()
    assert metric.collapsed({"classes": 5.0, "class_kl": 0.69}, None) == ""  # type: ignore[arg-type]
    assert metric.collapsed({"classes": 3.0, "class_kl": -math.log(0.3)}, None) == (  # type: ignore[arg-type]
        "its classes are as uneven as if 30% of the data were left"
    )


@pytest.mark.parametrize(("classes", "fakes", "real"), [(10, 1000, 1000), (10, 300, 3000), (3, 500, 500)])
def test_what_chance_alone_does_to_the_divergence_stands_beside_it(classes: int, fakes: int, real: int) -> None:
    """Fakes and real samples of one law, with uneven classes, many times."""
    generator = torch.Generator().manual_seed(0)
    law = torch.linspace(1, 2, classes)
    found, facts = [], {}
    for _ in range(300):
        drawn = [torch.eye(classes)[torch.multinomial(law, count, replacement=True, generator=generator)] for count in (fakes, real)]
        shown = evidence(*drawn)
        found.append(ClassHistogram().measure(shown)["class_kl"])
        facts = shown.facts
    assert facts["class_kl_by_chance"] == pytest.approx(sum(found) / len(found), rel=0.12)
