"""The JSON schema takes what ganlab takes, and refuses what an editor can know to be wrong."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from recipe_support import BASE, Entry, FakeCatalogue, Nested, mlp, ring

import ganlab.recipe.shipped
from ganlab.recipe import schema, shipped_recipes
from ganlab.recipe.documented import option_texts
from ganlab.registry.catalogue import Catalogue
from ganlab.registry.options import options_model

SCHEMA = schema(FakeCatalogue())


def errors(text: str, described: dict[str, Any] = SCHEMA) -> list[str]:
    """Where the schema finds something wrong with a recipe, as paths."""
    jsonschema = pytest.importorskip("jsonschema", reason="the dev extra brings it")
    checker = jsonschema.Draft202012Validator(described)
    return sorted({"/".join(map(str, error.absolute_path)) for error in checker.iter_errors(tomllib.loads(text))})


def changed(old: str, new: str) -> str:
    assert old in BASE
    return BASE.replace(old, new, 1)


def test_the_schema_is_one_and_plain_json() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="the dev extra brings it")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA, allow_nan=False)) == SCHEMA


def test_whole_recipes_are_taken() -> None:
    assert errors(BASE) == []
    assert errors("#:schema x\nname = 'a'\ndescription = 'b'\ndefaults = false\nplugins = ['a.py']\n" + BASE) == []
    assert errors(BASE + "[schedule]\norder = 'simultaneous'\n[tracking]\nenabled = false\n[fallback]\ndata = { use = 'digits' }\n") == []
    assert errors(changed('[loss]\nuse = "bce"', '[loss.generator]\nuse = "bce"\n[loss.discriminator]\nuse = "hinge"')) == []
    assert errors(changed('use = "ring"\nmodes = 8', 'use = "folder"\npath = "a"\nsize = 3\ncorners.left = 1\nlimits = [0, 1]')) == []


def test_parts_are_taken_where_another_recipe_is_extended() -> None:
    assert errors('extends = "a.toml"') == []
    assert errors('extends = "a"\n[data]\nmodes = 3\n[generator.optimizer]\nlr = 0.1\n[[tricks]]\nname = "clip"\nenabled = false\n') == []
    assert errors('extends = "a"\n[loss.generator]\nsaturating = true\n[fallback]\ntrain = { steps = 3 }\n') == []
    assert errors('extends = "a"\n[loss]\nsaturating = true\n[data]\nuse = "folder"\n') == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", [""]),
        ("zoo = 3\n" + BASE, [""]),
        (changed("modes = 8", "mode = 8"), ["data"]),
        (changed("modes = 8", "modes = 0"), ["data"]),
        (changed('use = "ring"\n', ""), ["data"]),
        (changed('use = "ring"\nmodes = 8', 'use = "folder"'), ["data"]),
        (changed('use = "adam"\nlr = 1e-3', 'use = "sgd"'), ["generator/optimizer"]),
        (changed('[generator.optimizer]\nuse = "adam"\nlr = 1e-3\n', ""), ["generator"]),
        (changed("epochs = 3", "epochs = 3\nsteps = 4"), ["train"]),
        (changed("epochs = 3", ""), ["train"]),
        (changed("epochs = 3", "epochs = 3\nepoch = 3"), ["train"]),
        (changed("epochs = 3", "epochs = 3\ndevice = 'gpu'"), ["train/device"]),
        (changed('name = "clip"', 'name = "a b"'), ["tricks/1"]),
        (changed('[loss]\nuse = "bce"\n', '[loss.generator]\nuse = "bce"\n'), ["loss"]),
        (changed('[loss]\nuse = "bce"\n', '[loss]\nuse = "bce"\ngenerator.use = "bce"\n'), ["loss"]),
        (BASE + "[schedule]\norder = 'random'\n", ["schedule/order"]),
        (BASE + "[fallback]\nextends = 'a'\n", ["fallback"]),
        ('extends = "a"\n[data]\nmode = 3\n', ["data"]),
        ('extends = "a"\n[data]\nuse = "rign"\n', ["data"]),
    ],
)
def test_mistakes_are_found(text: str, where: list[str]) -> None:
    assert errors(text) == where


def test_options_come_with_meaning_default_and_range() -> None:
    data = SCHEMA["$defs"]["data"]["oneOf"]
    branch = next(branch for branch in data if branch["title"] == "ring")
    assert branch == {
        "title": "ring",
        "description": "Gaussians on a circle. (plugin fake)",
        "properties": {
            "use": {"const": "ring"},
            "modes": {"description": "how many there are, evenly spaced.", "default": 8, "minimum": 1, "type": "integer"},
            "spread": {"description": "their standard deviation.", "default": 0.1, "exclusiveMinimum": 0, "type": "number"},
        },
        "required": ["use"],
        "additionalProperties": False,
    }
    train = SCHEMA["$defs"]["train"]["properties"]
    assert train["steps"] == {"description": "length of the run in steps of the game.", "minimum": 1, "type": "integer"}
    assert all("description" in option for option in {**train, **SCHEMA["$defs"]["schedule"]["properties"]}.values())


def test_parts_have_the_options_of_all_components_without_defaults() -> None:
    assert SCHEMA["$defs"]["noise"]["oneOf"][-1] == {
        "title": "options of the recipe that is extended",
        "properties": {"dimension": {"minimum": 1, "type": "integer"}},
        "additionalProperties": False,
    }
    rates = SCHEMA["$defs"]["optimizer"]["oneOf"][-1]["properties"]
    assert rates["lr"] == {"exclusiveMinimum": 0, "type": "number"}
    size = next(branch for branch in SCHEMA["$defs"]["data"]["oneOf"] if branch["title"] == "folder")["properties"]["size"]
    assert size == {"anyOf": [{"minimum": 1, "type": "integer"}, {"const": "full", "type": "string"}], "default": "full"}


def test_docstrings_are_read_option_by_option() -> None:
    assert option_texts(ring) == {"modes": "how many there are, evenly spaced.", "spread": "their standard deviation."}
    assert option_texts(mlp) == {}


def test_docstrings_of_other_shapes() -> None:
    def factory() -> None:
        """Summary: not an option.

        Args:
            a, b: both.
            c (int, optional): with
                a second line: and a colon.

            d: after a gap

        Returns:
            e: nothing of ours.
        """

    assert option_texts(factory) == {"a": "both.", "b": "both.", "c": "with a second line: and a colon.", "d": "after a gap"}


def test_defaults_that_json_cannot_say_are_left_out() -> None:
    def endless(*, most: float = float("inf"), least: float | None = None) -> None:
        """Loss."""

    catalogue = FakeCatalogue()
    catalogue.entries["loss", "endless"] = Entry("loss", "endless", endless, options_model(endless, "endless"), "fake", "fake 1.0")
    branch = next(branch for branch in schema(catalogue)["$defs"]["loss"]["oneOf"] if branch["title"] == "endless")
    assert branch["properties"] == {"use": {"const": "endless"}, "most": {"type": "number"}, "least": {"type": "number"}}


def test_options_that_json_cannot_describe_are_named_and_left_open() -> None:
    branch = next(branch for branch in SCHEMA["$defs"]["loss"]["oneOf"] if branch["title"] == "strange")
    assert branch["properties"] == {"use": {"const": "strange"}, "odd": {}, "own": {}}


def test_a_type_that_holds_itself_is_described_once() -> None:
    def nested(*, own: Nested | None = None) -> None:
        """Loss."""

    catalogue = FakeCatalogue()
    catalogue.entries["loss", "nested"] = Entry("loss", "nested", nested, options_model(nested, "nested"), "fake", "fake 1.0")
    branch = next(branch for branch in schema(catalogue)["$defs"]["loss"]["oneOf"] if branch["title"] == "nested")
    own = branch["properties"]["own"]
    assert own["properties"]["depth"] == {"default": 0, "type": "integer"}
    assert own["properties"]["inner"]["anyOf"][0] == {}


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_shipped_recipes_are_valid(name: str) -> None:
    assert errors(shipped_recipes()[name].read_text(encoding="utf-8"), schema(Catalogue.of_installed())) == []


def test_the_defaults_are_a_valid_part() -> None:
    path = ganlab.recipe.shipped.defaults_file()
    assert isinstance(path, Path)
    whole = schema(Catalogue.of_installed())
    part = {"$defs": whole["$defs"], **whole["$defs"]["fragment"]}
    assert errors(path.read_text(encoding="utf-8"), part) == []
