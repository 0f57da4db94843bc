"""What a script hands over: overrides, tricks and plugins, seen to be what they must be before anything is done with them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from numbers import Number
from typing import Any

from ganlab.errors import UsageError
from ganlab.recipe import in_toml

#: What a script may say in place of ``--set``: values by dotted key, or the words themselves.
Overrides = Mapping[str, Any] | Iterable[str]
_LIKE = 'write overrides={"train.steps": 500}, for instance'


def recipe_of(given: object) -> str:
    """A recipe's name or file.

    Raises:
        UsageError: it is neither.
    """
    if not isinstance(given, str | os.PathLike):
        raise UsageError(f"a recipe is a name or a file, not a {type(given).__name__}", 'write ganlab.run("ring", overrides={...})')
    return os.fspath(given)


def words_of(overrides: Overrides) -> list[str]:
    """Overrides as ``--set`` takes them.

    Raises:
        UsageError: they are of another kind, or one has a value that no recipe can hold.
    """
    if isinstance(overrides, str):
        raise UsageError(f"overrides are a dict or a list, not the text '{overrides}'", _LIKE)
    if isinstance(overrides, Mapping):
        return [f"{key}={in_toml(_plain(value, f'overrides[{key!r}]'))}" for key, value in overrides.items()]
    if not isinstance(overrides, Iterable):
        raise UsageError(f"overrides are a dict or a list, not {overrides!r}", _LIKE)
    words = list(overrides)
    for number, word in enumerate(words):
        if not isinstance(word, str):
            raise UsageError(f"overrides[{number}] is a {type(word).__name__}, not a text such as 'train.steps=500'", _LIKE)
    return words


def _plain(value: Any, name: str) -> Any:
    """A value as TOML has it; tuples, paths and numbers of numpy's are meant as what they are like."""
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


def tricks_of(given: Iterable[object]) -> list[object]:
    """Objects with run hooks; whether they have any is seen when the run is built.

    Raises:
        UsageError: no list of objects was given.
    """
    found = _listed(given, "tricks", "tricks=[MyTrick()]")
    for thing in found:
        if isinstance(thing, str | os.PathLike):
            raise UsageError(
                f"tricks are objects with hooks, not the text '{os.fspath(thing)}'",
                f'one that a plugin brings is switched on by overrides={{"tricks.{thing}.use": "{thing}"}}',
            )
    return found


def plugins_of(given: Iterable[object]) -> list[object]:
    """Modules or objects with registration hooks; whether they have any is seen when they are added to the catalogue.

    Raises:
        UsageError: no list of them was given.
    """
    found = _listed(given, "plugins", "plugins=[my_module]")
    for thing in found:
        if isinstance(thing, str | os.PathLike):
            raise UsageError(
                f"plugins are modules or objects with hooks, not the text '{os.fspath(thing)}'",
                'a file is named by a recipe, `plugins = ["my_plugin.py"]`; or import it, and hand over the module',
            )
    return found


def _listed(given: object, name: str, like: str) -> list[object]:
    if isinstance(given, str | os.PathLike):
        return [given]
    if not isinstance(given, Iterable) or isinstance(given, type):
        kind = f"the class {given.__name__}" if isinstance(given, type) else f"a {type(given).__name__}"
        raise UsageError(f"{name} is a list, not {kind}", f"write {like}")
    return list(given)
