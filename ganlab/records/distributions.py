"""Third-party plugins of a run: which installed distributions and script plugins its recipe uses, and how to get missing ones back."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator

from ganlab.errors import RecipeError
from ganlab.recipe import Recipe
from ganlab.records.folder import RunFolder
from ganlab.records.request import RunRequest
from ganlab.records.run_info import RunInfo, UsedDistribution

SCRIPT = "the script"  # the origin of plugins that a script passes in

#: The form of a distribution's name and version. ganlab prints both in a command to copy, and run.json may come from somebody else.
_NAME, _VERSION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"), re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")


def used_distributions(recipe: Recipe) -> list[UsedDistribution]:
    """The installed distributions that the recipe uses, for run.json: ``name``, ``version``, and in ``brings`` which parts, sorted by name.

    ganlab's own distribution is left out.
    """
    parts_by_distribution: dict[tuple[str, str], list[str]] = {}
    for choice in recipe.choices:
        if choice.entry.distribution is not None:
            part = f"{choice.kind} '{choice.use}'"
            parts = parts_by_distribution.setdefault(choice.entry.distribution, [])
            parts += [part] if part not in parts else []
    return [{"name": name, "version": version, "brings": sorted(parts)} for (name, version), parts in sorted(parts_by_distribution.items())]


def used_script_plugins(recipe: Recipe) -> list[UsedDistribution]:
    """The script's plugins that the recipe uses, for run.json: ``name``, and in ``brings`` which parts."""
    parts_by_plugin: dict[str, set[str]] = {}
    for choice in recipe.choices:
        if choice.entry.origin == SCRIPT:
            parts_by_plugin.setdefault(choice.entry.plugin, set()).add(f"{choice.kind} '{choice.use}'")
    return [{"name": name, "brings": sorted(parts)} for name, parts in sorted(parts_by_plugin.items())]


def add_missing_plugins(error: RecipeError, folder: RunFolder, info: RunInfo, request: RunRequest) -> RecipeError:
    """``error``, with a hint for each distribution and script plugin that the run was made with and that is missing now."""
    hints = [hint for listed in _listed(info) if (hint := _install_hint(folder, *listed))]
    script_plugins = [plugin.get("name", "") for plugin in info.script_plugins]
    if script_plugins and error.missing_component:
        function = "resume" if request.command == "resume" else "FinishedRun"
        hints.append(
            f"run {folder.path.name} was started by a script with plugins of its own ({', '.join(script_plugins)}); "
            f"pass them again from a script: `ganlab.{function}({str(folder.path)!r}, plugins=[...])`"
        )
    hint = "\n".join([*hints, *filter(None, [error.hint])])
    return RecipeError(error.mistakes, hint, missing_component=error.missing_component)


def _listed(info: RunInfo) -> Iterator[tuple[str, str, str]]:
    """Name, version and parts of each distribution that run.json lists and that is safe to print."""
    for used in info.distributions:
        name, version = used.get("name", ""), used.get("version", "")
        if _NAME.fullmatch(name) and _VERSION.fullmatch(version):
            yield name, version, ", ".join(used.get("brings", []))


def _install_hint(folder: RunFolder, name: str, version: str, parts: str) -> str:
    """How to install a distribution that is missing or has another version than the run was made with; else empty."""
    try:
        installed = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        installed = ""
    if installed == version:
        return ""
    why = f"which is installed in version {installed}" if installed else "which is not installed"
    return f"run {folder.path.name} was made with {name} {version} ({parts}), {why}: pip install {name}=={version}"
