"""``ganlab sample``: equal seeds give equal samples, in the pictures of the data set; what cannot be is refused in a message."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sample_support import DIGITS, RING, ganlab_says, made, own_network
from torch import nn

import ganlab
from ganlab.cli.sample import Layout
from ganlab.errors import GanlabError, UsageError
from ganlab.game.random_streams import derive
from ganlab.generators.latents import rows_between
from ganlab.generators.loaded import LoadedGenerator
from ganlab.pictures import image_grid, scatter
from ganlab.records.summaries import find_run
from ganlab.runs.generators import RunGenerator
from ganlab.script import FinishedRun

CPU, F32 = torch.device("cpu"), torch.float32
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return made(tmp_path_factory.mktemp("ring"), "ring", RING)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return made(tmp_path_factory.mktemp("digits"), "mnist_mlp", DIGITS)


@pytest.fixture(scope="module")
def conditional(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return own_network(tmp_path_factory.mktemp("own") / "conditional", "conditional")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def picture(path: str | Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def copied(run: FinishedRun, to: Path) -> Path:
    shutil.copytree(run.path, to / run.id)
    return to / run.id


# --- sheets ---------------------------------------------------------------------------------------------------------------------


def test_a_sheet_of_images_is_that_of_the_scripts_samples(digits: FinishedRun, here: Path, capsys: Capture) -> None:
    assert ganlab_says(capsys, "sample", digits.path) == (0, f"{digits.id}.png: 64 samples of {digits.id}, step 4, seed 0\n", "")
    assert np.array_equal(picture(f"{digits.id}.png"), image_grid(digits.samples(64), (-1.0, 1.0)))
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert ganlab_says(capsys, "sample", digits.path, "--seed", seed, "--count", 6, "--out", f"{name}.png")[0] == 0
    assert np.array_equal(picture("a.png"), image_grid(digits.samples(6, seed=3), (-1.0, 1.0)))
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    assert not np.array_equal(picture("a.png"), picture("c.png"))
    assert sorted(path.name for path in here.iterdir()) == sorted([f"{digits.id}.png", "a.png", "b.png", "c.png"])


def test_sheets_that_nobody_has_named_take_the_next_free_name(digits: FinishedRun, here: Path, capsys: Capture) -> None:
    said = []
    four = ("--count", 4, "--seed")
    for arguments in ([*four, 1], [*four, 2], [*four, 3, "--force"], ["--animate"], ["--animate"]):
        code, out, _err = ganlab_says(capsys, "sample", digits.path, *arguments)
        said.append((code, out.partition(":")[0]))
    assert said == [(0, f"{digits.id}{end}") for end in (".png", "-2.png", ".png", ".gif", "-2.gif")]
    drawn = [image_grid(digits.samples(4, seed=seed), (-1.0, 1.0)) for seed in (3, 2)]
    for name, sheet in zip((f"{digits.id}.png", f"{digits.id}-2.png"), drawn, strict=True):
        assert np.array_equal(picture(name), sheet)
    assert len(list(here.iterdir())) == 4


def test_more_samples_than_memory_holds_are_refused_in_words(digits: FinishedRun, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> None:
        raise GanlabError("noise 'normal' raised it") from RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("ganlab.generators.latents.draw", full)
    assert ganlab_says(capsys, "sample", digits.path, "--count", 4) == (
        2, "", "error: there is not enough memory for 4 samples at once\nhint: draw fewer, with other seeds\n"
    )  # fmt: skip


class CountingNetwork(nn.Module):
    """Draws its samples at random, and records the size of each batch."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape, self.batches = shape, list[int]()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(latent))
        return self.weight * torch.rand(len(latent), 1).expand(-1, prod(self.shape)).view(-1, *self.shape)


@pytest.mark.parametrize(("side", "batches"), [(2, [1000, 1000, 500]), (1024, [16, 16, 8]), (5000, [1] * 3)])
def test_large_samples_are_made_in_smaller_chunks(digits: FinishedRun, side: int, batches: list[int]) -> None:
    loaded, count = digits.generator, sum(batches)
    spec = {**loaded.info["spec"], "output_shape": (1, side, side)}
    generator = LoadedGenerator(CountingNetwork((1, side, side)), loaded.noise, {**loaded.info, "spec": spec})
    samples = generator.sample(count, seed=3)
    assert generator.network.batches == batches and len(samples) == count
    start = 0
    for batch in batches:  # each chunk has random numbers of its own, which depend on its place
        torch.manual_seed(derive(3, "sampling", start))
        assert torch.equal(samples[start : start + batch, 0, 0, 0], torch.rand(batch, 1)[:, 0])
        start += batch
    generator.network.batches.clear()
    generator.interpolate(1, count)
    assert generator.network.batches == batches


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda generator: generator.sample(0), "count = 0 is not valid\ngive a whole number from 1"),
        (lambda generator: generator.sample(2.5), "count = 2.5 is not valid"),
        (lambda generator: generator.sample(True), "count = True is not valid"),
        (
            lambda generator: generator.sample(2, seed=2**63),
            "seed = 9223372036854775808 is not valid\ngive a whole number from 0",
        ),
        (
            lambda generator: generator.sample(10**9 + 1),
            "count = 1000000001 is not valid\ngive a whole number from 1 to 1000000000",
        ),
        (lambda generator: generator.sample(2, truncation="x"), "truncation = 'x' is not a number"),
        (lambda generator: generator.interpolate(2, 2**30), "columns = 1073741824 is not valid"),
        (lambda generator: generator.interpolate(2**20, 2**20), "rows * columns = 1099511627776 is not valid"),
        (lambda generator: generator.interpolate(0, 5), "rows = 0 is not valid"),
        (lambda generator: generator.interpolate(5, 0), "columns = 0 is not valid"),
    ],
)
def test_numbers_that_cannot_be_are_refused_in_words(digits: FinishedRun, ask: Callable[[Any], Any], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        ask(digits.generator)
    assert str(caught.value).startswith(text)
    made = digits.generator.sample(np.int64(2), seed=np.int32(1), truncation=np.float32(2))
    assert made.equal(digits.generator.sample(2, seed=1, truncation=2.0))


def test_a_grid_has_so_many_rows_and_columns(digits: FinishedRun, capsys: Capture) -> None:
    assert ganlab_says(capsys, "sample", digits.path, "--grid", "2x7", "--out", "deep/er/grid.png")[0] == 0
    assert np.array_equal(picture("deep/er/grid.png"), image_grid(digits.samples(14), (-1.0, 1.0), columns=7))
    assert picture("deep/er/grid.png").shape == (2 * 30 + 2, 7 * 30 + 2, 3)


def test_points_are_drawn_over_their_data(ring: FinishedRun, capsys: Capture) -> None:
    code, out, err = ganlab_says(capsys, "sample", ring.path, "--out", "ring.png")
    assert (code, out, err) == (0, f"ring.png: 1,000 samples of {ring.id}, step 20, seed 0\n", "")
    grey = (picture("ring.png") == 200).all(2)  # data that no sample hides
    both = grey & (picture(ring.sheets[0]) == 200).all(2)
    assert grey.sum() > 100
    assert both.sum() > 0.5 * grey.sum()  # the same data, in the same extent


def test_points_without_their_data_say_so(ring: FinishedRun, tmp_path: Path, capsys: Capture) -> None:
    stranger = copied(ring, tmp_path / "away")
    recipe = (stranger / "recipe.toml").read_text()
    (stranger / "recipe.toml").write_text(f'plugins = ["plugins/evil.py"]\n{recipe}')
    (stranger / "plugins").mkdir()
    (stranger / "plugins/evil.py").write_text("raise SystemExit('it was run')")
    code, _out, err = ganlab_says(capsys, "sample", stranger, "--out", "plain.png", "--count", 50)
    assert code == 0
    assert err.startswith("note: The samples are drawn without their data set, which is not available: run ")
    assert "it runs the plugin file plugins/evil.py" in err
    assert f"`ganlab sample {stranger} --trust`" in err
    samples = ring.samples(50)
    assert np.array_equal(picture("plain.png"), scatter(samples, samples))


def test_single_pictures_have_no_border(digits: FinishedRun, here: Path, capsys: Capture) -> None:
    assert ganlab_says(capsys, "sample", digits.path, "--count", 3, "--out", "singles/")[0] == 0
    names = sorted(path.name for path in Path("singles").iterdir())
    assert names == ["sample_0000.png", "sample_0001.png", "sample_0002.png"]
    pixels = (digits.samples(3)[1, 0] + 1).div(2).mul(255).round().to(torch.uint8).numpy()
    assert np.array_equal(picture("singles/sample_0001.png"), np.repeat(pixels[:, :, None], 3, 2))
    code, _out, err = ganlab_says(capsys, "sample", digits.path, "--count", 4, "--out", "singles")
    assert (code, err.splitlines()[0]) == (2, "error: singles/sample_0000.png is already there")
    assert len(list(Path("singles").iterdir())) == 3
    assert ganlab_says(capsys, "sample", digits.path, "--count", 4, "--out", "singles", "--force")[0] == 0
    assert len(list(Path("singles").iterdir())) == 4
    mine = ["mine.png", "sample_0009.png", "sample_20240101.png"]  # and no more of the series
    for name in mine:
        Path("singles", name).touch()
    assert ganlab_says(capsys, "sample", digits.path, "--count", 2, "--out", "singles", "--force")[0] == 0
    assert sorted(path.name for path in Path("singles").iterdir()) == sorted([*mine, "sample_0000.png", "sample_0001.png"])
    assert [path.name for path in here.iterdir()] == ["singles"]


def test_a_data_set_draws_its_own_pictures(here: Path, capsys: Capture) -> None:
    Path("own.py").write_text(
        "import numpy as np, torch, ganlab\nfrom pathlib import Path\n"
        "class Own(ganlab.ResidentDataset):\n"
        "    def picture(self, samples):\n"
        "        return np.full((5, 4 * len(samples), 3), 77, np.uint8)\n"
        "def own(spec):\n"
        "    if Path('gone').exists() and not spec.download: raise ganlab.DataUnavailable('it would be downloaded', 'so be it')\n"
        "    return Own(torch.rand(64, 1, 8, 8), range=(0.0, 1.0))\n"
        "@ganlab.hookimpl\n"
        "def register_datasets(register): register('own', own)\n"
    )
    Path("own.toml").write_text('extends = "mnist_mlp"\nplugins = ["./own.py"]\n[data]\nuse = "own"\n')
    overrides = {key: value for key, value in DIGITS.items() if key != "data.use"}
    run = made(here / "runs", "own.toml", {**overrides, "train.batch_size": 16})
    assert run.generator.info["drawn_as"] == "data"
    code, _out, err = ganlab_says(capsys, "sample", run.path, "--count", 3, "--out", "sheet.png")
    assert (code, err.startswith("note: Running the plugin file ")) == (0, True)
    assert picture("sheet.png").shape == (5, 12, 3)
    assert ganlab_says(capsys, "sample", run.path, "--count", 2, "--out", "each")[0] == 0
    assert picture("each/sample_0001.png").shape == (5, 4, 3)
    Path("gone").write_text("")
    code, _out, err = ganlab_says(capsys, "sample", run.path, "--count", 3, "--out", "plain.png")
    said = "note: The samples are drawn without their data set, which is not available: it would be downloaded\n  so be it\n"
    assert (code, err.endswith(said)) == (0, True)
    assert np.array_equal(picture("plain.png"), image_grid(run.samples(3), (0.0, 1.0)))


def test_columns_of_data_sets_that_draw_themselves(digits: FinishedRun) -> None:
    class Tiles:
        """Knows nothing of columns."""

        def picture(self, samples: torch.Tensor) -> np.ndarray:
            return np.full((4, 3 * len(samples), 3), len(samples), np.uint8)

    class Sheets(Tiles):
        columns = 9

        def picture(self, samples: torch.Tensor) -> np.ndarray:
            return np.full((len(samples) // self.columns, self.columns, 3), 1, np.uint8)

    samples = digits.samples(6)
    tiled = RunGenerator(digits.generator, Tiles).sheet(samples, 3)  # type: ignore[arg-type]
    assert tiled.shape == (2 * 6 + 2, 3 * 5 + 2, 3)
    assert (tiled[2:6, 2:5] == 1).all()  # one sample in each
    sheets = Sheets()
    assert RunGenerator(digits.generator, lambda: sheets).sheet(samples, 3).shape == (2, 3, 3)  # type: ignore[arg-type]
    assert sheets.columns == 9


# --- classes --------------------------------------------------------------------------------------------------------------------


def test_a_class_is_chosen_by_name_or_number(conditional: FinishedRun, capsys: Capture) -> None:
    for out, label in (("a", "7"), ("b", "2")):
        said = ganlab_says(capsys, "sample", conditional.path, "--class", label, "--count", 20, "--out", f"{out}.png")
        assert (said[0], said[1]) == (0, f"{out}.png: 20 samples of {conditional.id}, step 4, seed 0, class {label}\n")
        assert said[2].startswith("note: Running the plugin file ")  # its own copy or the original, which is named
    seven, two = picture("a.png").astype(int), picture("b.png").astype(int)
    tiles = [seven[2 + 30 * row : 30 + 30 * row, 2:30] for row in range(4)]
    assert np.abs(tiles[0] - tiles[1]).mean() < np.abs(seven - two).mean() / 2  # one class looks like itself
    code, _out, err = ganlab_says(capsys, "sample", conditional.path, "--class", "eleven", "--out", "c.png")
    assert (code, err.splitlines()[-2]) == (2, "error: there is no class 'eleven'")
    code, _out, err = ganlab_says(capsys, "sample", conditional.path, "--class", "11", "--out", "c.png")
    assert (code, err.splitlines()[-2:]) == (2, ["error: there is no class 11", "hint: the generator has 10 classes: 0 to 9"])


def test_without_a_class_they_come_in_turn_and_a_row_keeps_one(conditional: FinishedRun) -> None:
    generator = ganlab.FinishedRun(conditional.path).generator
    seen = []
    forward = generator.network.forward
    generator.network.forward = lambda latent, labels=None: (seen.append(labels), forward(latent, labels=labels))[1]  # type: ignore
    generator.sample(13)
    generator.interpolate(3, 4)
    generator.interpolate(2, 2, label="5")
    assert seen[0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
    assert seen[1].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert seen[2].tolist() == [5] * 4


def test_a_generator_without_labels_refuses_a_class(ring: FinishedRun, capsys: Capture) -> None:
    code, _out, err = ganlab_says(capsys, "sample", ring.path, "--class", "1")
    message = "the generator, network 'mlp', takes no labels, so the class of a sample cannot be chosen"
    assert (code, err) == (2, f"error: {message}\nhint: sample without a class\n")


def test_names_come_before_numbers(conditional: FinishedRun) -> None:
    generator = ganlab.FinishedRun(conditional.path).generator
    generator.info["class_names"] = ["nine", "3", "0", *"abcdefg"]
    by_name, by_number = generator.sample(2, label="0"), generator.sample(2, label=2)
    assert torch.equal(by_name, generator.sample(2, label="nine")) is False
    assert torch.equal(by_name, by_number) is True
    with pytest.raises(UsageError, match="did you mean 'nine'"):
        generator.sample(1, label="nin")


# --- truncation -----------------------------------------------------------------------------------------------------------------


def test_truncated_noise_has_the_law_of_what_is_drawn_again(digits: FinishedRun) -> None:
    law = ganlab.load_generator(digits.path).noise
    law.location, law.scale = 3.0, 2.0
    for threshold in (0.3, 1.0, 2.0):
        drawn = law.truncated(4000, threshold, torch.Generator().manual_seed(1), CPU, F32)
        inside = torch.randn(2_000_000, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        inside = inside[inside.abs() <= threshold]
        z = (drawn.double().flatten() - 3) / 2
        assert z.abs().max() <= threshold * (1 + 1e-6)
        points = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
        gap = (torch.quantile(z[:200_000], points) - torch.quantile(inside[:200_000], points)).abs().max()
        assert gap < 0.02 * threshold


def test_truncation_keeps_the_samples_and_moves_them_inwards(digits: FinishedRun) -> None:
    law = ganlab.load_generator(digits.path).noise
    plain = law.sample(50, torch.Generator().manual_seed(5), CPU, F32)
    before = plain
    for threshold in (8.0, 2.0, 1.0, 0.2):
        drawn = law.truncated(50, threshold, torch.Generator().manual_seed(5), CPU, F32)
        assert torch.equal(drawn.sign(), plain.sign())
        assert bool((drawn.abs() <= before.abs() + 1e-6).all())
        before = drawn
    torch.testing.assert_close(law.truncated(50, 40.0, torch.Generator().manual_seed(5), CPU, F32), plain, rtol=1e-5, atol=1e-6)


def test_truncation_on_the_command_line(digits: FinishedRun, ring: FinishedRun, here: Path, capsys: Capture) -> None:
    code, out, _err = ganlab_says(capsys, "sample", digits.path, "--truncation", "0.5", "--out", "t.png")
    assert (code, out) == (0, f"t.png: 64 samples of {digits.id}, step 4, seed 0, truncated at 0.5\n")
    assert np.array_equal(picture("t.png"), image_grid(digits.samples(64, truncation=0.5), (-1.0, 1.0)))
    assert not np.array_equal(picture("t.png"), image_grid(digits.samples(64), (-1.0, 1.0)))
    code, _out, err = ganlab_says(capsys, "sample", digits.path, "--truncation", "0", "--out", "u.png")
    assert (code, err.splitlines()[0]) == (2, "error: truncation = 0.0 is not a number above 0")
    uniform = made(here / "uniform", "ring", {**RING, "noise.use": "uniform", "train.steps": 2})
    code, _out, err = ganlab_says(capsys, "sample", uniform.path, "--truncation", "1", "--out", "u.png")
    message = "noise 'uniform' does not support truncation"
    assert (code, err) == (2, f"error: {message}\nhint: sample without truncation\n")
    assert not Path("u.png").exists()


# --- interpolation --------------------------------------------------------------------------------------------------------------


def test_normal_noise_goes_along_the_great_circle(digits: FinishedRun) -> None:
    law = ganlab.load_generator(digits.path).noise
    law.location, law.scale = 1.5, 1.0
    ends = law.sample(6, torch.Generator().manual_seed(0), CPU, torch.float64)
    rows = rows_between(law, ends, 5).view(3, 5, -1)
    torch.testing.assert_close(rows[:, 0], ends[:3])
    torch.testing.assert_close(rows[:, -1], ends[3:])
    centred = rows - 1.5
    angles = torch.acos(torch.cosine_similarity(centred[:, :-1], centred[:, 1:], dim=2))  # (rows, 4)
    torch.testing.assert_close(angles, angles[:, :1].expand_as(angles))
    unit = rows_between(law, 1.5 + torch.nn.functional.normalize(ends - 1.5, dim=1), 7) - 1.5
    torch.testing.assert_close(unit.norm(dim=1), torch.ones(21, dtype=torch.float64))


def test_between_equal_and_opposite_latents_the_way_is_straight(digits: FinishedRun) -> None:
    law = ganlab.load_generator(digits.path).noise
    a = torch.zeros(1, law.dimension)
    a[0, 0] = 1.0
    torch.testing.assert_close(rows_between(law, torch.cat([a, a]), 3), a.expand(3, -1))
    torch.testing.assert_close(rows_between(law, torch.cat([a, -a]), 3)[:, 0], torch.tensor([1.0, 0.0, -1.0]))
    torch.testing.assert_close(rows_between(law, torch.cat([a, 3 * a]), 3)[:, 0], torch.tensor([1.0, 2.0, 3.0]))


def test_uniform_noise_goes_straight(here: Path, capsys: Capture) -> None:
    run = made(here / "uniform", "ring", {**RING, "noise.use": "uniform", "train.steps": 2})
    law = run.generator.noise
    ends = law.sample(4, torch.Generator().manual_seed(0), CPU, F32)
    rows = rows_between(law, ends, 3).view(2, 3, -1)
    torch.testing.assert_close(rows[:, 1], (ends[:2] + ends[2:]) / 2)
    _code, out, _err = ganlab_says(capsys, "sample", run.path, "--interpolate", "--out", "i.png")
    assert out == f"i.png: 800 samples of {run.id}, step 2, seed 0, 8 rows, each a linear interpolation between two latents\n"


def test_rows_of_interpolations_begin_and_end_at_samples(digits: FinishedRun, capsys: Capture) -> None:
    code, out, _err = ganlab_says(capsys, "sample", digits.path, "--interpolate", "--grid", "3x6", "--seed", 9, "--out", "i.png")
    assert (code, out.endswith("seed 9, 3 rows, each a spherical interpolation between two latents\n")) == (0, True)
    ends, rows = digits.samples(6, seed=9), digits.generator.interpolate(3, 6, seed=9)
    torch.testing.assert_close(rows[::6], ends[:3], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(rows[5::6], ends[3:], rtol=1e-4, atol=1e-5)
    assert np.array_equal(picture("i.png"), image_grid(rows, (-1.0, 1.0), columns=6))


# --- how many, and in how many columns ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "layout"),
    [
        ((None, None, False, False), Layout(64, None)),
        ((None, None, False, True), Layout(1000, None)),
        ((5, None, False, True), Layout(5, None)),
        ((None, "3x4", False, False), Layout(12, 4)),
        ((12, "3x4", False, False), Layout(12, 4)),
        ((None, None, True, False), Layout(80, 10, 8)),
        ((None, None, True, True), Layout(800, 100, 8)),
        ((None, "2X3", True, True), Layout(6, 3, 2)),
    ],
)
def test_layouts(said: tuple[int | None, str | None, bool, bool], layout: Layout) -> None:
    assert Layout.of(*said) == layout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--grid", "3"], "--grid 3 is not a grid"),
        (["--grid", "0x3"], "--grid 0x3 is not a grid"),
        (["--grid", "3x4", "--count", "9"], "--grid 3x4 has 12 places, and --count asks for 9 samples"),
        (["--interpolate", "--count", "9"], "--interpolate draws one sample for each place of its grid"),
        (["--interpolate", "--grid", "4x1"], "a row from one latent to another needs at least two columns"),
        (["--out", "x.jpg"], "--out x.jpg: samples are written as .png"),
        (["--frame-seconds", "1"], "--frame-seconds is only for animations"),
        (["--checkpoint", "newest"], "'newest' is not a checkpoint"),
        (["--out", "runs.txt/x.png"], "runs.txt is not a folder"),
    ],
)
def test_what_cannot_be_is_one_message(words: list[str], message: str, digits: FinishedRun, here: Path, capsys: Capture) -> None:
    Path("runs.txt").write_text("")
    code, _out, err = ganlab_says(capsys, "sample", digits.path, *words)
    assert (code, err.splitlines()[0]) == (2, f"error: {message}")
    assert err.splitlines()[1].startswith("hint: ")
    assert [path.name for path in here.iterdir()] == ["runs.txt"]


def test_points_have_no_grid_and_no_single_pictures(ring: FinishedRun, here: Path, capsys: Capture) -> None:
    code, _out, err = ganlab_says(capsys, "sample", ring.path, "--grid", "2x2")
    message = "samples of this run are points, shown in one plot: it has no grid"
    assert (code, err) == (2, f"error: {message}\nhint: use --count N\n")
    code, _out, err = ganlab_says(capsys, "sample", ring.path, "--out", "folder")
    assert (code, err.splitlines()[0]) == (2, f"error: samples of run {ring.id} are points, which are drawn in one picture")
    assert list(here.iterdir()) == []


def test_an_unknown_run(here: Path, capsys: Capture) -> None:
    assert ganlab_says(capsys, "sample", "nothing")[2] == (
        "error: no run called 'nothing' in runs\nhint: there are none yet: `ganlab run mnist_adaptive` makes one\n"
    )


# --- checkpoints, and runs without a generator -----------------------------------------------------------------------------------


def test_a_checkpoint_is_the_generator_of_its_step(ring: FinishedRun, here: Path, capsys: Capture) -> None:
    shorter = made(here / "shorter", "ring", {**RING, "train.steps": 10})
    assert ganlab_says(capsys, "sample", ring.path, "--checkpoint", 10, "--out", "ten.png")[1].startswith("ten.png: 1,000 samples of ")
    assert ganlab_says(capsys, "sample", shorter.path, "--out", "end.png")[0] == 0
    assert ganlab_says(capsys, "sample", ring.path, "--checkpoint", "last", "--out", "last.png")[0] == 0
    assert ganlab_says(capsys, "sample", ring.path, "--out", "all.png")[0] == 0
    assert Path("ten.png").read_bytes() == Path("end.png").read_bytes()
    assert Path("last.png").read_bytes() == Path("all.png").read_bytes()
    assert Path("last.png").read_bytes() != Path("ten.png").read_bytes()
    code, _out, err = ganlab_says(capsys, "sample", ring.path, "--checkpoint", 7)
    assert (code, err) == (2, f"error: run {ring.id} has no checkpoint of step 7\nhint: it has those of steps 10, 20, and `last`\n")
    code, _out, err = ganlab_says(capsys, "sample", ring.path, "--checkpoint", "best")
    assert (code, err.splitlines()[0]) == (
        2, f"error: run {ring.id} has no best checkpoint: its recipe names no metric in train.keep_best"
    )  # fmt: skip


def test_the_best_checkpoint(here: Path, capsys: Capture) -> None:
    best = {**RING, "train.keep_best": "loss/generator", "train.best_is": "highest", "train.keep_checkpoints": 1, "train.log_every": 5}
    run = made(here / "best", "ring", best)
    step = int(Path(run.info["best_checkpoint"]["path"]).stem.removeprefix("step_"))
    assert f", step {step}, " in ganlab_says(capsys, "sample", run.path, "--checkpoint", "best", "--out", "best.png")[1]


def test_a_trick_that_changes_the_network_is_undone(here: Path) -> None:
    spectral = {"tricks.spectral_normalization": {"use": "spectral_normalization", "player": "generator"}}
    run = made(here / "spectral", "ring", {**RING, **spectral})
    from ganlab.records.request import RunRequest
    from ganlab.runs.generators import open_generator
    from ganlab.testing import catalogue

    opened = open_generator(find_run(here, str(run.path)), catalogue(), RunRequest(command="sample"), here, print, "last")
    torch.testing.assert_close(opened.generator.sample(50), run.samples(50))


def test_a_run_that_was_killed_says_what_to_type(ring: FinishedRun, tmp_path: Path, capsys: Capture) -> None:
    killed = copied(ring, tmp_path / "killed")
    (killed / "generator.safetensors").unlink()
    info = json.loads((killed / "run.json").read_text())
    for status, why in (("interrupted", "it was killed"), ("failed", "it failed")):
        (killed / "run.json").write_text(json.dumps({**info, "status": status}))
        code, _out, err = ganlab_says(capsys, "sample", killed)
        assert (code, err) == (
            2,
            f"error: run {ring.id} has no generator.safetensors: {why}\nhint: resume it: `ganlab resume {killed}`\n"
            f"or use its last checkpoint: `ganlab sample {killed} --checkpoint last`\n",
        )
    (killed / "run.json").write_text(json.dumps({**info, "status": "running", "host": "elsewhere"}))
    err = ganlab_says(capsys, "sample", killed)[2]
    assert err == (
        f"error: run {ring.id} has no generator.safetensors: it is still being trained\n"
        f"hint: wait until it ends, or press Ctrl-C\nor use its last checkpoint: `ganlab sample {killed} --checkpoint last`\n"
    )
    assert ganlab_says(capsys, "sample", killed, "--checkpoint", "last", "--out", "last.png")[0] == 0
    (killed / "run.json").write_text(json.dumps({**info, "status": "finished"}))
    shutil.rmtree(killed / "checkpoints")
    assert ganlab_says(capsys, "sample", killed)[2] == f"error: run {ring.id} has no generator.safetensors: the file is gone\n"


# --- strangers -------------------------------------------------------------------------------------------------------------------


def test_a_strangers_network_is_not_run_without_trust(
    conditional: FinishedRun, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANLAB_STATE", str(tmp_path / "another account"))
    stranger = copied(conditional, tmp_path / "away")
    for more in ([], ["--checkpoint", "last"]):
        code, _out, err = ganlab_says(capsys, "sample", stranger, "--out", "x.png", *more)
        assert code == 2
        assert "it runs the plugin file plugins/mine.py (sha256 " in err
        assert f"`ganlab sample {stranger} --trust`" in err
        assert "Running" not in err
        assert not Path("x.png").exists()
        code, _out, err = ganlab_says(capsys, "sample", stranger, "--out", "x.png", "--trust", *more)
        assert (code, err.startswith("note: Running the plugin file ")) == (0, True)
        Path("x.png").unlink()


def test_a_strangers_images_need_no_trust_where_the_network_is_installed(
    digits: FinishedRun, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GANLAB_STATE", str(tmp_path / "another account"))
    monkeypatch.delattr("ganlab.runs.generators.make_data")  # the range of the data is enough to draw them
    assert ganlab_says(capsys, "sample", digits.path, "--out", "x.png") == (
        0, f"x.png: 64 samples of {digits.id}, step 4, seed 0\n", ""
    )  # fmt: skip


# --- networks that draw numbers --------------------------------------------------------------------------------------------------


def test_a_network_that_draws_numbers_draws_them_from_the_seed(tmp_path: Path, capsys: Capture) -> None:
    run = own_network(tmp_path / "noisy", "noisy")
    state = torch.get_rng_state()
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert ganlab_says(capsys, "sample", run.path, "--seed", seed, "--out", f"{name}.png")[0] == 0
        torch.rand(3)
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes() != Path("c.png").read_bytes()
    torch.set_rng_state(state)
    before = torch.rand(2)
    torch.set_rng_state(state)
    ganlab.FinishedRun(run.path).samples(3)
    assert torch.equal(torch.rand(2), before)
