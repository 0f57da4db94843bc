"""Data that need neither files nor a network: scikit-learn's digits, and mixtures of Gaussians."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from ganlab.components import Dataset, DatasetSpec
from ganlab.errors import UsageError
from ganlab_datasets import digits, grid, ring


def spec(seed: int = 0) -> DatasetSpec:
    return DatasetSpec(Path("nowhere"), seed, download=False)


def test_digits_are_laid_out_as_mnist_is() -> None:
    data: Dataset = digits(spec())
    batch = data.fetch(torch.arange(len(data)))
    assert (len(data), data.shape, data.range, len(data.class_names)) == (1797, (1, 28, 28), (-1.0, 1.0), 10)
    assert batch.labels is not None
    assert batch.labels.tolist() == load_digits().target.tolist()
    ink = batch.images.add(1).div(2)
    assert [float(ink.min()), float(ink.max())] == pytest.approx([0.0, 1.0])
    margin = ink.clone()
    margin[:, :, 4:24, 4:24] = 0
    assert not margin.any()  # nothing in the 4 pixels at each side
    assert ink[:, :, 4].any()  # and the box of 20 x 20 is used up to its edge
    assert ink[:, :, 23].any()
    assert 0.08 < float(ink.mean()) < 0.18  # MNIST's mean is 0.13


def test_enlarged_digits_are_the_small_ones() -> None:
    """Their averages over the places of the 64 small pixels are nearest to the image that they were made from."""
    data = digits(spec())
    small = torch.from_numpy(load_digits().images).float().flatten(1) / 16
    boxes = data.images[:, :, 4:24, 4:24].float() / 255
    averaged = torch.nn.functional.adaptive_avg_pool2d(boxes, 8).flatten(1)
    assert torch.equal(torch.cdist(averaged[:300], small).argmin(1), torch.arange(300))


def test_digits_take_a_range_and_classes() -> None:
    data = digits(spec(), range=(0.0, 1.0), classes=(0, "7"))
    batch = data.fetch(torch.arange(len(data)))
    assert [float(batch.images.min()), float(batch.images.max())] == pytest.approx([0.0, 1.0])
    target = load_digits().target
    assert batch.labels is not None
    assert batch.labels.tolist() == [int(label == 7) for label in target if label in (0, 7)]
    assert data.class_names == ("0", "7")
    with pytest.raises(UsageError, match="there is no class 10"):
        digits(spec(), classes=(10,))


def test_ring_has_its_modes_on_a_circle() -> None:
    data: Dataset = ring(spec(), modes=5, radius=3.0, standard_deviation=0.1, samples=50_000)
    batch = data.fetch(torch.arange(len(data)))
    assert batch.labels is not None
    assert (data.shape, data.range, list(data.class_names)) == ((2,), None, [f"mode {mode}" for mode in range(5)])
    assert torch.bincount(batch.labels).tolist() == [10_000] * 5
    for mode in range(5):
        points = batch.images[batch.labels == mode]
        angle = 2 * math.pi * mode / 5
        assert points.mean(0).tolist() == pytest.approx([3 * math.cos(angle), 3 * math.sin(angle)], abs=0.005)
        assert points.std(0).tolist() == pytest.approx([0.1, 0.1], rel=0.03)
        assert float(torch.corrcoef(points.T)[0, 1]) == pytest.approx(0, abs=0.04)


def test_grid_has_its_modes_row_by_row() -> None:
    data = grid(spec(), side=3, spacing=4.0, standard_deviation=0.5, samples=90_000)
    batch = data.fetch(torch.arange(len(data)))
    assert batch.labels is not None
    means = torch.stack([batch.images[batch.labels == mode].mean(0) for mode in range(9)])
    expected = [[x, y] for x in (-4.0, 0.0, 4.0) for y in (-4.0, 0.0, 4.0)]
    assert np.abs(means.numpy() - np.array(expected)).max() < 0.03
    assert data.centres.tolist() == expected
    assert float((batch.images - data.centres[batch.labels]).std()) == pytest.approx(0.5, rel=0.02)


def test_defaults_are_the_papers() -> None:
    circle, square = ring(spec()), grid(spec())
    assert circle.centres.norm(dim=1).tolist() == pytest.approx([2.0] * 8)
    assert (len(square.centres), square.centres.abs().max().item()) == (25, 4.0)
    assert (circle.standard_deviation, square.standard_deviation, len(circle), len(square)) == (0.02, 0.05, 100_000, 100_000)


@pytest.mark.parametrize("factory", [ring, grid])
def test_points_come_from_the_seed_alone(factory: type) -> None:
    torch.manual_seed(1)
    first = factory(spec(7), samples=100)
    before = torch.random.get_rng_state()
    second = factory(spec(7), samples=100)
    assert torch.equal(first.images, second.images)
    assert first.fingerprint() == second.fingerprint() != factory(spec(8), samples=100).fingerprint()
    assert torch.equal(torch.random.get_rng_state(), before)  # the default generator is somebody else's


def test_mixtures_follow_the_runs_dtype() -> None:
    data = ring(spec(), samples=16)
    digest = data.fingerprint()
    shown = data.fetch(torch.tensor([3])).images
    data.place(torch.device("cpu"), torch.float64)
    again = data.fetch(torch.tensor([3])).images
    assert again.dtype == torch.float64
    assert torch.equal(again, shown.double())
    assert data.fingerprint() == digest  # a resumed run compares it with the one of its beginning


def test_pictures() -> None:
    assert digits(spec()).picture(torch.zeros(4, 1, 28, 28)).shape == (62, 62, 3)
    circle = ring(spec())
    picture = circle.picture(circle.images[:8])
    orange = (picture == np.array([214, 96, 0])).all(2)
    assert picture.shape == (320, 320, 3)
    assert 8 * 9 * 0.7 < orange.sum() <= 8 * 9  # eight points of 3 x 3 pixels
