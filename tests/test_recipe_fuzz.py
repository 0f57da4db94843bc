"""Whatever a recipe file or a ``--set`` says: a recipe, or an error that a person can read; never anything else."""

# ruff: noqa: E501, PT017 - tables of words; an error may be raised here, and then it must read well
from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipe_support import BASE, FakeCatalogue

import ganlab.recipe.shipped
from ganlab.errors import GanlabError, PluginError, RecipeError, UsageError
from ganlab.game.schedule import groups_of
from ganlab.printable import one_line
from ganlab.recipe import flatten, load_recipe, shipped_recipes, to_toml
from ganlab.registry.catalogue import Catalogue

FUZZ = int(os.environ.get("GANLAB_FUZZ", "0"))
#: Always the same few examples of each property; docs/reliability.md says what was tried with more of them, drawn anew each time.
examples = settings(max_examples=FUZZ or 120, derandomize=not FUZZ, deadline=None)
FULL = f"""\
extends = "base.toml"
{BASE}
[schedule]
order = "generator_first"
[tracking]
use = "mlflow"
[fallback]
data = {{ use = "folder", path = "a", corners = {{ left = 1 }}, size = "full" }}
train = {{ steps = 4 }}
[[fallback.tricks]]
name = "clip"
max_norm = 3
"""
SHIPPED = {name: path.read_text(encoding="utf-8") for name, path in shipped_recipes().items()}
CATALOGUE = Catalogue.of_installed()
WORDS = [
    *sorted(set(FULL.split())), "plugins", "name", "defaults", "fallback", "extends", "enabled", "[loss.generator]", "[[tricks]]", "[tricks]",
    "[[data]]", "{", "}", "[", "]", '"', "'", '"""', ",", "=", ".", "\n", "\\", "inf", "nan", "-1", "9" * 30, "2024-01-01", "[[[]]]", "{}",
    "{ a = { b = 1 } }", "\x00", "\x7f", "é", "true", "1e400", "0x1F",
]  # fmt: skip
KEYS = [
    "data", "use", "modes", "tricks", "clamp", "clip", "margin", "enabled", "name", "train", "steps", "epochs", "loss", "generator", "hidden",
    "optimizer", "lr", "fallback", "plugins", "schedule", "order", "tracking", "defaults", "extends", "description", "discriminator", "noise",
    "0", '""', "'a b'", "device", "dtype", "autocast", "path", "corners",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before, folder = Path.cwd(), tmp_path_factory.mktemp("fuzz")
    (folder / "base.toml").write_text(BASE, encoding="utf-8")
    (folder / "extra.py").write_text("", encoding="utf-8")
    (folder / "defaults.toml").write_text('[tracking]\nuse = "mlflow"\n[[tricks]]\nuse = "plot"\n', encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ganlab.recipe.shipped, "shipped_folder", lambda: folder)
        os.chdir(folder)
        yield
        os.chdir(before)


def as_text(document: dict[str, Any]) -> str:
    return json.dumps(document, sort_keys=True)  # where nan equals nan


def check(text: str, overrides: list[str], *, fallback: bool) -> None:
    Path("r.toml").write_text(text, encoding="utf-8")
    try:
        recipe = load_recipe(Path("r.toml"), FakeCatalogue(), overrides, fallback=fallback)
    except RecipeError as error:
        assert error.mistakes, "an error has something to say"
        assert len(set(error.mistakes)) == len(error.mistakes), "nothing is said twice"
        assert [mistake for mistake in error.mistakes if one_line(mistake) != mistake] == []
        return
    except UsageError:
        return
    assert recipe.train.steps or recipe.train.epochs
    assert flatten(recipe.document)
    Path("again.toml").write_text(to_toml(recipe), encoding="utf-8")
    again = load_recipe(Path("again.toml"), FakeCatalogue())
    assert as_text(again.document) == as_text(recipe.document)


def mutated(text: str, chance: random.Random, mutations: int) -> str:
    """A recipe with some mistakes made in it."""
    for _ in range(mutations):
        kind = chance.randrange(4)
        if kind == 0:  # a line goes, or is doubled
            lines = text.splitlines(keepends=True) or [""]
            at = chance.randrange(len(lines))
            lines[at : at + 1] = [lines[at]] * chance.choice([0, 2])
            text = "".join(lines)
        elif kind == 1:  # a word becomes another
            words = text.split(" ")
            words[chance.randrange(len(words))] = chance.choice(WORDS)
            text = " ".join(words)
        elif kind == 2:  # a value becomes another
            lines = text.splitlines() or [""]
            at = chance.randrange(len(lines))
            lines[at] = f"{lines[at].partition('=')[0]} = {chance.choice(WORDS)}"
            text = "\n".join(lines)
        else:  # something is written in between
            at = chance.randrange(len(text) + 1)
            text = text[:at] + chance.choice(WORDS) + text[at:]
    return text


@given(st.randoms(use_true_random=False), st.integers(1, 4), st.booleans())
@examples
def test_mutated_recipes(chance: random.Random, mutations: int, fallback: bool) -> None:
    check(mutated(FULL, chance, mutations), [], fallback=fallback)


_value = st.one_of(
    st.sampled_from(["3", "true", "mlp", "ring", "digits", "clamp", "[1, 2]", "{ use = 'clamp' }", "{}", "[{}]", "inf", "'", "[", "2024-01-01", "['extra.py']"]),
    st.text(max_size=12),
)  # fmt: skip
_override = st.builds(lambda keys, value: f"{'.'.join(keys)}={value}", st.lists(st.sampled_from(KEYS), min_size=1, max_size=4), _value)


@given(st.lists(st.one_of(_override, st.text(max_size=20)), max_size=3), st.booleans())
@examples
def test_any_overrides(overrides: list[str], fallback: bool) -> None:
    check(FULL, overrides, fallback=fallback)


@given(st.text(max_size=60))
@examples
def test_any_word_for_a_recipe(word: str) -> None:
    try:
        load_recipe(word, FakeCatalogue())
    except UsageError as error:
        assert str(error)


@given(
    st.sampled_from(sorted(SHIPPED)), st.randoms(use_true_random=False), st.integers(1, 3), st.lists(_override, max_size=1), st.booleans()
)
@examples
def test_mutated_shipped_recipes(name: str, chance: random.Random, mutations: int, overrides: list[str], fallback: bool) -> None:
    """With the real plugins: a plan of turns, or an error with exit code 2."""
    Path("r.toml").write_text(mutated(SHIPPED[name], chance, mutations), encoding="utf-8")
    try:
        recipe = load_recipe(Path("r.toml"), CATALOGUE, overrides, fallback=fallback)
    except GanlabError as error:
        if isinstance(error, PluginError):  # the empty file is no plugin, which is its author's mistake
            assert "plugin 'extra'" in error.message
            return
        assert isinstance(error, RecipeError | UsageError)
        assert error.exit_code == 2
        assert error.message.strip()
        return
    assert groups_of(recipe.schedule)
    assert recipe.train.steps or recipe.train.epochs
