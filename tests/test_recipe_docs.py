"""The tables of docs/recipe.md are those of the code, and doctests run. Its blocks are tested by test_pages.py."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pydantic
import pytest

import ganlab.recipe
from ganlab.recipe.documented import option_texts
from ganlab.recipe.resolve import TOP_LEVEL
from ganlab.recipe.tables import EVALUATION_OPTIONS, SCHEDULE_OPTIONS, TRAIN_OPTIONS, Evaluation, Schedule, Train
from ganlab.recipe.words import describe, options_schema

Owner = type[Schedule] | type[Train] | type[Evaluation]
PAGE = Path(__file__).parent.parent / "docs" / "recipe.md"
TEXT = PAGE.read_text(encoding="utf-8")


def table(model: type[pydantic.BaseModel], owner: Owner) -> str:
    """The options of one of the engine's tables, as the page has them."""
    texts, schema = option_texts(owner), options_schema(model)["properties"]
    lines = ["| key | must be | default | |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        default = "" if field.default in (None, "") else f"`{str(field.default).lower()}`"
        lines.append(f"| `{name}` | {str(describe(schema[name])).replace(chr(39), '`')} | {default} | {texts[name].replace('``', '`')} |")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("mark", "model", "owner"),
    [("schedule", SCHEDULE_OPTIONS, Schedule), ("train", TRAIN_OPTIONS, Train), ("evaluation", EVALUATION_OPTIONS, Evaluation)],
)
def test_the_engines_tables_stand_on_the_page(mark: str, model: type[pydantic.BaseModel], owner: Owner) -> None:
    found = re.search(rf"<!-- {mark} -->\n(.*?)\n?<!-- end -->", TEXT, re.DOTALL)
    assert found, f"docs/recipe.md has no place for the table of [{mark}]"
    assert found[1] == table(model, owner), "write this between the two comments in docs/recipe.md"


def test_every_key_of_a_recipe_stands_on_the_page() -> None:
    missing = [key for key in TOP_LEVEL if not re.search(rf"`(\[\[?)?{key}(\]\]?)?`|^### \[{key}\]", TEXT, re.MULTILINE)]
    assert missing == []


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(ganlab.recipe.__path__)])
def test_the_examples_in_docstrings_are_right(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"ganlab.recipe.{name}")).failed == 0
