"""How two recipes differ: an option that an earlier version did not have counts as its default."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from engine_support import StopAt, reopened

import ganlab
from ganlab.recipe import differences, flatten, load_recipe
from ganlab.registry.catalogue import Catalogue
from ganlab.runs.training import execute
from ganlab.storage import checkpoint
from ganlab.testing import play

CATALOGUE = Catalogue.of_installed()


def changes(without: str, *overrides: str) -> list[str]:
    """The differences to a recipe from which the options that match ``without`` are left out, as if they had not existed then."""
    recipe = load_recipe("mnist_adaptive", CATALOGUE, list(overrides))
    now = differences.recorded_options(recipe)
    then = {key: value for key, value in now.items() if not re.fullmatch(without, key)}
    assert len(then) < len(now)
    return list(differences.describe_changes(then, now, defaults=differences.default_options(recipe)))


def test_an_option_that_was_not_there_counts_as_its_default() -> None:
    assert (
        changes("train.non_finite|schedule.order|evaluation.at_end|tricks.clamp.margin|generator.optimizer.amsgrad|tricks.health.mode")
        == []
    )


def test_an_option_that_has_another_value_is_a_change() -> None:
    overrides = ("train.non_finite=skip", "generator.optimizer.amsgrad=true", "tricks.clamp.margin=0.01")
    assert changes("train.non_finite|tricks.clamp.margin|generator.optimizer.amsgrad", *overrides) == [
        "generator.optimizer.amsgrad",
        "tricks.clamp.margin",
        "train.non_finite",
    ]


def test_a_trick_that_was_not_there_is_a_change_with_each_of_its_options() -> None:
    assert "tricks.clamp.use" in changes(r"tricks\.clamp\..*")


def test_another_component_is_a_change_with_each_of_its_options() -> None:
    recipe = load_recipe("ring", CATALOGUE, ["generator.optimizer={use='sgd'}"])
    before = differences.recorded_options(load_recipe("ring", CATALOGUE, []))
    found = differences.describe_changes(before, differences.recorded_options(recipe), defaults=differences.default_options(recipe))
    assert "generator.optimizer.momentum" in found


def test_options_of_a_trick_that_is_off_are_no_change() -> None:
    assert changes("tricks.clamp.margin", "tricks.clamp.enabled=false", "tricks.clamp.margin=0.01") == []


def test_every_default_is_written_as_the_resolved_recipe_writes_it() -> None:
    for name in ganlab.recipe.shipped_recipes():
        recipe = load_recipe(name, CATALOGUE, [])
        written, defaults = flatten(recipe.document), differences.default_options(recipe)
        assert {key for key in defaults if key not in written and not key.startswith("loss.")} == set(), name
        assert {key: type(value) for key, value in defaults.items() if key in written and type(value) is not type(written[key])} == {}


@pytest.mark.parametrize("key", ["train.non_finite", "schedule.order"])
def test_a_run_from_before_an_option_resumes(key: str, tmp_path: Path) -> None:
    run = play(StopAt(2), steps=4, folder=tmp_path)
    (path,) = run.checkpoints()
    state = checkpoint.load(path)
    del state["recipe"][key]
    checkpoint.save(path, state)
    assert execute(reopened(run.path)) == "finished"
