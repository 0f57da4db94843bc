"""Pictures of samples: which plot a shape gets, histograms, and points over the data that they should cover."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from engine_support import Plugin
from PIL import Image
from sample_support import QUIET, RING, ganlab_says, made
from torch import Tensor

import ganlab
from ganlab.pictures import BINS, GREY, ORANGE, SIZE, histogram, image_grid, scatter, sheet

NUMBERS = """
import ganlab, torch

def numbers(spec):
    generator = torch.Generator().manual_seed(0)
    return ganlab.ResidentDataset(torch.randn(2000, 1, generator=generator))

@ganlab.hookimpl
def register_datasets(register):
    register("numbers", numbers)
"""


def pixels(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Whether each pixel has this colour: ``(height, width)``."""
    return (picture == np.array(colour)).all(2)


def bar(value: float, low: float, high: float) -> slice:
    """The columns of the bar that a value is counted in, if the data reach from ``low`` to ``high``."""
    margin = 0.2 * (high - low)
    number = int((value - low + margin) / (high - low + 2 * margin) * BINS)
    return slice(number * SIZE // BINS, (number + 1) * SIZE // BINS)


# --- histograms -----------------------------------------------------------------------------------------------------------------


def test_a_histogram_shows_shares_of_samples_over_shares_of_data() -> None:
    data = torch.tensor([0.0] * 10 + [1.0] * 30)[:, None]
    picture = histogram(torch.tensor([0.0, 1.0, 1.0, 1.0])[:, None], data)
    grey, orange = pixels(picture, GREY), pixels(picture, ORANGE)
    heights = [int(grey[:, bar(value, 0, 1)][:, 2].sum()) for value in (0.0, 1.0)]
    assert heights[1] == pytest.approx(2 / 3 * SIZE, abs=4) and heights[0] == pytest.approx(2 / 9 * SIZE, abs=4)
    tops = [SIZE - 1 - int(np.argmax(orange[:, bar(value, 0, 1)][:, 2])) for value in (0.0, 1.0)]
    assert tops == pytest.approx(heights, abs=4)  # equal shares have equal heights, though the counts differ
    assert not grey[:, bar(0.5, 0, 1)].any() and picture.shape == (SIZE, SIZE, 3)


def test_a_histogram_shows_a_collapse_and_keeps_the_scale_of_the_data() -> None:
    data = torch.linspace(0, 1, 1000)[:, None]
    good, collapsed = histogram(data[::2], data), histogram(torch.full((500, 1), 0.25), data)
    everywhere = bar(0.75, 0, 1)
    assert pixels(good, ORANGE)[: SIZE // 2, everywhere].any() and not pixels(collapsed, ORANGE)[: SIZE // 2, everywhere].any()
    assert pixels(collapsed, ORANGE)[0, bar(0.25, 0, 1)].any()  # it is cut off at the upper edge
    assert np.array_equal(
        pixels(collapsed, GREY)[:100, everywhere], pixels(histogram(torch.full((500, 1), 9.0), data), GREY)[:100, everywhere]
    )


@pytest.mark.parametrize(
    "samples", [torch.full((5, 1), torch.nan), torch.full((5, 1), -torch.inf), torch.full((5, 1), 1e30), torch.zeros(5, 1)]
)
@pytest.mark.parametrize("data", [torch.zeros(9, 1), torch.full((9, 1), 1e8), torch.randn(9, 1), torch.full((9, 1), torch.nan), None])
def test_histograms_of_odd_numbers(samples: Tensor, data: Tensor | None) -> None:
    assert sheet(samples, data).shape == (SIZE, SIZE, 3)


# --- shapes ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (1,), (2,), (3,), (1, 1), (8, 6), (3, 8, 6), (2, 3, 8, 6)])
def test_samples_of_any_shape_have_a_picture(shape: tuple[int, ...]) -> None:
    samples, data = torch.rand(9, *shape), torch.rand(50, *shape)
    picture = ganlab.ResidentDataset(data).picture(samples)
    if len(shape) > 1:
        channels = samples.reshape(9, -1, *shape[-2:])
        assert np.array_equal(picture, image_grid(channels if channels.shape[1] == 3 else channels[:, :1]))
    elif samples[0].numel() == 1:
        assert np.array_equal(picture, histogram(samples.reshape(9, 1), data.reshape(50, 1)))
    else:
        assert np.array_equal(picture, scatter(samples, data))


def test_points_are_drawn_over_the_data_as_networks_see_them() -> None:
    stored = torch.randint(0, 256, (500, 2), dtype=torch.uint8)
    data = ganlab.ResidentDataset(stored, scale=1 / 127.5, offset=-1.0)
    assert np.array_equal(data.picture(torch.zeros(1, 2)), scatter(torch.zeros(1, 2), stored / 127.5 - 1))


# --- runs -----------------------------------------------------------------------------------------------------------------------


def test_a_run_of_single_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("numbers.py").write_text(NUMBERS)
    Path("numbers.toml").write_text('extends = "ring"\nplugins = ["./numbers.py"]\n[data]\nuse = "numbers"\n')
    assert ganlab_says(capsys, "check", "numbers.toml")[0] == 0
    run = made(tmp_path / "runs", "numbers.toml", {**QUIET, "train.steps": 2, "train.sample_every": 1})
    data = torch.randn(2000, 1, generator=torch.Generator().manual_seed(0))
    for path in run.sheets:
        assert pixels(np.asarray(Image.open(path).convert("RGB")), GREY).sum() > 1000
    assert ganlab_says(capsys, "sample", run.path, "--count", 300, "--out", "numbers.png")[0] == 0
    expected = histogram(run.samples(300), data)
    assert np.array_equal(np.asarray(Image.open("numbers.png").convert("RGB")), expected)
    assert np.array_equal(np.asarray(run.picture(300)), expected)


def test_a_script_sees_a_collapse(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = made(tmp_path, "ring", RING)
    with torch.no_grad():
        for parameter in run.generator.parameters():
            parameter.zero_()
    picture = np.asarray(run.picture(500))
    sheet_of_run = np.asarray(Image.open(run.sheets[-1]).convert("RGB"))
    assert 0 < pixels(picture, ORANGE).sum() <= 9  # all samples are at the origin
    grey = pixels(picture, GREY)
    assert (grey & pixels(sheet_of_run, GREY)).sum() > 0.5 * grey.sum() > 100  # the ring of the data, at its place
    assert capfd.readouterr() == ("", "")


def test_a_script_finds_the_data_where_it_has_trained(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def placed(spec: ganlab.DatasetSpec) -> ganlab.ResidentDataset:
        if not (spec.root / "here").exists():
            raise ganlab.DataUnavailable("there are no data", "create them")
        return ganlab.ResidentDataset(torch.randn(100, 1))

    (tmp_path / "data").mkdir()
    (tmp_path / "data/here").touch()
    options = {**QUIET, "train.steps": 1, "train.batch_size": 16, "data.use": "placed"}
    run = ganlab.run(
        "ring", options, plugins=[Plugin(datasets={"placed": placed})], runs_dir=tmp_path, data_root=tmp_path / "data", display=False
    )
    run.picture(10)
    assert capfd.readouterr() == ("", "")
    ganlab.FinishedRun(run.path, plugins=[Plugin(datasets={"placed": placed})]).picture(10)
    assert "drawn without their data set, which is not available: there are no data" in " ".join(capfd.readouterr().err.split())
