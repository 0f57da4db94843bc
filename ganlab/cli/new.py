"""`ganlab new`: files to begin with, each of which runs as it is."""

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
from ganlab.registry.entry import Entry
from ganlab.screen.terminal import show_lines
from ganlab.version import __version__

Written = Literal["trick", "metric"]  # what there are templates for: KIND.py and KIND.toml

DISTRIBUTION = re.compile(r"[A-Za-z]([A-Za-z0-9._-]*[A-Za-z0-9])?")


def trick(file: Path) -> None:
    """A file with a trick, and a recipe that uses it."""
    _plugin_file("trick", file)


def metric(file: Path) -> None:
    """A file with a metric, and a recipe that uses it."""
    _plugin_file("metric", file)


def recipe(file: Path) -> None:
    """A recipe that changes a shipped one."""
    if file.suffix != ".toml":
        raise UsageError(f"{file} is no name for a recipe", f"its file must end in .toml: `ganlab new recipe {file.name}.toml`")
    _write({file: ("recipe.toml", {"RECIPE_NAME": file.name})})
    show_lines(f"{file} is a recipe that changes 'ring'. Now:", f"  ganlab run {file}", f"  ganlab check {file}")


def plugin(name: str) -> None:
    """A distribution with a plugin, its tests and its README, in a folder of its own."""
    if not DISTRIBUTION.fullmatch(name):
        hint = "letters, digits, - _ and . may stand in it, and it begins with a letter: `ganlab new plugin my-gan-plugin`"
        raise UsageError(f"'{name}' is no name for a distribution", hint)
    module = re.sub(r"[-.]+", "_", name).lower()
    if (taken := _module_named(module)) is not None:
        raise UsageError(f"there is a Python module '{module}' here already: {taken}", "choose a name that nothing installed has")
    own = _own_name("trick", Path(f"{module}.py"), module.removeprefix("ganlab_"))
    words = {
        "DISTRIBUTION_NAME": name, "MODULE_NAME": module, "FILE_NAME": f"{module}.py", "TRICK_NAME": own,
        "CLASS_NAME": _class_name("trick", own), "GANLAB_VERSION": __version__,
    }  # fmt: skip
    folder = Path(name)
    if folder.exists():
        raise UsageError(f"{folder} is already here", "choose another name, or move it away; nothing was overwritten")
    _write(
        {
            folder / "pyproject.toml": ("plugin/pyproject.toml", words),
            folder / "README.md": ("plugin/README.md", words),
            folder / f"{module}.py": ("trick.py", words),
            folder / "tests" / "test_plugin.py": ("plugin/test_plugin.py", words),
        }
    )
    show_lines(
        f"{folder} is a distribution that brings the trick '{own}'. Now:",
        f"  pip install -e './{folder}[dev]'",
        f"  ganlab plugins {own}",
        f"  ganlab run ring --set tricks.{own}.use={own}",
        f"  pytest {folder}",
    )


def _plugin_file(kind: Written, file: Path) -> None:
    """Write ``file`` with a component or trick that is named like it, and a recipe beside it that uses it."""
    name = _own_name(kind, file, file.stem)
    if (taken := _module_named(name)) is not None:
        raise UsageError(
            f"{file} would hide the Python module '{name}' ({taken}) from whatever is run in its folder",
            "choose a name that nothing installed has",
        )
    recipe = file.with_suffix(".toml")
    words = {"FILE_NAME": file.name, "RECIPE_NAME": recipe.name, f"{kind.upper()}_NAME": name, "CLASS_NAME": _class_name(kind, name)}
    _write({file: (f"{kind}.py", words), recipe: (f"{kind}.toml", words)})
    show_lines(
        f"{file} has the {kind} '{name}', and {recipe} is a recipe that uses it. Now:",
        f"  ganlab run {recipe}",
        f"  ganlab plugins {file}",
    )


def _own_name(kind: Written, file: Path, name: str) -> str:
    """The name of the trick or metric in ``file``, which becomes a part of Python and of recipes.

    Raises:
        UsageError: it cannot be one, or is taken; of a metric's name also where another metric gives a number of that name.
    """
    if file.suffix != ".py" or not name.isidentifier() or not name.isascii():
        raise UsageError(f"{file} is no name for a plugin", f"letters, digits and _ before .py: `ganlab new {kind} my_{kind}.py`")
    if keyword.iskeyword(name):
        raise UsageError(f"{file} is no name for a plugin: '{name}' is a word of Python's own", "choose another name")
    installed = Catalogue.of_installed()
    entry = installed.find(kind, name)
    if entry is not None:
        raise UsageError(f"there is a {kind} '{name}' already, from plugin {entry.plugin} ({entry.origin})", "choose another name")
    if kind == "metric" and (giver := _giver_of(name, installed)) is not None:
        raise UsageError(
            f"there is a number '{name}' already, from metric '{giver.name}' of plugin {giver.plugin} ({giver.origin})",
            "choose another name",
        )
    return name


def _giver_of(number: str, installed: Catalogue) -> Entry | None:
    """The metric that gives a number of that name: two of them cannot be in one recipe."""
    return next((entry for entry in installed.entries(["metric"]) if number in getattr(entry.factory, "results", {})), None)


def _module_named(name: str) -> str | None:
    """Where the module comes from that ``import NAME`` gives: of Python's own, or installed; None where there is none."""
    if name in sys.stdlib_module_names or name == "__main__":
        return "of Python's own library"
    spec = importlib.util.find_spec(name)
    return None if spec is None else spec.origin  # any folder is a module, which has no origin


def _class_name(kind: Written, name: str) -> str:
    """``my_trick`` as a class: ``MyTrick``."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_")) or kind.capitalize()


def _write(files: dict[Path, tuple[str, dict[str, str]]]) -> None:
    """Write files from templates; all or, where one is there already, none."""
    for path in files:
        if path.exists():
            raise UsageError(f"{path} is already here", "choose another name, or move it away; nothing was overwritten")
    for path, (template, words) in files.items():
        text = resources.files("ganlab").joinpath("templates", f"{template}.template").read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(word, value)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}", "go to a folder of yours") from error
