"""``ganlab run RECIPE --seeds 5 --grid KEY=V,V``: a set of runs, side by side, each in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ganlab.cli.exit_codes import SIGNALLED
from ganlab.cli.sweep_display import SetDisplay
from ganlab.components import Dataset
from ganlab.errors import DataUnavailable, GanlabError, RecipeError, UsageError
from ganlab.game.factories import make_data
from ganlab.recipe import Recipe
from ganlab.recipe.grid import Combination, combinations, read_axes, read_seeds
from ganlab.registry.catalogue import Catalogue
from ganlab.runs.device import find_device
from ganlab.runs.start import assemble
from ganlab.runs.workspace import Workspace
from ganlab.screen.announcements import announce_plugin_files
from ganlab.screen.terminal import console, show_lines, show_table, warn
from ganlab.sweeps.runner import Carrying
from ganlab.sweeps.summary import Group, groups, tables, write_summary
from ganlab.sweeps.sweep import RunSet, find_set
from ganlab.sweeps.workers import Pool, Share, cores, shares

FAILED = 1  # exit code


@dataclass(frozen=True)
class Asked:
    """What the command line says of the set: its options by their names."""

    seeds: str | None
    grid: tuple[str, ...]
    jobs: int | None
    name: str | None
    retry_failed: bool


def run(
    recipe: str,
    overrides: list[str],
    asked: Asked,
    *,
    device: str | None,
    seed: int | None,
    tracking_uri: str | None,
    runs_dir: Path,
    data_root: Path | None,
    quiet: bool,
) -> None:
    """Make what is missing of a set, go on with what was interrupted, and tell what came of it.

    Raises:
        UsageError: the set cannot be made as it was asked for; nothing has begun.
        SystemExit: some of its runs are not finished.
    """
    if seed is not None and asked.seeds is not None:
        raise UsageError("--seed and --seeds cannot both be given", f"to begin with it: --set train.seed={seed} --seeds {asked.seeds}")
    if asked.seeds is not None and "," in asked.seeds and any(text.partition("=")[0].strip() == "train.seed" for text in overrides):
        raise UsageError(f"--set train.seed and --seeds {asked.seeds} cannot both be given: these are the seeds", "leave one of them out")
    command = command_line(recipe, overrides, asked, device, seed, tracking_uri, runs_dir, data_root, quiet)
    chosen = [*overrides]
    chosen += [f"train.device={json.dumps(device)}"] if device is not None else []
    chosen += [f"train.seed={seed}"] if seed is not None else []
    chosen += [f"tracking.uri={json.dumps(tracking_uri)}"] if tracking_uri is not None else []
    found = combinations(recipe, Catalogue.of_installed(announce_plugin_files(warn)), chosen, read_axes(asked.grid))
    first = found[0].recipe.train.seed
    seeds = [first] if asked.seeds is None else read_seeds(asked.seeds, first)
    places = places_for([combination.recipe for combination in found], asked.jobs)
    without_seed = [text for text in chosen if text.partition("=")[0].strip() != "train.seed"]
    one = find_set(asked.name or "", runs_dir, recipe, without_seed, found, seeds, command)
    display = SetDisplay(one, quiet)
    carrying = Carrying(one, Pool(places), display, data_root, asked.retry_failed, lambda: refuse_edited(found))
    try_out(
        [each for each in found if any(carrying.wanted(member) for member in one.members if member.combination is each)],
        Workspace(data=data_root, tell=lambda text: None),
    )
    one.open(command)
    try:
        with carrying.pool, display:
            carrying.carry_out()
        tell_end(one, command, quiet, carrying.stopped_by is not None)
    finally:
        one.close()
    if carrying.stopped_by is not None and not all(member.state == "finished" for member in one.members):
        raise SystemExit(SIGNALLED + int(carrying.stopped_by))
    if any(member.state != "finished" for member in one.members):
        raise SystemExit(FAILED)


def places_for(recipes: Sequence[Recipe], jobs: int | None) -> list[Share]:
    """What each process may use: a GPU and one thread, or one thread on the CPU; as many threads as the recipe says, where it does.

    Raises:
        UsageError: a device is not there, or so many processes are more than the cores.
    """
    threads = max(recipe.train.threads or 1 for recipe in recipes)
    gpus: dict[str | None, None] = {}
    for name in dict.fromkeys(recipe.train.device for recipe in recipes):
        device = find_device(name)
        if device.type == "cuda" and ":" not in name:
            gpus |= dict.fromkeys(visible_gpus())
        elif device.type != "cpu":
            gpus[None] = None  # the recipe names it
    return shares(jobs, threads, list(gpus), cores())


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, in the words of ``CUDA_VISIBLE_DEVICES``."""
    count = torch.cuda.device_count()
    said = [word.strip() for word in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if word.strip()]
    return said[:count] if len(said) >= count else [str(number) for number in range(count)]


def try_out(found: Sequence[Combination], workspace: Workspace) -> None:
    """Build each combination once, on the CPU and in no folder, so that what cannot be is refused before anything begins.

    Each data set is fetched here, before many processes ask for it at once.

    Raises:
        UsageError: data cannot be had, and there is no fallback; or networks, tricks or numbers do not fit each other.
    """
    datasets: dict[str, tuple[bool, Dataset]] = {}
    mistakes: dict[str, str] = {}
    for combination in found:
        recipe = combination.recipe
        key = json.dumps([recipe.document["data"], recipe.train.batch_of("discriminator")], default=str)
        try:
            if key not in datasets:
                datasets[key] = bring_data(combination, workspace)
            fallback, dataset = datasets[key]
            chosen = combination.fallback if fallback and combination.fallback else recipe
            on_cpu = dataclasses.replace(chosen, train=dataclasses.replace(chosen.train, device="cpu", init_from=None))
            assemble(on_cpu, dataset, workspace, in_folder=False)
        except UsageError as error:
            if not combination.values:
                raise
            mistakes[f"{combination.name}: {error.message}"] = error.hint
    if mistakes:
        raise RecipeError(list(mistakes), next(iter(mistakes.values())))


def bring_data(combination: Combination, workspace: Workspace) -> tuple[bool, Dataset]:
    """A combination's data set, and whether it is its fallback's."""
    try:
        return False, make_data(combination.recipe, workspace.data_root())
    except DataUnavailable:
        if combination.fallback is None:
            raise
        return True, make_data(combination.fallback, workspace.data_root())


def refuse_edited(found: Sequence[Combination]) -> None:
    """See that no plugin file has been edited while the set goes on: recipes are kept in its folder, but they name these files.

    Raises:
        GanlabError: one has.
    """
    for file in found[0].recipe.plugins:
        try:
            content = file.path.read_bytes()
        except OSError:
            content = b""
        if content != file.content:
            raise GanlabError(f"the plugin file {file.path} was edited while the set was going on: put it back as it was")


def tell_end(one: RunSet, command: Sequence[str], quiet: bool, stopped: bool) -> None:
    """The table, who is missing and why, and what to type next."""
    found = groups(one)
    try:
        write_summary(one, found)
    except GanlabError as error:
        warn(str(error))
    finished = sum(member.state == "finished" for member in one.members)
    if quiet:
        show_lines(f"{one.path}  {finished} of {len(one.members)} runs are finished")
    else:
        show_lines("")
        show_table(tables(found, console.width))
        counted = f"{finished} of {len(one.members)} runs are finished"
        show_lines("", f"{counted}; mean ± standard deviation over their seeds; all of it: {one.path / 'summary.json'}")
        _tell_others(one)
    if stopped:
        show_lines(f"to go on:  {shlex.join(command)}")
    elif finished < len(one.members):
        tell_missing(one, command, found)


def _tell_others(one: RunSet) -> None:
    if one.others:
        many = "run" if len(one.others) == 1 else "runs"
        show_lines(f"not in the table: {len(one.others)} more {many} of this set, with other seeds or values than those of this command")


def tell_missing(one: RunSet, command: Sequence[str], found: Sequence[Group]) -> None:
    """Why some runs are not finished, and what to type."""
    for member in one.members:
        if member.state != "finished":
            where = member.run.folder.path if member.run else one.log_of(member)
            warn(f"{member.name}: {member.state}: {member.message or 'see there'} ({where})")
    again = list(command)
    if any(group.count("failed") for group in found) and "--retry-failed" not in again:
        again.append("--retry-failed")
    show_lines(f"to go on with what is not finished:  {shlex.join(again)}")


def command_line(
    recipe: str, overrides: Sequence[str], asked: Asked, device: str | None, seed: int | None, tracking_uri: str | None,
    runs_dir: Path, data_root: Path | None, quiet: bool,
) -> list[str]:  # fmt: skip
    """The command, to be typed again."""
    words = ["ganlab", "run", recipe]
    options = [
        ("--seeds", asked.seeds), *(("--grid", text) for text in asked.grid), *(("--set", text) for text in overrides),
        ("--device", device), ("--seed", seed), ("--tracking-uri", tracking_uri), ("--jobs", asked.jobs), ("--name", asked.name),
        ("--runs-dir", None if runs_dir == Path("runs") else runs_dir), ("--data-root", data_root),
    ]  # fmt: skip
    for name, value in options:
        words += [name, str(value)] if value is not None else []
    return words + (["--retry-failed"] if asked.retry_failed else []) + (["--quiet"] if quiet else [])
