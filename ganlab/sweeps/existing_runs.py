"""Which runs of a sweep are on disk already, and whether they were trained with the current recipe. Imports no torch."""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from collections.abc import Sequence
from pathlib import Path

from ganlab.errors import UsageError
from ganlab.recipe import Recipe, differences, flatten, to_toml
from ganlab.recipe.grid import Combination
from ganlab.records.folder import RunFolder
from ganlab.records.summaries import RunSummary, list_runs
from ganlab.redaction import redacted_document
from ganlab.storage.reading import RECIPE, is_regular, parse_toml, read_json, read_text
from ganlab.sweeps.sweep import Sweep, SweepDefinition, SweepRun

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)


def find_sweep(
    name: str,
    runs_dir: Path,
    source: str,
    overrides: Sequence[str],
    combinations: Sequence[Combination],
    seeds: Sequence[int],
    command: Sequence[str],
) -> Sweep:
    """The sweep that a command asks for, with those of its runs that are on disk.

    Args:
        name: of the sweep; empty for the default, which follows from the other arguments.
        runs_dir: the folder of all runs.
        source, overrides: the recipe as it was typed, and the texts of ``--set``.
        combinations: of the grid. seeds: for each combination.
        command: what was typed; error messages repeat it.

    Raises:
        UsageError: the name is invalid or belongs to another sweep, or a run was trained with another recipe than the current one.
    """
    if name and not NAME.fullmatch(name):
        raise UsageError(
            f"--name {name!r}: the name of a sweep may contain letters, digits, '_', '-' and '.', and must start with a letter or a digit"
        )
    first = combinations[0]
    definition = SweepDefinition.of(source, first.recipe.path, overrides, first.values)
    sweep = Sweep(
        name or definition.default_name(first.recipe.name),
        runs_dir,
        definition,
        [SweepRun(combination, seed) for seed in seeds for combination in combinations],
    )
    _refuse_other_definition(sweep)
    for summary in list_runs(runs_dir):
        if sweep.assign(summary) is None and summary.info.set.get("name") == sweep.name:
            sweep.extra_runs.append(summary)
    for run in sweep.runs:
        if run.summary is not None:
            _refuse_changed_recipe(sweep, run, run.summary, command)
            run.refresh()
    return sweep


def new_runs(runs_dir: Path, known: set[str]) -> list[RunSummary]:
    """The runs whose folders have appeared since the last call. Their names are added to ``known``."""
    summaries = []
    for path in runs_dir.iterdir() if runs_dir.is_dir() else []:
        if path.name not in known and is_regular(path / "run.json"):
            try:
                folder = RunFolder(path)
                summaries.append(RunSummary(folder, folder.read_info()))
            except UsageError:
                continue  # its run.json may be incomplete: the next call reads it again
            known.add(path.name)
    return summaries


def option_changes(summary: RunSummary, recipe: Recipe, seed: int) -> dict[str, str]:
    """How a recipe with that seed differs from the one that a run was trained with, in words by key. Empty where it does not.

    Raises:
        UsageError: the run's recipe cannot be read.
    """
    try:
        saved_document = parse_toml(read_text(summary.folder.recipe, RECIPE))
        saved_options = flatten(saved_document)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{summary.folder.recipe} cannot be read: {error}",
            f"`ganlab delete {summary.id}` removes the run; the same command then trains it again",
        ) from error
    document = tomllib.loads(to_toml(recipe))  # written and read again, as the saved one was: the order of the tables may change
    document["train"]["seed"] = seed
    defaults = differences.default_options(recipe)
    return differences.describe_changes(saved_options, flatten(document), differences.NOT_IN_SWEEP, defaults)


def _changed_plugin_files(summary: RunSummary, recipe: Recipe) -> list[str]:
    digests = {copy["name"]: copy["sha256"] for copy in summary.info.plugins}
    return [f"the plugin file {file.path.name}" for file in recipe.plugins if digests.get(file.path.name) != file.sha256]


def _refuse_other_definition(sweep: Sweep) -> None:
    """Check that a sweep of this name, if there is one, has the same definition.

    Raises:
        UsageError: it has not, or its ``set.json`` is damaged.
    """
    path = sweep.path / "set.json"
    if not os.path.lexists(path):
        return
    try:
        saved = read_json(path)
        saved_definition = {key: saved[key] for key in sweep.definition.as_json()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is damaged: {error}", "remove the file: it is written again, and each run records which sweep it belongs to"
        ) from error
    if saved_definition != redacted_document(sweep.definition.as_json()):
        raise UsageError(
            f"sweep {sweep.name} exists already with another definition; it was made by `{saved.get('command', '')}`",
            "only the seeds and the values of the grid may change; choose another --name",
        )


def _refuse_changed_recipe(sweep: Sweep, run: SweepRun, summary: RunSummary, command: Sequence[str]) -> None:
    """Check that a run was trained with the current recipe.

    Raises:
        UsageError: it was not.
    """
    combination = run.combination
    recipe = combination.fallback if summary.info.data.get("fallback_from") and combination.fallback else combination.recipe
    changes = [*option_changes(summary, recipe, run.seed).values(), *_changed_plugin_files(summary, recipe)]
    changes += [f"no change at step {step} ({text})" for step, text in summary.changes.items()]
    if changes:
        new_sweep = shlex.join([*_without_name(command), "--name", f"{sweep.name}-2"])
        raise UsageError(
            f"run {summary.id} of sweep {sweep.name} was trained with another recipe than the current one, and cannot be compared with new "
            f"runs: {'; '.join(changes)}",
            f"restore the recipe; or start a new sweep with the current one: {new_sweep}; "
            f"or remove the run, and the same command trains it again: ganlab delete {shlex.quote(str(summary.folder.path))}",
        )


def _without_name(command: Sequence[str]) -> list[str]:
    words = list(command)
    if "--name" in words:
        position = words.index("--name")
        del words[position : position + 2]
    return words
