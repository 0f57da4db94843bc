"""``ganlab compare``: show which recipe is better, and whether the difference is more than chance. Imports no torch."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from ganlab.comparison import RunGroup, differences, grouped, main_metric, metric_names
from ganlab.comparison.page import is_page, write_page
from ganlab.comparison.table import metric_rows, verdict_rows
from ganlab.comparison.warnings import warnings
from ganlab.errors import GanlabError, UsageError, cannot_be_written, did_you_mean
from ganlab.records.results import RunResult, is_number
from ganlab.records.summaries import RunSummary, find_run, read_runs
from ganlab.screen.terminal import show_lines, show_table, warn

OPTION_LIMIT = 20  # differing options that the terminal shows
OTHER_FILE = "name another file with --html"
RUNS_DIR = Path("runs")  # the default of --runs-dir


def compare(names: Sequence[str], *, recipes: Sequence[str], by: str | None, html: Path | None, runs_dir: Path) -> None:
    """Compare runs by recipe, and write the report where ``html`` names a file.

    Raises:
        UsageError: there are no such runs, recipes or metrics, or ``html`` is a file that is no report.
        GanlabError: the report cannot be written.
    """
    if html is not None:
        _refuse_other_file(html)
    groups = grouped([RunResult(run) for run in _chosen_runs(names, recipes, runs_dir)])
    metric = _chosen_metric(groups, by)
    _show_metrics(groups)
    _show_differences(groups)
    if metric is not None and len(groups) > 1:
        show_lines("", f"verdict, by {metric.replace('_', ' ')}:")
        show_table(verdict_rows(groups, metric))
    for warning in warnings(groups):
        show_lines("", warning)
    _show_unmeasured([result for group in groups for result in group.results if not result.values], runs_dir)
    if html is not None:
        _write_report(html, groups, metric)


def _show_metrics(groups: Sequence[RunGroup]) -> None:
    rows = metric_rows(groups)
    show_table(rows, right=range(1, len(groups) + 1))
    if any("±" in cell for row in rows[1:] for cell in row[1:]):
        show_lines("mean ± standard deviation over seeds")


def _show_differences(groups: Sequence[RunGroup]) -> None:
    options = differences(groups)
    if not options:
        return
    rows = [["option", *(group.name for group in groups)]]
    rows += [[key, *(str(value) for value in values)] for key, values in list(options.items())[:OPTION_LIMIT]]
    show_lines("")
    show_table(rows)
    if len(options) > OPTION_LIMIT:
        show_lines(f"and {len(options) - OPTION_LIMIT} more options; --html FILE shows all")


def _show_unmeasured(results: Sequence[RunResult], runs_dir: Path) -> None:
    """Show which runs have no evaluation, and what to type to get one."""
    running = [result.id for result in results if result.is_active]
    ended = [result for result in results if not result.is_active]
    unmeasured = [_as_argument(result, runs_dir) for result in ended if result.folder.generator.is_file()]
    unfinished = [result for result in ended if not result.folder.generator.is_file()]
    resumable = [_as_argument(result, runs_dir) for result in unfinished if result.folder.checkpoint_files()]
    lost = [result.id for result in unfinished if not result.folder.checkpoint_files()]
    if unmeasured:
        show_lines("", f"{len(unmeasured)} of these runs have not been measured: ganlab evaluate {' '.join(unmeasured)}")
    if resumable:
        show_lines("", f"{len(resumable)} of these runs ended before they had a generator to measure: ganlab resume {resumable[0]}")
        show_lines(*(f"  and ganlab resume {name}" for name in resumable[1:]))
    if lost:
        show_lines("", f"{len(lost)} of these runs ended without a generator to measure or a checkpoint to resume from: {', '.join(lost)}")
    if running:
        show_lines("", f"{len(running)} of these runs are still running, and have no numbers yet: {', '.join(running)}")


def _chosen_runs(names: Sequence[str], recipes: Sequence[str], runs_dir: Path) -> list[RunSummary]:
    """The runs with these names, and all ended runs of these recipes; without both, all ended runs."""
    chosen = [find_run(runs_dir, name) for name in names]
    if recipes or not names:
        summaries, damages = read_runs(runs_dir)
        for damage in damages:
            warn(f"one run is not compared: {damage}")
        known_recipes = dict.fromkeys(run.info.recipe for run in summaries)
        for recipe in recipes:
            if recipe not in known_recipes:
                hint = did_you_mean(recipe, known_recipes) if known_recipes else ""
                raise UsageError(f"no run in {runs_dir} is of a recipe called '{recipe}'", hint)
        ended = [run for run in summaries if run.status in ("finished", "failed")]
        chosen += [run for recipe in recipes or known_recipes for run in ended if run.info.recipe == recipe]
    chosen = list({run.folder.path.resolve(): run for run in chosen}.values())
    if not chosen:
        raise UsageError(f"there are no finished runs in {runs_dir}", "`ganlab run RECIPE` makes one; --runs-dir names another folder")
    return sorted(chosen, key=_grid_order)


def _grid_order(run: RunSummary) -> tuple[str, list[tuple[bool, float, str]]]:
    """A sort key: the runs of a sweep in the order of their grid values, not of their start; other runs keep their order."""
    membership = run.info.set
    values = membership.get("combination", {})
    numbers = [(not is_number(v), float(v) if is_number(v) else 0.0, str(v)) for v in values.values()]
    return membership.get("name", ""), numbers


def _as_argument(result: RunResult, runs_dir: Path) -> str:
    """The run as a command takes it: its id where the default folder has it, else its path."""
    return shlex.quote(result.id if result.folder.path.parent == runs_dir == RUNS_DIR else str(result.folder.path))


def _chosen_metric(groups: Sequence[RunGroup], by: str | None) -> str | None:
    """The metric of the verdicts: that of ``--by``, else the main metric."""
    if by is None:
        return main_metric(groups)
    known = metric_names(groups)
    if by.replace(" ", "_") not in known:
        raise UsageError(f"no run here has a metric '{by}'", did_you_mean(by, known) if known else "`ganlab evaluate RUN` measures them")
    return by.replace(" ", "_")


def _refuse_other_file(path: Path) -> None:
    """Check that ``path`` is free or an earlier report."""
    if path.is_file() and not is_page(path):
        raise UsageError(f"{path} already exists, and is not a report of `ganlab compare`", OTHER_FILE)


def _write_report(path: Path, groups: Sequence[RunGroup], metric: str | None) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_page(path, groups, metric)
    except OSError as error:
        raise GanlabError(cannot_be_written(path, error).message, OTHER_FILE) from error
    show_lines("", f"{path} has the curves and the samples, too")
