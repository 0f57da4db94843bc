"""``--set a.b=c``: how a value is typed, where it goes, and what is said of a wrong one."""

# ruff: noqa: E501 - whole texts stand on one line
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from recipe_support import BASE, FakeCatalogue, load, mistakes

import ganlab.recipe.shipped
from ganlab.recipe.overrides import typed


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ganlab.recipe.shipped, "shipped_folder", lambda: tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-4", 1e-4),
        ("true", True),
        ("True", "True"),
        ('"a b"', "a b"),
        ("[1, 2]", [1, 2]),
        ("{ a = 1 }", {"a": 1}),
        ("mlp", "mlp"),
        ("/home/me/images", "/home/me/images"),
        ("#ff0000", "#ff0000"),
        ("a=b", "a=b"),
        ("256,512", "256,512"),
        (".5", ".5"),
        ("1\nother = 2", "1\nother = 2"),
        ("1\nvalue.x = 2", "1\nvalue.x = 2"),
    ],
)
def test_values_are_toml_and_bare_words_are_text(text: str, value: Any) -> None:
    assert typed(text) == value


def test_overrides_win() -> None:
    recipe = load(
        BASE, "data.modes=5", "generator.hidden=[64]", "train.steps=7", "discriminator.optimizer.lr=0.5", " noise . dimension = 3 "
    )
    assert recipe.data.options["modes"] == 5
    assert recipe.generator.network.options["hidden"] == [64]
    assert (recipe.train.steps, recipe.train.epochs) == (7, None)
    assert recipe.discriminator.optimizer.options["lr"] == 0.5
    assert recipe.noise.options["dimension"] == 3


def test_another_component_drops_the_recipes_options() -> None:
    recipe = load(BASE, "data.use=folder", "data.path=images", "name=mine")
    assert (recipe.data.use, recipe.data.options["path"], recipe.data.where) == ("folder", Path.cwd() / "images", "--set data.use=folder")
    assert recipe.name == "mine"


def test_a_trick_is_found_by_its_name_and_a_new_one_is_added() -> None:
    recipe = load(BASE, "tricks.clip.max_norm=3", "tricks.clamp={ margin = 0.1 }", "tricks.second.use=clamp", "tricks.second.margin=0.2")
    assert [(trick.name, trick.use, trick.options.get("margin")) for trick in recipe.tricks] == [
        ("clamp", "clamp", 0.1),
        ("clip", "gradient_clipping", None),
        ("second", "clamp", 0.2),
    ]
    assert recipe.tricks[1].options["max_norm"] == 3.0
    assert recipe.document["tricks"][2] == {"name": "second", "use": "clamp", "margin": 0.2}


def test_tricks_as_a_list_merge_by_name_too() -> None:
    assert [t.name for t in load(BASE, 'tricks=[{ use = "plot" }, { name = "clip", enabled = false }]').tricks] == ["clamp", "plot"]


def test_plugins_are_relative_to_the_current_folder() -> None:
    Path("extra.py").write_text("", encoding="utf-8")
    Path("sub").mkdir()
    catalogue = FakeCatalogue()
    recipe = load(BASE, 'plugins=["extra.py"]', "tricks.extra.use=extra", name="sub/r.toml", catalogue=catalogue)
    assert [file.path for file in recipe.plugins] == catalogue.files == [Path.cwd() / "extra.py"]
    assert recipe.tricks[-1].use == "extra"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["epochs"], ["--set epochs: write it as --set table.key=value, for instance --set train.epochs=5"]),
        (["", ""], ["--set '': write it as --set table.key=value, for instance --set train.epochs=5"]),
        (["=3"], ["--set =3: write it as --set table.key=value, for instance --set train.epochs=5"]),
        (
            ["a b=3"],
            ["--set a b=3: 'a b' is not a key of a recipe; write it as --set table.key=value, for instance --set train.epochs=5"],
        ),
        (
            ["# no=3"],
            ["--set # no=3: '# no' is not a key of a recipe; write it as --set table.key=value, for instance --set train.epochs=5"],
        ),
        (["train.epochs="], ["--set train.epochs=: there is no value after the =; write train.epochs='\"\"' for empty text"]),
        (
            ["generator.hidden=[1, 2"],
            ["--set generator.hidden=[1, 2: the value is not TOML: unclosed array (at the end)"],
        ),
        ([f"a={'[' * 30}{']' * 30}"], [f"--set a={'[' * 30}{']' * 30}: the value is not TOML: lists and tables are nested more than 16 levels deep"]),
        (["data.modes=\udcff"], ["--set data.modes=\\udcff: this is not UTF-8 text"]),
        (["data.modes=a\nb"], ["--set data.modes=a\\nb: data.modes must be a whole number of at least 1, not 'a\\nb'"]),
        (["data.modes=2024-01-01"], ["--set data.modes=2024-01-01: data.modes is a date, which no option accepts; put quotes around it if it is text"]),
        (
            ["data.modes=3", "data.modes=4"],
            ["--set data.modes=4: data.modes is set twice, here and by --set data.modes=3: keep one of them"],
        ),
        (
            ["data.modes=3", "data.modes.deep=4"],
            ["--set data.modes.deep=4: data.modes is set twice, here and by --set data.modes=3: keep one of them"],
        ),
        (
            ["train.steps=3", "train.epochs=3"],
            ["--set train.epochs=3: train has both `steps` and `epochs`: keep one of them"],
        ),
        (["extends=a.toml"], ["--set extends=a.toml: `extends` can only be set in the recipe's file"]),
        (["data=3"], ["--set data=3: data must be a table, not 3"]),
        (["data.modes.deep=3"], ["--set data.modes.deep=3: data.modes must be a whole number of at least 1, not a table"]),
        (["generator.hidden.0=3"], ["--set generator.hidden.0=3: generator.hidden must be a list of whole numbers greater than 0 (at least 1), not a table"]),
        (["generator.hidden=256,512"], ["--set generator.hidden=256,512: generator.hidden must be a list of whole numbers greater than 0 (at least 1), not '256,512'"]),
        (["data.mode=3"], ["--set data.mode=3: dataset 'ring' has no option 'mode'; did you mean 'modes'? (choices: modes, spread)"]),
        (["data.use=rnig"], ["--set data.use=rnig: data.use: there is no dataset 'rnig'; did you mean 'ring'? (choices: digits, folder, ring)"]),
        (
            ["tricks.clmp.margin=3"],
            ["--set tricks.clmp.margin=3: the recipe has no trick 'clmp'; did you mean 'clamp'? (choices: clamp, clip); --set tricks.clmp.use=... adds one"],
        ),
        (["tricks.clamp=3"], ["--set tricks.clamp=3: tricks.clamp must be a table, not 3"]),
        (["tricks=3"], ["--set tricks=3: tricks are a list: write [[tricks]], with two brackets, before each of them"]),
        (["tricks.clamp.name=other"], ["--set tricks.clamp.name=other: tricks.clamp.name cannot be set: the name is 'clamp'"]),
        (
            ["tricks.'a b'.use=clamp"],
            ["--set tricks.'a b'.use=clamp: a trick's name may have letters, digits, _ and - in it, not 'a b'"],
        ),
        (
            ["tracking.uri=x"],
            ['--set tracking.uri=x: tracking does not say which trick: add use = "..." (choices: clamp, gradient_clipping, mlflow, plot)'],
        ),
        (["fallback.train.steps=x"], ["--set fallback.train.steps=x: train.steps must be a whole number of at least 1, not 'x'"]),
        (["train.seed=0x" + "F" * 6000], ["--set train.seed=0x" + "F" * 104 + "...: train.seed is too large for a whole number of TOML (64 bits)"]),
    ],
)  # fmt: skip
def test_each_mistake(texts: list[str], expected: list[str]) -> None:
    assert mistakes(BASE, *texts) == expected


def test_a_recipe_without_tricks_says_so() -> None:
    text = BASE[: BASE.index("[[tricks]]")] + BASE[BASE.index("[train]") :]
    assert mistakes(text, "tricks.clamp.margin=0.1") == [
        "--set tricks.clamp.margin=0.1: the recipe has no trick 'clamp'; it has none; --set tricks.clamp.use=... adds one"
    ]
