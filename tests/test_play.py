"""`ganlab.testing.play`: of the tiny problem, and of a recipe as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_support import StopAt, same, weights

from ganlab.errors import DataUnavailable, UsageError
from ganlab.recipe import shipped_recipes
from ganlab.testing import Recorder, play, prepare

MINE = """
extends = "ring"
name = "mine"
plugins = ["double.py"]
[data]
use = "grid"
samples = 500
[discriminator]
hidden = [12]
[schedule]
generator_steps = 2
[[tricks]]
use = "double"
[train]
steps = 7
"""
DOUBLE = """
import ganlab


class Double:
    @ganlab.hookimpl
    def loss_terms(self, turn):
        turn.loss_terms = {name: 2 * term for name, term in turn.loss_terms.items()}


@ganlab.hookimpl
def register_tricks(register):
    register("double", Double)
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "double.py").write_text(DOUBLE)
    (tmp_path / "mine.toml").write_text(MINE)
    return tmp_path / "mine.toml"


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_every_shipped_recipe_is_played_by_its_name(name: str) -> None:
    run = play(name, steps=2)
    assert (run.recipe.name, run.step, run.device.type) == (name, 2, "cpu")


def test_a_file_is_played_as_it_stands(mine: Path) -> None:
    recorder = Recorder()
    run = play(mine, recorder, steps=3)
    assert (run.recipe.name, len(run.dataset), run.dataset.shape) == ("mine", 500, (2,))
    assert [trick.name for trick in run.tricks] == ["packing", "double", "Recorder"]
    assert run.counters["generator_updates"] == 6
    assert (run.recipe.train.batch_size, run.total_steps) == (8, 3)
    assert "after_update generator(fake)" in recorder.calls
    assert play(str(mine), steps=None).step == 7
    assert same(weights(play(recipe=mine, steps=3)), weights(run))


def test_overrides_go_before_what_playing_sets(mine: Path) -> None:
    run = prepare(mine, overrides=["train.batch_size=20", "tricks.double.enabled=false"])
    assert run.recipe.train.batch_size == 20
    assert [trick.name for trick in run.tricks] == ["packing"]


def test_nothing_is_written_without_a_folder_and_all_of_it_with_one(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    play(mine, steps=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["double.py", "mine.toml"]
    run = play(mine, StopAt(2), steps=4, folder=tmp_path / "runs")
    assert (run.path / "recipe.toml").is_file()
    assert (run.path.parent, run.info["status"], len(run.checkpoints())) == (tmp_path / "runs", "interrupted", 1)


def test_data_that_are_not_here_are_not_downloaded(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLAB_DATA", str(tmp_path / "nothing"))
    assert play("mnist_mlp", steps=1).recipe.data.use == "digits"  # its fallback
    mine.write_text(MINE.replace('use = "grid"\nsamples = 500', 'use = "kmnist"'))
    with pytest.raises(DataUnavailable) as caught:
        play(mine, steps=1)
    message, hint = str(caught.value).split("\n")
    assert message == f"Kuzushiji-MNIST is not in {tmp_path / 'nothing'}/KMNIST/raw yet"
    assert hint.endswith("; or use generated images: overrides=['data={use=\"tiny\",shape=[1,28,28]}']")
    run = play(mine, steps=1, overrides=['data={use="tiny",shape=[1,28,28]}'])
    images = run.dataset.fetch(run.game.draws.order.next()).images
    assert images.shape == (8, 1, 28, 28)
    assert (run.dataset.range, images.abs().max() <= 1) == ((-1.0, 1.0), True)
    assert run.dataset.picture(run.generate(images.new_zeros(4, 16))).shape[2] == 3


def test_one_recipe_at_a_time() -> None:
    for arguments, options in ((("ring", "mnist_mlp"), {}), (("ring",), {"recipe": "mnist_mlp"})):
        with pytest.raises(UsageError) as caught:
            play(*arguments, **options)  # type: ignore[arg-type]
        assert str(caught.value) == "a run has one recipe, not 2\ncall this once for each recipe"
