"""The Fréchet distance: against SciPy's matrix square root, against closed forms, and what its floor is made of."""

from __future__ import annotations

import subprocess
import sys
from statistics import mean, stdev

import numpy as np
import pytest
import scipy.linalg
import torch
from metrics_support import evidence, measured, normal, skewed
from torch import Tensor

from ganlab.evaluation import NotMeasured
from ganlab_metrics.frechet import FrechetDistance, frechet


def by_square_root(first: Tensor, second: Tensor) -> float:
    """As Heusel et al. write it."""
    one, two = first.double().numpy(), second.double().numpy()
    between = one.mean(0) - two.mean(0)
    one_cov, two_cov = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    root = scipy.linalg.sqrtm(one_cov @ two_cov)
    return float(between @ between + np.trace(one_cov + two_cov - 2 * np.real(root)))


@pytest.mark.parametrize(("count", "other", "dimensions"), [(300, 300, 8), (500, 200, 32), (1000, 1000, 128)])
def test_it_is_that_of_the_matrix_square_root(count: int, other: int, dimensions: int) -> None:
    first, second = skewed(1, count, dimensions), 0.7 * skewed(2, other, dimensions) + 0.3
    assert frechet(first, second) == pytest.approx(by_square_root(first, second), rel=1e-9)


def test_it_is_that_of_torchmetrics() -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    class AsTheyAre(torch.nn.Module):
        num_features = 16

        def forward(self, features: Tensor) -> Tensor:
            return features

    first, second = skewed(1, 400, 16).double(), skewed(2, 300, 16).double() + 1
    theirs = FrechetInceptionDistance(AsTheyAre(), sync_on_compute=False)
    theirs.update(first, real=True)
    theirs.update(second, real=False)
    assert frechet(first, second) == pytest.approx(float(theirs.compute()), rel=1e-9)


def test_fewer_samples_than_dimensions_do_no_harm() -> None:
    first, second = skewed(1, 20, 32).double(), skewed(2, 20, 32).double() + 1
    theirs = by_square_root(first, second)
    assert frechet(first, second) == pytest.approx(theirs, rel=1e-5)  # a root of what is singular is not exact


def test_it_is_that_of_torch_fidelity() -> None:
    fid = pytest.importorskip("torch_fidelity.metric_fid")
    first, second = skewed(1, 400, 16).double(), skewed(2, 300, 16).double() + 1
    one, two = fid.fid_features_to_statistics(first), fid.fid_features_to_statistics(second)
    theirs = fid.fid_statistics_to_metric(one, two, False)["frechet_inception_distance"]
    assert frechet(first, second) == pytest.approx(theirs, rel=1e-6)


def test_of_a_shift_it_is_the_square_of_it() -> None:
    features = skewed(1, 500, 16)
    shift = torch.linspace(-1, 2, 16)
    assert frechet(features, features + shift) == pytest.approx(float(shift.double().square().sum()), rel=1e-5)
    assert frechet(features, features) == pytest.approx(0, abs=1e-9 * float(features.square().sum()))


def test_of_a_scaled_covariance_it_is_the_square_of_what_the_root_grows_by() -> None:
    features = skewed(1, 500, 16).double()
    about_the_mean = features - features.mean(0)
    total = float(about_the_mean.square().sum() / 499)  # the trace of the covariance
    assert frechet(features, features.mean(0) + 3 * about_the_mean) == pytest.approx((3 - 1) ** 2 * total, rel=1e-9)


@pytest.mark.parametrize(("count", "dimensions"), [(1000, 8), (2000, 64)])
def test_of_equal_gaussians_it_is_what_theory_says(count: int, dimensions: int) -> None:
    expected = (2 * dimensions + dimensions * (dimensions + 1) / 2) / count
    found = [frechet(normal(2 * seed, count, dimensions), normal(2 * seed + 1, count, dimensions)) for seed in range(20)]
    error = stdev(found) / 20**0.5
    assert abs(mean(found) - expected) < 3 * error + 2 * expected * dimensions / count  # the theory is of the first order in d / N


def test_a_covariance_of_fewer_samples_than_dimensions_is_measured() -> None:
    first, second = normal(1, 20, 64), normal(2, 20, 64)
    assert frechet(first, second) == pytest.approx(by_square_root(first, second), rel=1e-3)
    one = normal(1, 1, 64).expand(20, 64)
    assert frechet(one, second) == pytest.approx(float((one[0] - second.mean(0)).square().sum() + second.var(0).sum()), rel=1e-5)


# -- the floor -------------------------------------------------------------------------------------------------------------


def about(*given: Tensor | None) -> tuple[dict[str, float], dict[str, str | int | float]]:
    torch.manual_seed(3)
    shown = evidence(*given)  # type: ignore[arg-type]
    return FrechetDistance().measure(shown), shown.facts


def test_the_floor_is_of_held_out_samples() -> None:
    fakes, real, held_out = normal(1, 500, 8) + 1, normal(2, 500, 8), normal(3, 500, 8)
    values, facts = about(fakes, real, held_out)
    assert values["frechet_distance"] == pytest.approx(frechet(fakes, real))
    assert values["frechet_floor"] == pytest.approx(frechet(held_out, real))
    assert values["frechet_ratio"] == pytest.approx(values["frechet_distance"] / values["frechet_floor"])
    assert facts == {"feature_dimensions": 8, "frechet_floor": "500 held-out against 500 training samples"}


def test_a_perfect_generator_is_at_the_floor_however_few_are_held_out() -> None:
    ratios = []
    for seed in range(10):
        values, facts = about(*(normal(10 * seed + part, count, 16) for part, count in enumerate((2000, 2000, 100))))
        ratios.append(values["frechet_ratio"])
        assert values["frechet_distance"] < values["frechet_floor"] / 4  # which is why the one is not divided by the other
        assert facts["frechet_floor"] == "100 held-out against 2,000 training samples"
    assert mean(ratios) == pytest.approx(1, abs=0.15)


def test_without_held_out_samples_the_floor_is_between_two_halves() -> None:
    ratios = []
    for seed in range(10):
        order = torch.arange(1001)[:, None] / 1000  # real samples come in the data's order: that must not tell the halves apart
        fakes, real = normal(seed, 1001, 16), normal(100 + seed, 1001, 16)
        values, facts = about(torch.cat([fakes, order], 1), torch.cat([real, order], 1))
        ratios.append(values["frechet_ratio"])
        assert values["frechet_floor"] == pytest.approx((2 * 16 + 16 * 17 / 2) / 500, rel=0.3)
        assert facts["frechet_floor"] == "500 training samples against 500 others, for none are held out; the ratio is of 500 fakes"
    assert mean(ratios) == pytest.approx(1, abs=0.15)


def test_features_that_are_all_alike_have_no_ratio() -> None:
    assert measured(FrechetDistance(), torch.ones(10, 2), torch.zeros(10, 2)) == {"frechet_distance": 2.0, "frechet_floor": 0.0}


def test_three_samples_are_too_few() -> None:
    with pytest.raises(NotMeasured, match="a covariance needs more than 3 samples"):
        measured(FrechetDistance(), normal(1, 10, 2), normal(2, 3, 2))


def test_loading_a_recipe_does_not_import_torchmetrics() -> None:
    code = (
        "import sys; from ganlab.registry.catalogue import Catalogue; from ganlab.recipe import load_recipe; "
        "from ganlab.game.build import make; "
        "metrics = [make(choice) for choice in load_recipe('mnist_mlp', Catalogue.of_installed()).metrics]; "
        "print(len(metrics), [name for name in sys.modules if name.partition('.')[0] in ('torchmetrics', 'scipy', 'sklearn')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "7 []\n"
