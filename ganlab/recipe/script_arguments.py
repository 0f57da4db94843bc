"""Checks of the arguments of ``ganlab.run`` and ``ganlab.resume``: the recipe, overrides, tricks and plugins of a script."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from numbers import Number
from typing import Any

from ganlab.errors import UsageError
from ganlab.recipe import in_toml

#: A script's changes of a recipe: values by dotted key, or texts as ``--set`` takes them.
Overrides = Mapping[str, Any] | Iterable[str]
_OVERRIDES_HINT = 'write overrides={"train.steps": 500}, for instance'


def recipe_source(recipe: object) -> str:
    """Return a recipe's name or file as text.

    Raises:
        UsageError: ``recipe`` is neither a text nor a path.
    """
    if not isinstance(recipe, str | os.PathLike):
        raise UsageError(f"a recipe is a name or a file, not a {type(recipe).__name__}", 'write ganlab.run("ring", overrides={...})')
    return os.fspath(recipe)


def override_list(overrides: Overrides) -> list[str]:
    """Return overrides as ``--set`` takes them: ``"a.b=c"``.

    Raises:
        UsageError: they are neither a dict nor a list of texts, or one has a value that no recipe can hold.
    """
    if isinstance(overrides, str):
        raise UsageError(f"overrides are a dict or a list, not the text '{overrides}'", _OVERRIDES_HINT)
    if isinstance(overrides, Mapping):
        return [f"{key}={in_toml(_plain(value, f'overrides[{key!r}]'))}" for key, value in overrides.items()]
    if not isinstance(overrides, Iterable):
        raise UsageError(f"overrides are a dict or a list, not {overrides!r}", _OVERRIDES_HINT)
    assignments = list(overrides)
    for number, assignment in enumerate(assignments):
        if not isinstance(assignment, str):
            raise UsageError(f"overrides[{number}] is a {type(assignment).__name__}, not a text such as 'train.steps=500'", _OVERRIDES_HINT)
    return assignments


def _plain(value: Any, name: str) -> Any:
    """Return a value as TOML can hold it. Tuples become lists, paths become texts, numpy's numbers become Python's."""
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        return [_plain(item, f"{name}[{number}]") for number, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{name}[{key!r}]") for key, item in value.items()}
    if isinstance(value, Number) or type(value).__module__ == "numpy":
        plain = value.item() if hasattr(value, "item") and getattr(value, "shape", ()) == () else None
        if isinstance(plain, bool | int | float | str):
            return plain
    what = "None" if value is None else f"a {type(value).__name__}"
    raise UsageError(
        f"{name} is {what}, which no recipe can hold",
        "leave it out" if value is None else "use numbers, texts, True or False, and lists or dicts of them",
    )


def trick_list(tricks: Iterable[object]) -> list[object]:
    """Return tricks as a list. Their hooks are checked later, when the run is built.

    Raises:
        UsageError: ``tricks`` is not a list of objects.
    """
    hint = 'a trick of a plugin is switched on by overrides={"tricks.NAME.use": "NAME"}'
    return _object_list(tricks, "tricks", "tricks=[MyTrick()]", hint)


def plugin_list(plugins: Iterable[object]) -> list[object]:
    """Return plugins, which are modules or other objects, as a list. Their hooks are checked later, by the catalogue.

    Raises:
        UsageError: ``plugins`` is not a list of objects.
    """
    hint = 'name a file in the recipe, `plugins = ["my_plugin.py"]`; or import it, and pass the module'
    return _object_list(plugins, "plugins", "plugins=[my_module]", hint)


def _object_list(argument: object, name: str, example: str, hint_for_text: str) -> list[object]:
    """Return the argument ``name`` as a list of objects."""
    if isinstance(argument, str):
        raise UsageError(f"{name} is a list, not the text '{argument}'", hint_for_text)
    if not isinstance(argument, Iterable) or isinstance(argument, type):
        raise UsageError(f"{name} is a list, not a {type(argument).__name__}", f"write {example}")
    objects = list(argument)
    for member in objects:
        if isinstance(member, str | os.PathLike):
            raise UsageError(f"{name} are objects with hooks, not the text '{os.fspath(member)}'", hint_for_text)
    return objects
