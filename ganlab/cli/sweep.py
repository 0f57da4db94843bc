"""``ganlab run RECIPE --seeds 5 --grid KEY=V,V``: train a sweep, each of its runs in a child process."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ganlab.cli.exit_codes import SIGNALLED
from ganlab.errors import GanlabError, UsageError
from ganlab.recipe.grid import SEED, load_combinations, read_axes, read_seeds
from ganlab.registry.catalogue import Catalogue
from ganlab.runs.workspace import Workspace
from ganlab.screen.announcements import announce_plugin_files
from ganlab.screen.sweep_display import SweepDisplay
from ganlab.screen.sweep_table import result_rows
from ganlab.screen.terminal import console, show_lines, show_table, warn
from ganlab.sweeps.checks import build_each, refuse_edited_plugins
from ganlab.sweeps.existing_runs import find_sweep
from ganlab.sweeps.resources import shares_for
from ganlab.sweeps.runner import SweepRunner
from ganlab.sweeps.summary import combination_results, write_summary
from ganlab.sweeps.sweep import Sweep
from ganlab.sweeps.workers import Pool

FAILED = 1  # exit code


@dataclass(frozen=True)
class SweepOptions:
    """The options of ``ganlab run`` that only a sweep has."""

    seeds: str | None
    grid: tuple[str, ...]
    jobs: int | None
    name: str | None
    retry_failed: bool


def run(recipe: str, overrides: list[str], options: SweepOptions, *, runs_dir: Path, data_root: Path | None, quiet: bool) -> None:
    """Start the missing runs of a sweep, resume the interrupted ones, and show the results.

    Raises:
        UsageError: the sweep is not possible; no run was started.
        SystemExit: some of its runs are not finished.
    """
    if options.seeds is not None and "," in options.seeds and any(_key(text) == SEED for text in overrides):
        raise UsageError(f"a seed and --seeds {options.seeds} cannot both be given: the list names every seed", "leave one of them out")
    command = command_line(recipe, overrides, options, runs_dir, data_root, quiet)
    catalogue = Catalogue.of_installed(announce_plugin_files(warn))
    combinations = load_combinations(recipe, catalogue, overrides, read_axes(options.grid))
    recipes = [combination.recipe for combination in combinations]
    first_seed = recipes[0].train.seed
    seeds = [first_seed] if options.seeds is None else read_seeds(options.seeds, first_seed)
    pool = Pool(shares_for(recipes, options.jobs))
    without_seed = [text for text in overrides if _key(text) != SEED]
    sweep = find_sweep(options.name or "", runs_dir, recipe, without_seed, combinations, seeds, command)
    display = SweepDisplay(sweep, quiet)
    runner = SweepRunner(sweep, pool, display, data_root, options.retry_failed, lambda: refuse_edited_plugins(recipes[0].plugins))
    needed = {id(run.combination) for run in sweep.runs if runner.needs_training(run)}
    build_each([each for each in combinations if id(each) in needed], Workspace(data=data_root, tell=lambda text: None))
    sweep.open(command)
    try:
        with pool, display:
            runner.run()
        show_end(sweep, command, quiet, runner.stopped_by is not None)
    finally:
        sweep.close()
    if any(run.state != "finished" for run in sweep.runs):
        raise SystemExit(FAILED if runner.stopped_by is None else SIGNALLED + int(runner.stopped_by))


def _key(override: str) -> str:
    """The key of ``KEY=VALUE``."""
    return override.partition("=")[0].strip()


def show_end(sweep: Sweep, command: Sequence[str], quiet: bool, stopped: bool) -> None:
    """Write ``summary.json``, and show the table of results, why runs are missing, and what to type next."""
    combinations = combination_results(sweep)
    try:
        write_summary(sweep, combinations)
    except GanlabError as error:
        warn(str(error))
    finished = sum(run.state == "finished" for run in sweep.runs)
    counts = f"{finished} of {len(sweep.runs)} runs are finished"
    if quiet:
        show_lines(f"{sweep.path}  {counts}")
    else:
        show_lines("")
        show_table(result_rows(combinations, console.width))
        show_lines("", f"{counts}; mean ± standard deviation over their seeds; all numbers: {sweep.path / 'summary.json'}")
        _show_extra_runs(sweep)
    if stopped:
        show_lines(f"to resume:  {shlex.join(command)}")
    elif finished < len(sweep.runs):
        show_unfinished(sweep, command)


def _show_extra_runs(sweep: Sweep) -> None:
    count = len(sweep.extra_runs)
    if count:
        plural = "run" if count == 1 else "runs"
        show_lines(f"not in the table: {count} more {plural} of this sweep, with other seeds or values than those of this command")


def show_unfinished(sweep: Sweep, command: Sequence[str]) -> None:
    """Show why some runs are not finished, and the command that trains them."""
    for run in sweep.runs:
        if run.state != "finished":
            where = run.summary.folder.path if run.summary else sweep.log_file(run)
            warn(f"{run.name}: {run.state}: {run.message} ({where})" if run.message else f"{run.name}: {run.state}, see {where}")
    words = list(command)
    if any(run.state == "failed" for run in sweep.runs) and "--retry-failed" not in words:
        words.append("--retry-failed")
    show_lines(f"to train what is not finished:  {shlex.join(words)}")


def command_line(
    recipe: str, overrides: Sequence[str], options: SweepOptions, runs_dir: Path, data_root: Path | None, quiet: bool
) -> list[str]:
    """The words of the command, for messages that say what to type next."""
    words = ["ganlab", "run", recipe]
    values = [
        ("--seeds", options.seeds), *(("--grid", text) for text in options.grid), *(("--set", text) for text in overrides),
        ("--jobs", options.jobs), ("--name", options.name),
        ("--runs-dir", None if runs_dir == Path("runs") else runs_dir), ("--data-root", data_root),
    ]  # fmt: skip
    for name, value in values:
        words += [name, str(value)] if value is not None else []
    return words + (["--retry-failed"] if options.retry_failed else []) + (["--quiet"] if quiet else [])
