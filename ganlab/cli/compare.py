"""``ganlab compare``: which recipe is better, and by more than luck?"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from ganlab.comparison import Group, Result, differences, grouped, main_metric, read_result, verdicts
from ganlab.comparison.page import write, written_here
from ganlab.comparison.table import metric_rows
from ganlab.comparison.warnings import warnings
from ganlab.errors import GanlabError, UsageError, cannot_be_written, did_you_mean
from ganlab.records.summaries import RunSummary, find_run, list_runs
from ganlab.screen.terminal import show_facts, show_lines, show_table

SHOWN = 20  # differing options that the terminal shows
ANOTHER = "name another file with --html"
RUNS_DIR = Path("runs")  # where commands look for a run's name, if nobody says otherwise


def compare(names: Sequence[str], *, recipes: Sequence[str], by: str | None, html: Path | None, runs_dir: Path) -> None:
    """Hold runs against each other."""
    if html is not None:
        _refuse_other_file(html)
    groups = grouped([read_result(run) for run in _chosen(names, recipes, runs_dir)])
    metric = _metric(groups, by)
    without = [result for group in groups for result in group.results if not result.values]
    not_running = [result for result in without if result.status != "running"]
    missing = [_typed(result, runs_dir) for result in not_running if result.folder.generator.is_file()]
    unfinished = [result for result in not_running if not result.folder.generator.is_file()]
    kept = [_typed(result, runs_dir) for result in unfinished if result.folder.checkpoint_files()]
    lost = [result.id for result in unfinished if not result.folder.checkpoint_files()]
    going_on = [result.id for result in without if result.status == "running"]
    numbers = metric_rows(groups)
    show_table(numbers, right=range(1, len(groups) + 1))
    if any("±" in cell for row in numbers[1:] for cell in row[1:]):
        show_lines("mean ± 95 % confidence interval")
    changing = differences(groups)
    if changing:
        rows = [["option", *(group.name for group in groups)]]
        rows += [[key, *(str(value) for value in values)] for key, values in list(changing.items())[:SHOWN]]
        show_lines("")
        show_table(rows)
        if len(changing) > SHOWN:
            show_lines(f"and {len(changing) - SHOWN} more options; --html FILE shows all")
    if metric is not None and len(groups) > 1:
        show_lines("", f"by {metric.replace('_', ' ')}, against {groups[0].name}:")
        show_facts({f"  {verdict.group}": verdict.words for verdict in verdicts(groups, metric)})
    for warning in warnings(groups):
        show_lines("", warning)
    if missing:
        show_lines("", f"{len(missing)} of these runs have not been measured: ganlab evaluate {' '.join(missing)}")
    if kept:
        show_lines("", f"{len(kept)} of these runs ended before they had a generator to measure: ganlab resume {kept[0]}")
        show_lines(*(f"  and ganlab resume {name}" for name in kept[1:]))
    if lost:
        show_lines("", f"{len(lost)} of these runs ended before there was anything to measure, or to go on from: {', '.join(lost)}")
    if going_on:
        show_lines("", f"{len(going_on)} of these runs are going on, and have no numbers before they end: {', '.join(going_on)}")
    if html is not None:
        _write(html, groups, metric)


def _chosen(names: Sequence[str], recipes: Sequence[str], runs_dir: Path) -> list[RunSummary]:
    """The runs that are named, and those of the recipes that are; all finished ones where nothing is."""
    chosen = [find_run(runs_dir, name) for name in names]
    if recipes or not names:
        known = list_runs(runs_dir)
        there = dict.fromkeys(run.info.recipe for run in known)
        for recipe in recipes:
            if recipe not in there:
                raise UsageError(f"no run in {runs_dir} is of a recipe called '{recipe}'", did_you_mean(recipe, there) if there else "")
        over = [run for run in known if run.status in ("finished", "failed")]
        chosen += [run for recipe in recipes or there for run in over if run.info.recipe == recipe]
    chosen = list({run.folder.path.resolve(): run for run in chosen}.values())
    if not chosen:
        raise UsageError(f"there are no finished runs in {runs_dir}", "`ganlab run RECIPE` makes one; --runs-dir looks elsewhere")
    return sorted(chosen, key=_place)


def _place(run: RunSummary) -> tuple[str, list[tuple[bool, float, str]]]:
    """Runs of one set stand in the order of its grid's values, whichever was begun first; others as they are."""
    membership = run.info.set
    values = membership.get("combination", {})
    numbers = [(not isinstance(v, int | float), float(v) if isinstance(v, int | float) else 0.0, str(v)) for v in values.values()]
    return membership.get("name", ""), numbers


def _typed(result: Result, runs_dir: Path) -> str:
    """The run as a command finds it from here."""
    return shlex.quote(result.id if result.folder.path.parent == runs_dir == RUNS_DIR else str(result.folder.path))


def _metric(groups: Sequence[Group], by: str | None) -> str | None:
    if by is None:
        return main_metric(groups)
    known = list(dict.fromkeys(name for group in groups for result in group.results for name in result.values))
    if by.replace(" ", "_") not in known:
        raise UsageError(f"no run here has a metric '{by}'", did_you_mean(by, known) if known else "`ganlab evaluate RUN` measures them")
    return by.replace(" ", "_")


def _refuse_other_file(path: Path) -> None:
    try:
        if not path.is_file() or written_here(path):
            return
    except OSError as error:
        raise GanlabError(cannot_be_written(path, error).message, ANOTHER) from error
    raise UsageError(f"{path} is already there, and is no report of ganlab's", ANOTHER)


def _write(path: Path, groups: Sequence[Group], metric: str | None) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, groups, metric)
    except OSError as error:
        raise GanlabError(cannot_be_written(path, error).message, ANOTHER) from error
    show_lines("", f"{path} has the curves and the samples, too")
