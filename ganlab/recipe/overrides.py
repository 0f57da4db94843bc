"""``--set a.b=c`` and ``--grid a.b=c``: single values of a recipe, set on the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ganlab.printable import one_line
from ganlab.recipe.places import OVERRIDES, Mistakes, Node, Place, show
from ganlab.recipe.read import DEEPEST, as_layer, depth, plain_toml_error, refuse_values, tree_of
from ganlab.redaction import redacted_value, remember_secrets
from ganlab.storage.reading import NESTED, parse_toml

_QUOTING = ('"', "'", "[", "{")


def read_overrides(texts: Iterable[str], grid: Iterable[str], mistakes: Mistakes) -> Node:
    """All texts of ``--set``, and one value of each ``--grid``, as one layer. Paths in it are relative to the current folder."""
    layer = Node({}, Place("--set", None, OVERRIDES))
    for number, (option, text) in enumerate([*(("--set", text) for text in texts), *(("--grid", text) for text in grid)]):
        remember_secrets(text)
        place = Place(f"{option} {show_text(text)}", None, OVERRIDES + number)
        try:
            _put(layer, *_split(text), place)
        except ValueError as error:
            mistakes.add(place, str(error))
    if "extends" in layer.table:
        mistakes.add(layer.table["extends"].place, "`extends` can only be set in the recipe's file")
    refuse_values(layer, mistakes)
    return as_layer(layer.without("extends"), Path.cwd(), mistakes)


def show_text(text: str) -> str:
    """Typed text for a message: on one line, without passwords, at most 120 characters."""
    shown = one_line(redacted_value(text)) if text.strip() else repr(text)
    return shown if len(shown) <= 120 else f"{shown[:117]}..."


def _split(text: str) -> tuple[list[str], Any]:
    """The keys and the value of ``a.b=c``.

    Raises:
        ValueError: the text is wrong; the message says how.
    """
    left, equals, right = (part.strip() for part in text.partition("="))
    form = "write it as --set table.key=value, for instance --set train.epochs=5"
    if not equals or not left:
        raise ValueError(form)
    try:
        text.encode()
        keys = _keys(tomllib.loads(f"{left} = 0"))
    except UnicodeEncodeError:
        raise ValueError("this is not UTF-8 text") from None
    except (ValueError, RecursionError):
        keys = None
    if not keys or len(keys) > DEEPEST:
        raise ValueError(f"{show(left)} is not a key of a recipe; {form}")
    if not right:
        raise ValueError(f"there is no value after the =; write {left}='\"\"' for empty text")
    try:
        return keys, typed(right)
    except ValueError as error:
        raise ValueError(f"the value is not TOML: {plain_toml_error(error, right)[1]}") from None


def _keys(document: dict[str, Any]) -> list[str] | None:
    """The keys that lead to the value of a document with one value; None if there are more values."""
    keys = []
    value: Any = document
    while isinstance(value, dict):
        if len(value) != 1:
            return None
        key, value = next(iter(value.items()))
        keys.append(key)
    return keys


def typed(text: str) -> Any:
    """A value of ``--set``: TOML if it can be parsed, else the text itself.

    >>> typed("1e-4"), typed("[1, 2]"), typed("mlp")
    (0.0001, [1, 2], 'mlp')

    Raises:
        ValueError: it begins with a quote or a bracket, and is not TOML, or is nested too deep.
    """
    try:
        document = parse_toml(f"value = {text}")
    except ValueError:
        if text.startswith(_QUOTING):
            raise
        return text
    if len(document) > 1:  # the text has a line break
        return text
    value = document["value"]
    if depth(value) > DEEPEST:
        raise ValueError(NESTED)
    return value


def _put(layer: Node, keys: list[str], value: Any, place: Place) -> None:
    """Put a value into the layer."""
    node = layer
    for position, key in enumerate(keys):
        last = position == len(keys) - 1
        existing = node.get(key)
        if last and existing is None:
            node.table[key] = tree_of(value, place)
        elif last or (existing is not None and not existing.is_table):
            other = existing.place if existing else place
            raise ValueError(f"{'.'.join(keys[: position + 1])} is set twice, here and by {other}: keep one of them")
        else:
            node = node.table.setdefault(key, Node({}, place))
