"""A resolved recipe reproduces itself alone; and its flat form for trackers."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from recipe_support import BASE, FakeCatalogue, load

import ganlab.recipe.shipped
from ganlab.recipe import Recipe, flatten, load_recipe, to_toml

FULL = f"""\
description = "all of it"
plugins = ["extra.py"]
{BASE}\
[schedule]
order = "generator_first"
[[tricks]]
use = "extra"
enabled = false
[[tricks]]
use = "absent"
enabled = false
anything = {{ at = ["all"] }}
[tracking]
use = "mlflow"
enabled = false
[fallback]
data = {{ use = "digits" }}
[[fallback.tricks]]
use = "plot"
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "defaults.toml").write_text('[tracking]\nuse = "mlflow"\n[[tricks]]\nuse = "plot"\n', encoding="utf-8")
    (tmp_path / "extra.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(ganlab.recipe.shipped, "shipped_folder", lambda: tmp_path)


def again(recipe: Recipe, *, fallback: bool = False) -> Recipe:
    """Written into a run's folder, and loaded from there."""
    Path("run").mkdir(exist_ok=True)
    Path("run/recipe.toml").write_text(to_toml(recipe), encoding="utf-8")
    return load_recipe("run/recipe.toml", FakeCatalogue(), fallback=fallback)


def test_loading_what_was_written_gives_the_same_recipe() -> None:
    first = load(FULL, "tricks.plot.enabled=false", "generator.dropout=0.25")
    second = again(first)
    assert second.document == first.document
    assert (second.name, second.plugins, second.train, second.schedule) == (first.name, first.plugins, first.train, first.schedule)
    assert [(t.name, t.options) for t in second.tricks] == [(t.name, t.options) for t in first.tricks]
    assert to_toml(second) == to_toml(first)


def test_defaults_that_were_switched_off_do_not_come_back() -> None:
    first = load(FULL, "tricks.plot.enabled=false")
    assert [trick.name for trick in again(first).tricks] == ["clamp", "clip"]
    document = tomllib.loads(to_toml(first))
    assert document["defaults"] is False
    assert [(trick["use"], trick.get("enabled", True)) for trick in document["tricks"]] == [
        ("clamp", True),
        ("gradient_clipping", True),
        ("extra", False),
        ("absent", False),
        ("plot", False),
    ]
    assert document["tracking"]["enabled"] is False


def test_the_fallback_is_still_there_and_gone_once_taken() -> None:
    first = load(FULL)
    taken = load(FULL, fallback=True)
    assert again(first, fallback=True).document == taken.document
    assert again(taken).document == taken.document
    assert not again(taken).has_fallback


def test_losses_of_their_own_and_every_kind_of_value_survive() -> None:
    text = BASE.replace('[loss]\nuse = "bce"', '[loss]\ngenerator = { use = "bce", real_label = inf }\ndiscriminator.use = "hinge"')
    text = text.replace(
        'use = "ring"\nmodes = 8', 'use = "folder"\npath = "a \\"b\\"\\n"\nsize = 3\ncorners.left = 2\nflags = [[true], []]'
    )
    first = load(text)
    assert first.document["loss"]["generator"]["real_label"] == float("inf")
    assert again(first).document == first.document
    assert again(first).data.options == first.data.options


def test_the_file_begins_with_what_it_is() -> None:
    assert to_toml(load()).splitlines()[:6] == [
        "# Recipe 'r', resolved: every option is written out, with its default where the recipe did not say.",
        "# It reproduces the run alone, so it says `defaults = false`: what ganlab switches on by default stands in it already.",
        "",
        "defaults = false",
        'name = "r"',
        'description = ""',
    ]


def test_flat_names_are_those_of_set() -> None:
    flat = flatten(load(FULL, "tricks.plot.enabled=false").document)
    assert list(flat)[:4] == ["name", "description", "plugins", "data.use"]
    assert flat["plugins"] == '["extra.py"]'
    assert flat["data.modes"] == 8
    assert flat["generator.hidden"] == "[32, 32]"
    assert flat["generator.optimizer.betas"] == "[0.9, 0.999]"
    assert flat["loss.saturating"] == "false"
    assert (flat["tricks.clip.use"], flat["tricks.clip.max_norm"]) == ("gradient_clipping", 1.0)
    assert flat["tricks.plot.enabled"] == "false"
    assert flat["tricks.absent.anything.at"] == '["all"]'
    assert (flat["fallback.data.use"], flat["fallback.tricks.plot.use"]) == ("digits", "plot")
    assert all(isinstance(value, str | int | float) and not isinstance(value, bool) for value in flat.values())


def test_tables_in_lists_are_written_as_toml_writes_them() -> None:
    assert flatten({"a": [{"b": True}, "c"]}) == {"a": '[{b = true}, "c"]'}
