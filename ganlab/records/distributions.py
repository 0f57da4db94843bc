"""Whose plugins a run uses beside ganlab's: installed distributions', and a script's. Written down, and named where they are gone."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator

from ganlab.errors import RecipeError
from ganlab.recipe import Choice, Recipe
from ganlab.records.folder import RunFolder
from ganlab.records.request import RunRequest
from ganlab.records.run_info import RunInfo, UsedDistribution

SCRIPT = "the script"  # the origin of what a script hands over

#: A name and a version as distributions have them; run.json may be a stranger's, and what it says is printed as a command to type.
_NAME, _VERSION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"), re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")


def used(recipe: Recipe) -> list[UsedDistribution]:
    """What run.json says of them: ``name``, ``version`` and what each ``brings`` of what the recipe uses, in order of their names."""
    brought: dict[tuple[str, str], list[str]] = {}
    for choice in _choices(recipe):
        if choice.entry.distribution is not None:
            words = f"{choice.kind} '{choice.use}'"
            known = brought.setdefault(choice.entry.distribution, [])
            known += [words] if words not in known else []
    return [{"name": name, "version": version, "brings": sorted(words)} for (name, version), words in sorted(brought.items())]


def of_script(recipe: Recipe) -> list[UsedDistribution]:
    """The same for plugins that a script has handed over: ``name`` and what each ``brings``."""
    brought: dict[str, set[str]] = {}
    for choice in _choices(recipe):
        if choice.entry.origin == SCRIPT:
            brought.setdefault(choice.entry.plugin, set()).add(f"{choice.kind} '{choice.use}'")
    return [{"name": name, "brings": sorted(words)} for name, words in sorted(brought.items())]


def named(error: RecipeError, folder: RunFolder, info: RunInfo, request: RunRequest) -> RecipeError:
    """``error``, which a run's recipe raised, with what to type to have back what the run was made with, where that is gone."""
    gone = [line for said in _listed(info) if (line := _gone(folder, said))]
    names = [plugin.get("name", "") for plugin in info.script_plugins]
    if names and any(" there is no " in text for text in error.mistakes):
        call = "resume" if request.command == "resume" else "FinishedRun"
        gone.append(
            f"run {folder.path.name} was begun by a script with plugins of its own ({', '.join(names)}); bring them again, from a script: "
            f"`ganlab.{call}({str(folder.path)!r}, plugins=[...])`"
        )
    return RecipeError(error.mistakes, "\n".join([*gone, *filter(None, [error.hint])])) if gone else error


def _choices(recipe: Recipe) -> Iterator[Choice]:
    yield from (recipe.data, recipe.noise, *([recipe.sampling_noise] if recipe.sampling_noise else []))
    for player in (recipe.generator, recipe.discriminator):
        yield from (player.network, player.optimizer)
    yield from (*recipe.losses.values(), *recipe.tricks, *recipe.metrics, *([recipe.judge] if recipe.judge else []))


def _listed(info: RunInfo) -> Iterator[tuple[str, str, str]]:
    """Name, version and what it brings, of what may be printed."""
    for used in info.distributions:
        name, version = used.get("name", ""), used.get("version", "")
        if _NAME.fullmatch(name) and _VERSION.fullmatch(version):
            yield name, version, ", ".join(used.get("brings", []))


def _gone(folder: RunFolder, said: tuple[str, str, str]) -> str:
    """A line on a distribution that is not there in the version that the run was made with; empty where it is."""
    name, version, brings = said
    try:
        here = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        here = ""
    if here == version:
        return ""
    why = f"which is here in version {here}" if here else "which is not installed"
    return f"run {folder.path.name} was made with {name} {version} ({brings}), {why}: pip install {name}=={version}"
