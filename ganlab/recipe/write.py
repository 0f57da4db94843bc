"""Output of a resolved recipe: as a TOML file, and as flat names and values for trackers and comparisons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tomli_w

from ganlab.recipe.choices import Recipe
from ganlab.recipe.merge import LISTED


def to_toml(recipe: Recipe) -> str:
    """The resolved recipe as a TOML file. Loading that file alone gives the same document again."""
    head = [
        f"# Recipe '{recipe.name}', resolved: every option is written out, with its default where the recipe did not say.",
        "# It reproduces the run alone, so it says `defaults = false`: what ganlab switches on by default stands in it already.",
    ]
    return "\n".join([*head, "", tomli_w.dumps({"defaults": False, **recipe.document})])


def flatten(document: dict[str, Any]) -> dict[str, str | int | float]:
    """A resolved document as dotted keys, in the document's order.

    Tricks and metrics are keyed by name (``"tricks.clamp.margin"``, as in ``--set``). Truth values and lists are TOML text. Plugin
    files have no folder, which is no difference between two experiments.

    >>> flatten({"tricks": [{"use": "clamp", "margin": 0.1}]})
    {'tricks.clamp.use': 'clamp', 'tricks.clamp.margin': 0.1}
    """
    flat: dict[str, str | int | float] = {}
    _flatten(document, "", flat)
    return flat


def _flatten(table: dict[str, Any], prefix: str, flat: dict[str, str | int | float]) -> None:
    for key, value in table.items():
        name = f"{prefix}{key}"
        if key in LISTED and isinstance(value, list):
            for item in value:
                item_name = item.get("name", item.get("use"))
                _flatten({option: setting for option, setting in item.items() if option != "name"}, f"{name}.{item_name}.", flat)
        elif isinstance(value, dict):
            _flatten(value, f"{name}.", flat)
        elif key == "plugins" and isinstance(value, list):
            flat[name] = in_toml([Path(item).name for item in value])
        elif isinstance(value, bool | list):
            flat[name] = in_toml(value)
        else:
            flat[name] = value


def in_toml(value: Any) -> str:
    """A value as TOML in one line.

    >>> in_toml([1, {"a": True}])
    '[1, {a = true}]'
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(in_toml(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {in_toml(item)}' for key, item in value.items())}}}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
