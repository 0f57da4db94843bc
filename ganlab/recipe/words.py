"""pydantic's validation errors as sentences that say which values are allowed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pydantic
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

from ganlab.errors import closest, did_you_mean
from ganlab.recipe.places import Way, dotted, show

Schema = dict[str, Any]

_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}  # the latter for an option that is a dataclass


@cache
def options_schema(model: type[pydantic.BaseModel]) -> Schema:
    """The JSON schema of ``model``, with every ``$ref`` replaced by its definition; types that JSON cannot describe are empty."""
    try:
        schema = model.model_json_schema()
    except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError):  # a type that only Python knows
        return {"type": "object", "properties": {name: {} for name in model.model_fields}}
    inlined: Schema = _inline(schema, schema.pop("$defs", {}), ())
    return inlined


def _inline(schema: Any, definitions: Schema, inside: tuple[str, ...]) -> Any:
    if isinstance(schema, list):
        return [_inline(item, definitions, inside) for item in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        name = reference.removeprefix("#/$defs/")
        if name in inside or name not in definitions:  # a recursive type
            return {}
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return {**_inline(definitions[name], definitions, (*inside, name)), **rest}
    return {key: _inline(value, definitions, inside) for key, value in schema.items()}


def sentences(
    error: pydantic.ValidationError,
    model: type[pydantic.BaseModel],
    values: dict[str, Any],
    label: str,
    owner: str,
    other_keys: tuple[str, ...],
) -> Iterator[tuple[Way, str]]:
    """Each mistake as the path of the value, and a sentence.

    Args:
        label: the table in the recipe, such as ``"generator"`` or ``"tricks.clamp"``.
        owner: whose options they are, such as ``"network 'mlp'"``; empty for a table of the engine.
        other_keys: keys that the table may have besides its options; suggested for an unknown key.
    """
    schema = options_schema(model)
    grouped: dict[Way, list[Any]] = {}
    for detail in error.errors(include_url=False):
        missing = detail["type"] == "missing"
        grouped.setdefault(_real_path(detail["loc"], values, missing), []).append(detail)
    for path, details in grouped.items():
        if any(len(other) > len(path) and other[: len(path)] == path for other in grouped):
            continue  # another branch of a union got further, so its message is better
        if _UNKNOWN & {detail["type"] for detail in details}:
            yield path, _unknown(path, schema, label, owner, other_keys)
        else:
            yield path, _sentence(path, details, schema, values, label, owner)


def _real_path(loc: tuple[int | str, ...], values: Any, missing: bool) -> Way:
    """The part of pydantic's location that is a path in the values; the rest names branches of unions."""
    path: Way = ()
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        if isinstance(values, dict) and isinstance(part, str) and (part in values or (missing and last)):
            path, values = (*path, part), values.get(part)
        elif isinstance(values, list) and isinstance(part, int) and (part < len(values) or (missing and last)):
            path, values = (*path, part), values[part] if part < len(values) else None
    return path


def _sentence(path: Way, details: list[Any], schema: Schema, values: dict[str, Any], label: str, owner: str) -> str:
    """One mistake in a sentence, or the mistakes that several branches of a union report for the same value."""
    by_type = {detail["type"]: detail for detail in details}
    key = dotted(label, path)
    expected = describe(schema_at(schema, path))
    value = _value_at(values, path)
    if "missing" in by_type:
        return f"{_missing(path, label, owner)}{f': {expected}' if expected and isinstance(path[-1], str) else ''}"
    if "finite_number" in by_type:
        return f"{key} must be a finite number, not {show(value)}"
    check = by_type.get("value_error") or by_type.get("assertion_error")
    if check is not None:  # raised by the component's own check
        text = str(check["ctx"]["error"]).strip() or check["msg"]
        return f"{key} {text}" if text.startswith("must ") else f"{key}: {text}"
    if expected is None:
        text = details[0]["msg"]
        return f"{key}: {text[:1].lower()}{text[1:]}, not {show(value)}"
    words = [word for branch in _branches(schema_at(schema, path)) for word in branch.get("enum", [branch.get("const")])]
    suggestion = closest(value, [word for word in words if isinstance(word, str)]) if isinstance(value, str) else None
    return f"{key} must be {expected}, not {show(value)}" + (f"; did you mean '{suggestion}'?" if suggestion else "")


def _unknown(path: Way, schema: Schema, label: str, owner: str, other_keys: tuple[str, ...]) -> str:
    key, table = str(path[-1]), path[:-1]
    choices = [name for branch in _branches(schema_at(schema, table)) for name in branch.get("properties", {})]
    if not table and owner:
        choices += other_keys
        return f"{owner} has no option '{key}'; {did_you_mean(key, choices) if choices else 'it has no options'}"
    return f"unknown key '{key}' in {dotted(label, table) if table else f'[{label}]'}; {did_you_mean(key, choices)}"


def _missing(path: Way, label: str, owner: str) -> str:
    if isinstance(path[-1], int):
        return f"{dotted(label, path[:-1])} is too short: value number {path[-1] + 1} is missing"
    if len(path) == 1 and owner:
        return f"{label}: {owner} needs the option '{path[0]}'"
    return f"{dotted(label, path[:-1])} needs '{path[-1]}'"


def _value_at(value: Any, path: Way) -> Any:
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def schema_at(schema: Schema, path: Way) -> Schema:
    """The part of an inlined schema for the value at ``path``; empty if there is none."""
    for part in path:
        schema = next((child for branch in _branches(schema) if (child := _child(branch, part)) is not None), {})
    return schema


def _branches(schema: Schema) -> list[Schema]:
    """The alternatives of a union, or the schema itself; without null, which TOML does not have."""
    branches = schema.get("anyOf") or schema.get("oneOf")
    return [branch for branch in branches if branch.get("type") != "null"] if branches else [schema]


def _child(schema: Schema, part: str | int) -> Schema | None:
    if isinstance(part, str):
        child = schema.get("properties", {}).get(part, schema.get("additionalProperties"))
    else:
        first = schema.get("prefixItems", [])
        child = first[part] if part < len(first) else schema.get("items")
    return child if isinstance(child, dict) else None


def describe(schema: Schema, *, plural: bool = False) -> str | None:
    """The allowed values in words; None if the schema does not say.

    >>> describe({"type": "array", "items": {"type": "integer", "exclusiveMinimum": 0}})
    'a list of whole numbers greater than 0'
    >>> describe({"type": "number", "minimum": 0.0, "exclusiveMaximum": 0.5, "multipleOf": 10.0})
    'a number of at least 0 and less than 0.5 and divisible by 10'
    """
    branches = _branches(schema)
    if len(branches) > 1:
        parts = [describe(branch, plural=plural) for branch in branches]
        return None if None in parts else " or ".join(dict.fromkeys(str(part) for part in parts))
    schema = branches[0] if branches else {}
    if "const" in schema or "enum" in schema:
        return _listed(schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind in ("integer", "number"):
        noun = "whole number" if kind == "integer" else "number"
        return f"{noun}s{_range(schema)}" if plural else f"a {noun}{_range(schema)}"
    if kind == "string":
        return _text(schema, plural)
    if kind == "array":
        return _list(schema, plural)
    return {"boolean": "true or false", "object": "tables" if plural else "a table"}.get(str(kind))


def _listed(values: list[Any]) -> str:
    words = [show(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _range(schema: Schema) -> str:
    """The range after the noun: ``" from 1 to 5"``, ``" greater than 0 and less than 1"``."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        bounds = [f"from {_number(low)} to {_number(high)}"]
    else:
        bounds = [f"of {word} {_number(bound)}" for word, bound in (("at least", low), ("at most", high)) if bound is not None]
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    bounds += [f"{word} {_number(bound)}" for word, bound in (("greater than", above), ("less than", below)) if bound is not None]
    if "multipleOf" in schema:
        bounds.append(f"divisible by {_number(schema['multipleOf'])}")
    return f" {' and '.join(bounds)}" if bounds else ""


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _text(schema: Schema, plural: bool) -> str:
    noun = "path" if schema.get("format") in ("path", "file-path", "directory-path") else "text"
    if "examples" in schema and not plural:
        return f"text in quotes, such as {_listed(schema['examples'])}"
    words = f"{noun}s in quotes" if plural else "a path in quotes" if noun == "path" else "text in quotes"
    limits = _limits(schema.get("minLength"), schema.get("maxLength"), "character")
    pattern = f" that matches {schema['pattern']}" if "pattern" in schema else ""
    return f"{words}{pattern}{f' ({limits})' if limits else ''}"


def _list(schema: Schema, plural: bool) -> str:
    first = schema.get("prefixItems")
    if first:
        inner = {describe(item, plural=True) for item in first}
        count = len(first)
        of = inner.pop() if len(inner) == 1 else "values"
        return f"{'lists' if plural else 'a list'} of {count} {of or 'values'}"
    of = describe(schema.get("items", {}), plural=True)
    limits = _limits(schema.get("minItems"), schema.get("maxItems"), "")
    return f"{'lists' if plural else 'a list'}{f' of {of}' if of else ''}{f' ({limits})' if limits else ''}"


def _limits(low: int | None, high: int | None, noun: str) -> str:
    def counted(number: int) -> str:
        return f"{number} {noun}{'s' if number != 1 else ''}" if noun else str(number)

    if low is not None and high is not None:
        return f"exactly {counted(low)}" if low == high else f"{low} to {counted(high)}"
    return f"at least {counted(low)}" if low is not None else f"at most {counted(high)}" if high is not None else ""
