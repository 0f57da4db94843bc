"""The manual of a component or trick: its options in words, and a piece of recipe to copy."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticUndefined

from ganlab.recipe.choices import TABLES_OF
from ganlab.recipe.documented import option_texts
from ganlab.recipe.words import describe, options_schema, schema_at
from ganlab.recipe.write import in_toml
from ganlab.registry.entry import Entry
from ganlab.registry.options import plain

#: The placeholder in a piece of recipe for a required value; a recipe with it is refused.
TO_BE_GIVEN = "..."


@dataclass(frozen=True)
class OptionFacts:
    """One option.

    Attributes:
        name: as in a recipe.
        expected: the allowed values in words; empty if only Python can describe them.
        default: as TOML; None if it has no value when it is left out.
        required: whether a recipe must set it.
        text: its description from the docstring.
    """

    name: str
    expected: str
    default: str | None
    required: bool
    text: str


def options_of(entry: Entry) -> list[OptionFacts]:
    """All options of a component or trick, in the order of its signature."""
    schema, texts = options_schema(entry.options), option_texts(entry.factory)
    defaults = default_options(entry)
    return [
        OptionFacts(
            name,
            describe(schema_at(schema, (name,))) or "",
            in_toml(defaults[name]) if name in defaults else None,
            field.is_required(),
            texts.get(name, field.description or ""),
        )
        for name, field in entry.options.model_fields.items()
    ]


def default_options(entry: Entry) -> dict[str, Any]:
    """The defaults of those options that have one, as TOML types."""
    fields = entry.options.model_fields.items()
    defaults = {name: field.get_default(call_default_factory=True, validated_data={}) for name, field in fields}
    return plain({name: value for name, value in defaults.items() if value is not PydanticUndefined}, entry.options)


def snippet(entry: Entry) -> str:
    """A table for a recipe with every option at its default, to copy and shorten."""
    lines = [TABLES_OF[entry.kind][0], f"use = {in_toml(entry.name)}"]
    for option in options_of(entry):
        if option.required:
            lines.append(f"{option.name} = {TO_BE_GIVEN}  # must be given: {option.expected}".rstrip(": "))
        elif option.default is None:
            lines.append(f"# {option.name} = {TO_BE_GIVEN}  # left out by default")
        else:
            lines.append(f"{option.name} = {option.default}")
    return "\n".join(lines)


def hooks_of(entry: Entry) -> list[str] | None:
    """The run hooks of a trick's class, in alphabetical order; None if its factory is not a class."""
    if not inspect.isclass(entry.factory):
        return None
    return [name for name, method in inspect.getmembers(entry.factory, inspect.isfunction) if hasattr(method, "ganlab_impl")]
