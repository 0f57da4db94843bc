"""All image metrics on samples of which the truth is known, as a run asks them: scikit-learn's digits, in three parts.

The judge's features are a fixed random projection; of an image it says the true class, which it looks up.
"""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from engine_support import Plugin
from torch import Tensor

import ganlab
from ganlab.evaluation import JudgeSpec
from ganlab.quality.evaluator import Evaluator
from ganlab.quality.report import Report
from ganlab.testing import prepare

NAMES = ("frechet_distance", "kernel_distance", "neighbours", "classifier_score", "class_histogram", "memorisation")


@cache
def digits() -> tuple[Tensor, Tensor]:
    """1,797 images in [0, 1], in one order for all tests, and their classes."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(4))
    return torch.from_numpy(images).float()[order].reshape(-1, 1, 8, 8) / 16, torch.from_numpy(labels).long()[order]


def part(number: int) -> tuple[Tensor, Tensor]:
    """One of three parts: to train on, held out, and new ones that stand in for a perfect generator's."""
    images, labels = digits()
    return images[599 * number : 599 * (number + 1)], labels[599 * number : 599 * (number + 1)]


def split(spec: ganlab.DatasetSpec, *, keep: int = 10, holds_out: bool = True) -> ganlab.ResidentDataset:
    names = tuple("0123456789")

    def only(number: int) -> tuple[Tensor, Tensor]:
        images, labels = part(number)
        return images[labels < keep], labels[labels < keep]

    def held_out() -> ganlab.ResidentDataset | None:
        return ganlab.ResidentDataset(*only(1), range=(0.0, 1.0), class_names=names[:keep]) if holds_out else None

    def complete() -> ganlab.ResidentDataset:
        return ganlab.ResidentDataset(*part(0), range=(0.0, 1.0), class_names=names)

    return ganlab.ResidentDataset(*only(0), range=(0.0, 1.0), class_names=names[:keep], held_out=held_out, complete=complete)


class Knowing:
    """Knows each digit; what is none is of the class of the nearest."""

    description, identity, classes = "all-knowing", "a11", 10

    def __init__(self, spec: JudgeSpec) -> None:
        self.projection = torch.randn(64, 64, generator=torch.Generator().manual_seed(1)) / 4

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.projection

    def probabilities(self, images: Tensor) -> Tensor:
        known, labels = digits()
        return torch.eye(10)[labels[torch.cdist(images.flatten(1), known.flatten(1)).argmin(1)]]


PLUGINS = (Plugin(datasets={"split": split}, judges={"knowing": Knowing}),)


def evaluator(data: str = '{use="split"}') -> Evaluator:
    metrics = [f'metrics.{name}={{use="{name}"}}' for name in NAMES]
    run = prepare(steps=1, overrides=[f"data={data}", 'judge={use="knowing"}', *metrics], plugins=PLUGINS)
    return run.evaluations.evaluator


@pytest.fixture(scope="module")
def digits_evaluator() -> Evaluator:
    return evaluator()


@cache
def sure(found: Evaluator, what: str) -> Report:
    """The report on samples of that kind."""
    return found.measure(SAMPLES[what](), quick=False)


def noise() -> Tensor:
    return torch.rand(599, 1, 8, 8, generator=torch.Generator().manual_seed(2))


SAMPLES = {
    "new": lambda: part(2)[0],
    "copies": lambda: part(0)[0],
    "one": lambda: part(2)[0][:1].expand(599, 1, 8, 8),
    "noise": noise,
}


def test_real_images_score_at_the_floor(digits_evaluator: Evaluator) -> None:
    report = sure(digits_evaluator, "new")
    values = report.values
    assert report.missing == {} and len(values) == 12
    assert 0.7 < values["frechet_ratio"] < 1.3
    assert abs(values["kernel_distance"]) < 0.002 * sure(digits_evaluator, "noise").values["kernel_distance"]
    assert values["precision"] > 0.7 and values["recall"] > 0.7
    assert values["density"] == pytest.approx(1, abs=0.1) and values["coverage"] == pytest.approx(0.97, abs=0.03)
    assert values["classes"] == 10 and 0 < values["class_kl"] < 0.03  # 9 / 599 by chance
    assert values["classifier_score"] == pytest.approx(10, abs=0.15)
    assert values["memorisation"] == pytest.approx(1, abs=0.07)
    assert report.collapsed == ""
    assert report.main_results == ["frechet_ratio", "frechet_distance", "kernel_distance", "coverage", "class_kl"]


def test_what_the_numbers_are_of_stands_beside_them(digits_evaluator: Evaluator) -> None:
    about = sure(digits_evaluator, "new").about
    assert (about["samples"], about["real"], about["held_out"], about["feature_dimensions"]) == (599, 599, 599, 64)
    assert about["frechet_floor"] == "599 held-out against 599 training samples"
    assert (about["classes_of_real"], about["memorisation_training"], about["judge"]) == (10, 599, "all-knowing")
    assert about["classifier_score_of_real"] == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize("kept", [1, 3, 7])
def test_kept_classes_are_counted_and_their_share_is_seen(digits_evaluator: Evaluator, kept: int) -> None:
    images, labels = part(0)
    share = float((labels < kept).double().mean())
    values = digits_evaluator.measure(images[labels < kept].repeat(10, 1, 1, 1), quick=True).values
    assert values["classes"] == kept
    assert values["class_kl"] == pytest.approx(-math.log(share), abs=1e-9)
    images, labels = part(2)
    values = digits_evaluator.measure(images[labels < kept].repeat(20, 1, 1, 1)[:599], quick=True).values  # the measures depend on N
    assert values["coverage"] == pytest.approx(share * 0.97, abs=0.06)
    assert values["classifier_score"] == pytest.approx(kept, rel=0.02)
    assert values["frechet_ratio"] > 3


def test_a_recipe_of_one_class_has_one(digits_evaluator: Evaluator) -> None:
    images, labels = part(2)
    report = evaluator('{use="split",keep=1}').measure(images[labels < 1], quick=False)
    assert (report.values["classes"], report.values["class_kl"], report.about["classes_of_real"]) == (1.0, pytest.approx(0), 1)
    assert report.values["coverage"] > 0.9 and 0.5 < report.values["frechet_ratio"] < 1.6
    assert report.collapsed == ""


def test_one_image_again_and_again(digits_evaluator: Evaluator) -> None:
    report = sure(digits_evaluator, "one")
    assert report.values["classifier_score"] == pytest.approx(1)
    assert report.values["coverage"] < 0.03 and report.values["recall"] < 0.01
    assert (report.values["classes"], report.values["class_kl"]) == (1.0, pytest.approx(math.log(10), abs=0.2))
    assert report.values["frechet_ratio"] > 20
    assert report.collapsed.startswith("its classes are as uneven as if ")


def test_noise_is_far_away(digits_evaluator: Evaluator) -> None:
    values, new = sure(digits_evaluator, "noise").values, sure(digits_evaluator, "new").values
    assert values["frechet_ratio"] > 20 * new["frechet_ratio"]
    assert values["coverage"] < 0.05 and values["density"] < 0.1 and values["precision"] < 0.1
    assert values["memorisation"] > 1.5


def test_copies_of_training_images_are_found_out_by_memorisation_alone(digits_evaluator: Evaluator) -> None:
    values = sure(digits_evaluator, "copies").values
    assert values["memorisation"] < 1e-3
    assert values["frechet_distance"] < 1e-6
    assert (values["precision"], values["recall"], values["coverage"]) == (1.0, 1.0, 1.0)


def test_without_held_out_images(digits_evaluator: Evaluator) -> None:
    report = evaluator('{use="split",holds_out=false}').measure(part(2)[0], quick=False)
    assert report.missing == {"memorisation": "the data have no held-out samples"}
    assert report.about["frechet_floor"].startswith("299 training samples against 299 others")
    assert 0.6 < report.values["frechet_ratio"] < 1.5
    kept = set(report.values) | {"memorisation"}
    assert kept == set(sure(digits_evaluator, "new").values)


def test_it_is_the_same_every_time() -> None:
    found = [evaluator(data).measure(noise(), quick=False).values for data in ['{use="split",holds_out=false}'] * 2]
    assert found[0] == found[1]


def test_quick_ones_leave_memorisation_to_the_end(digits_evaluator: Evaluator) -> None:
    quick = digits_evaluator.measure(part(2)[0], quick=True).values
    assert set(sure(digits_evaluator, "new").values) - set(quick) == {"memorisation"}
