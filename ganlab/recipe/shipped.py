"""The recipes that come with ganlab, and how a word on the command line becomes a file."""

from __future__ import annotations

import tomllib
from pathlib import Path

from ganlab.errors import UsageError, closest, did_you_mean
from ganlab.recipe.places import display

DEFAULTS = "defaults"


def shipped_folder() -> Path | None:
    """The folder of the recipes that come with ganlab: package data in a wheel, ``recipes/`` in a checkout; None if there is none."""
    package = Path(__file__).resolve().parent.parent
    if (package / "recipes").is_dir():
        return package / "recipes"
    checkout = package.parent
    return checkout / "recipes" if (checkout / "recipes").is_dir() and (checkout / "pyproject.toml").is_file() else None


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with ganlab, by name, sorted; the defaults are not among them."""
    folder = shipped_folder()
    return {path.stem: path for path in sorted(folder.glob("*.toml")) if path.stem != DEFAULTS} if folder else {}


def defaults_file() -> Path | None:
    """The file that every recipe implicitly extends."""
    folder = shipped_folder()
    path = folder / f"{DEFAULTS}.toml" if folder else None
    return path if path and path.is_file() else None


def describe_recipe(path: Path) -> str:
    """The ``description`` of a recipe that need not be valid; empty where it has none or cannot be read."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("description", "")
    except (OSError, ValueError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""


def is_bare_name(word: str) -> bool:
    """Whether a word names a shipped recipe, rather than a file."""
    return not word.endswith(".toml") and "/" not in word and "\\" not in word


def find_recipe(source: str | Path) -> Path:
    """The file that ``source`` means: a path, or the name of a shipped recipe.

    Raises:
        UsageError: there is none; with the closest name, and what to type.
    """
    word, path = str(source), Path(source).expanduser()
    hint = "`ganlab recipes` lists those that come with ganlab"
    try:
        if isinstance(source, str) and is_bare_name(word) and word in (shipped := shipped_recipes()):
            return shipped[word]
        if path.is_file():
            return path
        if path.is_dir():
            inside = path / "recipe.toml"
            more = f"its recipe is {display(inside)}" if inside.is_file() else hint
            raise UsageError(f"{word!r} is a folder, not a recipe", more)
    except (OSError, ValueError) as error:  # a name too long for the system, or with a zero byte in it
        raise UsageError(f"recipe {word!r} cannot be read: {error}", hint) from error
    raise UsageError(missing_recipe(word, path), hint)


def missing_recipe(word: str, path: Path) -> str:
    """What to say of a recipe that is not there."""
    if is_bare_name(word):
        beside = path.with_name(f"{path.name}.toml") if path.name else path
        if beside.is_file():
            return f"there is no shipped recipe {word!r}; did you mean the file {display(beside)}?"
        return f"there is no shipped recipe {word!r}; {did_you_mean(word, shipped_recipes())}"
    if not path.parent.is_dir():
        return f"recipe {word} does not exist, nor does the folder {display(path.parent)}"
    near = closest(path.name, [file.name for file in path.parent.glob("*.toml")])
    if near is None and path.stem in shipped_recipes():
        return f"recipe {word} does not exist; did you mean the shipped recipe {path.stem!r}?"
    return f"recipe {word} does not exist" + (f"; did you mean {display(path.parent / near)}?" if near else "")
