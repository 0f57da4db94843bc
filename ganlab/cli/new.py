"""``ganlab new``: write starter files for a trick, a metric, a recipe or a plugin. Each runs as it is."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from importlib import resources
from pathlib import Path
from typing import Literal

from ganlab.errors import UsageError
from ganlab.registry.catalogue import Catalogue
from ganlab.screen.terminal import show_lines
from ganlab.version import __version__

Kind = Literal["trick", "metric"]  # each has two templates: KIND.py and KIND.toml

DISTRIBUTION = re.compile(r"[A-Za-z]([A-Za-z0-9._-]*[A-Za-z0-9])?")


def recipe(file: Path) -> None:
    """Write a recipe that changes a shipped one."""
    if file.suffix != ".toml":
        raise UsageError(f"{file} is not a valid name for a recipe", f"the name must end in .toml: `ganlab new recipe {file.name}.toml`")
    _write({file: ("recipe.toml", {"RECIPE_NAME": file.name})})
    show_lines(f"{file} is a recipe that changes 'ring'. Now:", f"  ganlab run {file}", f"  ganlab check {file}")


def plugin(name: str) -> None:
    """Make a folder with a distribution: a plugin, its tests and its README."""
    if not DISTRIBUTION.fullmatch(name):
        hint = "it begins with a letter and may hold letters, digits, - _ and . : `ganlab new plugin my-gan-plugin`"
        raise UsageError(f"'{name}' is not a valid name for a distribution", hint)
    module = re.sub(r"[-.]+", "_", name).lower()
    if (existing := _module_origin(module)) is not None:
        raise UsageError(f"there is already a Python module '{module}': {existing}", "choose a name that no installed module has")
    trick_name = _checked_name("trick", Path(f"{module}.py"), module.removeprefix("ganlab_"))
    words = {
        "DISTRIBUTION_NAME": name, "MODULE_NAME": module, "FILE_NAME": f"{module}.py", "TRICK_NAME": trick_name,
        "CLASS_NAME": _class_name("trick", trick_name), "GANLAB_VERSION": __version__,
    }  # fmt: skip
    folder = Path(name)
    if folder.exists():
        raise UsageError(f"{folder} already exists", "choose another name, or move it away; nothing was overwritten")
    _write(
        {
            folder / "pyproject.toml": ("plugin/pyproject.toml", words),
            folder / "README.md": ("plugin/README.md", words),
            folder / f"{module}.py": ("trick.py", words),
            folder / "tests" / "test_plugin.py": ("plugin/test_plugin.py", words),
        }
    )
    show_lines(
        f"{folder} is a distribution that brings the trick '{trick_name}'. Now:",
        f"  pip install -e './{folder}[dev]'",
        f"  ganlab plugins {trick_name}",
        f"  ganlab run ring --set tricks.{trick_name}.use={trick_name}",
        f"  pytest {folder}",
    )


def plugin_file(kind: Kind, file: Path) -> None:
    """Write ``file`` with a trick or metric named after it, and a recipe beside it that uses it."""
    name = _checked_name(kind, file, file.stem)
    if (existing := _module_origin(name)) is not None:
        raise UsageError(
            f"{file} would hide the Python module '{name}' ({existing}) from programs that run in its folder",
            "choose a name that no installed module has",
        )
    recipe = file.with_suffix(".toml")
    words = {"FILE_NAME": file.name, "RECIPE_NAME": recipe.name, f"{kind.upper()}_NAME": name, "CLASS_NAME": _class_name(kind, name)}
    _write({file: (f"{kind}.py", words), recipe: (f"{kind}.toml", words)})
    show_lines(
        f"{file} has the {kind} '{name}', and {recipe} is a recipe that uses it. Now:",
        f"  ganlab run {recipe}",
        f"  ganlab plugins {file}",
    )


def _checked_name(kind: Kind, file: Path, name: str) -> str:
    """Return ``name``, the name of the trick or metric in ``file``, after checking that Python and recipes can use it."""
    if file.suffix != ".py" or not name.isidentifier() or not name.isascii():
        raise UsageError(f"{file} is not a valid name for a plugin", f"letters, digits and _ before .py: `ganlab new {kind} my_{kind}.py`")
    if keyword.iskeyword(name):
        raise UsageError(f"{file} is not a valid name for a plugin: '{name}' is a Python keyword", "choose another name")
    catalogue = Catalogue.of_installed()
    entry = catalogue.find(kind, name)
    if entry is not None:
        raise UsageError(f"there is already a {kind} '{name}', from plugin {entry.plugin} ({entry.origin})", "choose another name")
    for other in catalogue.entries(["metric"]) if kind == "metric" else ():
        if name in getattr(other.factory, "results", {}):  # one recipe cannot use two metrics with a number of one name
            raise UsageError(
                f"there is already a number '{name}', from metric '{other.name}' of plugin {other.plugin} ({other.origin})",
                "choose another name",
            )
    return name


def _module_origin(name: str) -> str | None:
    """Return where the module that ``import NAME`` finds comes from: Python's standard library, or a file. None if there is none."""
    if name in sys.stdlib_module_names or name == "__main__":
        return "Python's standard library"
    spec = importlib.util.find_spec(name)
    return None if spec is None else spec.origin  # a folder without __init__.py counts as a module too, but has no origin


def _class_name(kind: Kind, name: str) -> str:
    """Return the class name for ``my_trick``: ``MyTrick``."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_")) or kind.capitalize()


def _write(files: dict[Path, tuple[str, dict[str, str]]]) -> None:
    """Write files from templates: all of them, or none if one exists already."""
    for path in files:
        if path.exists():
            raise UsageError(f"{path} already exists", "choose another name, or move it away; nothing was overwritten")
    for path, (template, words) in files.items():
        text = resources.files("ganlab").joinpath("templates", f"{template}.template").read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(word, value)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}", "change to a folder that you can write to") from error
