"""The recipes that come with ganlab, and the search for the file of a recipe."""

from __future__ import annotations

import tomllib
from pathlib import Path

from ganlab.errors import UsageError, closest, did_you_mean
from ganlab.recipe.places import display, show

DEFAULTS = "defaults"


def shipped_folder() -> Path | None:
    """The folder of the shipped recipes: package data in a wheel, ``recipes/`` in a checkout; None if there is none."""
    package = Path(__file__).resolve().parent.parent
    if (package / "recipes").is_dir():
        return package / "recipes"
    checkout = package.parent
    return checkout / "recipes" if (checkout / "recipes").is_dir() and (checkout / "pyproject.toml").is_file() else None


def shipped_recipes() -> dict[str, Path]:
    """The files of the shipped recipes by name, sorted, without the defaults."""
    folder = shipped_folder()
    return {path.stem: path for path in sorted(folder.glob("*.toml")) if path.stem != DEFAULTS} if folder else {}


def defaults_file() -> Path | None:
    """The file that every recipe implicitly extends."""
    folder = shipped_folder()
    path = folder / f"{DEFAULTS}.toml" if folder else None
    return path if path and path.is_file() else None


def describe_recipe(path: Path) -> str:
    """The ``description`` of a recipe, which need not be valid; empty if it has none or cannot be read."""
    try:
        description = tomllib.loads(path.read_text(encoding="utf-8")).get("description", "")
    except (OSError, ValueError, RecursionError):
        return ""
    return description if isinstance(description, str) else ""


def is_bare_name(word: str) -> bool:
    """Whether a word names a shipped recipe, rather than a file."""
    return not word.endswith(".toml") and "/" not in word and "\\" not in word


def find_recipe(source: str | Path) -> Path:
    """The file of the recipe ``source``: a path, or the name of a shipped recipe.

    Raises:
        UsageError: there is none; the message has the closest name, and what to type.
    """
    word, path = str(source), Path(source)
    hint = "`ganlab recipes` lists those that come with ganlab"
    if isinstance(source, str) and is_bare_name(word) and word in (shipped := shipped_recipes()):
        return shipped[word]
    if is_file(path):
        return path
    inside = path / "recipe.toml"
    if is_file(inside):  # a run's folder
        raise UsageError(f"{show(word)} is a folder, not a recipe", f"its recipe is {display(inside)}")
    raise UsageError(missing_recipe(word, path), hint)


def is_file(path: Path) -> bool:
    """Whether there is such a file; False also for an invalid name (too long, or with a zero byte)."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def missing_recipe(word: str, path: Path) -> str:
    """The message for a recipe that does not exist."""
    if is_bare_name(word):
        text = f"there is no shipped recipe {show(word)}"
        with_suffix = path.parent / f"{path.name}.toml"
        return (
            f"{text}; did you mean the file {display(with_suffix)}?"
            if is_file(with_suffix)
            else f"{text}; {did_you_mean(word, shipped_recipes())}"
        )
    text = f"recipe {show(word)} does not exist"
    if path.stem in shipped_recipes():
        return f"{text}; did you mean the shipped recipe {show(path.stem)}?"
    try:
        if not path.parent.is_dir():
            return f"{text}, nor does the folder {display(path.parent)}"
        suggestion = closest(path.name, [file.name for file in path.parent.glob("*.toml")])
    except (OSError, ValueError):
        suggestion = None
    return f"{text}; did you mean {display(path.parent / suggestion)}?" if suggestion else text
