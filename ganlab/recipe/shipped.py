"""The recipes that come with ganlab, and the search for the file of a recipe."""

from __future__ import annotations

from pathlib import Path

from ganlab.errors import UsageError, closest, did_you_mean
from ganlab.recipe.places import display, show
from ganlab.storage.reading import parse_toml

DEFAULTS = "defaults"


def shipped_folder() -> Path:
    """The folder of the shipped recipes: package data in a wheel, ``recipes/`` in a checkout."""
    package = Path(__file__).resolve().parent.parent
    in_wheel = package / "recipes"
    return in_wheel if in_wheel.is_dir() else package.parent / "recipes"


def shipped_recipes() -> dict[str, Path]:
    """The files of the shipped recipes by name, sorted, without the defaults."""
    return {path.stem: path for path in sorted(shipped_folder().glob("*.toml")) if path.stem != DEFAULTS}


def defaults_file() -> Path:
    """The file that every recipe implicitly extends."""
    return shipped_folder() / f"{DEFAULTS}.toml"


def describe_recipe(path: Path) -> str:
    """The ``description`` of a recipe, which need not be valid; empty if it has none or cannot be read."""
    try:
        description = parse_toml(path.read_text(encoding="utf-8")).get("description", "")
    except (OSError, ValueError):
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
    if path.is_file():
        return path
    inside = path / "recipe.toml"
    if inside.is_file():  # a run's folder
        raise UsageError(f"{show(word)} is a folder, not a recipe", f"its recipe is {display(inside)}")
    raise UsageError(missing_recipe(word, path), hint)


def missing_recipe(word: str, path: Path) -> str:
    """The message for a recipe that does not exist."""
    if is_bare_name(word):
        text = f"there is no shipped recipe {show(word)}"
        with_suffix = path.parent / f"{path.name}.toml"
        return (
            f"{text}; did you mean the file {display(with_suffix)}?"
            if with_suffix.is_file()
            else f"{text}; {did_you_mean(word, shipped_recipes())}"
        )
    text = f"recipe {show(word)} does not exist"
    if path.stem in shipped_recipes():
        return f"{text}; did you mean the shipped recipe {show(path.stem)}?"
    if not path.parent.is_dir():
        return f"{text}, nor does the folder {display(path.parent)}"
    suggestion = closest(path.name, [file.name for file in path.parent.glob("*.toml")])
    return f"{text}; did you mean {display(path.parent / suggestion)}?" if suggestion else text
