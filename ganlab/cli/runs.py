"""``ganlab runs``: list the runs, filtered and sorted. Imports no torch."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

from ganlab.errors import UsageError, closest, did_you_mean
from ganlab.numbers import number
from ganlab.records.results import RunResult
from ganlab.records.summaries import read_runs
from ganlab.screen.terminal import show_json, show_lines, show_table, warn

#: What runs can be sorted by, besides the metrics of evaluation.json.
COLUMNS = ("started", "recipe", "seed", "step", "minutes", "status")


def runs(
    folder: Path, *, recipes: Sequence[str], states: Sequence[str], where: Sequence[str], metrics: Sequence[str], sort: str, as_json: bool
) -> None:
    """Show the runs in ``folder`` as a table or as JSON.

    Args:
        recipes, states: names of recipes and statuses; only runs with one of them are shown. Empty shows all.
        where: ``"KEY=VALUE"``; only runs whose recipes set each KEY to VALUE are shown.
        metrics: names of metrics of evaluation.json, one more column for each.
        sort: one of COLUMNS, or a metric.

    Raises:
        UsageError: there are no runs, or none of them has one of these recipes, metrics or keys.
    """
    summaries, damages = read_runs(folder)
    for damage in damages:
        warn(f"one run is not listed: {damage}")
    known = [RunResult(run) for run in summaries]
    if not known:
        raise UsageError(f"there are no runs in {folder}", "`ganlab run mnist_adaptive` makes one; --runs-dir looks elsewhere")
    known_metrics = list(dict.fromkeys(name for result in known for name in result.values))
    _refuse_unknown(recipes, list(dict.fromkeys(result.recipe for result in known)), "run uses a recipe called")
    _refuse_unknown(metrics, known_metrics, "run has a metric")
    _refuse_unknown([sort], [*COLUMNS, *known_metrics], "run can be sorted by")
    selected = [result for result in known if (not recipes or result.recipe in recipes) and (not states or result.status in states)]
    selected = _with_options(selected, known, where)
    better = next((result.better[sort] for result in selected if sort in result.better), "lower")
    selected.sort(key=lambda result: _sort_key(result, sort, better))
    columns = list(dict.fromkeys([*metrics, *([sort] if sort in known_metrics else [])]))
    if as_json:
        show_json([_as_json(result) for result in selected])
    elif not selected:
        show_lines(f"none of the {len(known)} runs in {folder} matches")
    else:
        head = ("run", "status", "step", "seed", "device", "minutes", "started", *columns)
        show_table([head, *(_row(result, columns) for result in selected)], right=range(7, 7 + len(columns)))


def _refuse_unknown(names: Sequence[str], known: Sequence[str], what: str) -> None:
    for name in names:
        if name not in known:
            raise UsageError(f"no {what} '{name}'", did_you_mean(name, known) if known else "`ganlab evaluate RUN` measures a run")


def _with_options(results: list[RunResult], known: list[RunResult], where: Sequence[str]) -> list[RunResult]:
    """Return the results whose recipes set KEY to VALUE for each ``KEY=VALUE`` of ``where``."""
    for text in where:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise UsageError(f"--where {text} has no value", f"type --where {text}=VALUE")
        keys = list(dict.fromkeys(name for result in known for name in result.all_options))
        if key not in keys:
            suggestion = closest(key, keys)
            raise UsageError(
                f"no run's recipe has '{key}'",
                f"did you mean '{suggestion}'?" if suggestion else "the keys are those of --set; recipe.toml has them all",
            )
        results = [result for result in results if str(result.all_options.get(key, "")) == value.strip('"')]
    return results


def _sort_key(result: RunResult, sort: str, better: str) -> tuple[bool, float | str]:
    """Return the key that puts the best run first, and runs without a value last."""
    if sort == "recipe":
        return False, result.recipe
    if sort == "status":
        return False, result.status
    if sort in COLUMNS:
        columns = {"started": result.info.created, "seed": result.seed, "step": result.step, "minutes": result.minutes}
        value = columns[sort]
        return not isinstance(value, int | float), float(value) if isinstance(value, int | float) else 0.0
    value = result.values.get(sort, math.nan)
    return math.isnan(value), -value if better == "higher" else value


def _row(result: RunResult, metrics: Sequence[str]) -> tuple[str, ...]:
    info = result.info
    started = "" if info.created is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(info.created))
    step = f"{info.counters.get('step', 0):,} of {info.total_steps:,}"
    seed = "" if info.seed is None else str(info.seed)
    facts = (result.id, result.status, step, seed, info.device, f"{result.minutes:.1f}", started)
    values = [number(result.values[name]) if name in result.values else "-" for name in metrics]
    return (*facts, *values)


def _as_json(result: RunResult) -> dict[str, object]:
    return {
        "run": result.id, "recipe": result.recipe, "status": result.status, "seed": result.seed, "step": result.step,
        "minutes": result.minutes, "values": result.values, "collapsed": result.collapsed, "path": str(result.folder.path),
    }  # fmt: skip
