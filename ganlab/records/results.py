"""Results of runs, read from their folders: options, status, last metrics and final evaluation. Imports no torch."""

from __future__ import annotations

import json
import math
import statistics
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ganlab.recipe import flatten
from ganlab.records.folder import RunFolder
from ganlab.records.run_info import RunInfo, SweepMembership
from ganlab.records.summaries import RunSummary

FINAL = "final/"
#: Shown for a run that has no final evaluation.
LOSSES = ("loss/discriminator", "loss/generator")
TAIL = 65_536  # bytes at the end of metrics.jsonl that are read for its last lines
#: Tables of a recipe that no number depends on.
DESCRIPTIVE_TABLES = ("name", "description", "defaults", "tracking", "plugins")


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of the finite ones of some values.

    Attributes:
        mean: NaN if there are no finite values.
        deviation: the sample standard deviation (n - 1); NaN if there are fewer than two finite values.
        count: the number of finite values.
    """

    mean: float
    deviation: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of those ``values`` that are finite."""
        finite = [value for value in values if math.isfinite(value)]
        mean = statistics.fmean(finite) if finite else math.nan
        return cls(mean, statistics.stdev(finite) if len(finite) > 1 else math.nan, len(finite))

    def __str__(self) -> str:
        """The deviation to two significant digits, and the mean to the same decimal place.

        >>> print(Spread(629.84, 218.6, 5), Spread(0.01228, 0.0039, 5), Spread(4.6, 1.52, 5), Spread(9.0, 0.0, 3), sep="; ")
        630 ± 220; 0.0123 ± 0.0039; 4.6 ± 1.5; 9 ± 0
        """
        if not self.count:
            return "-"
        if self.count == 1:
            return f"{self.mean:.4g}"
        decimals = 1 - math.floor(math.log10(self.deviation)) if self.deviation else 0
        if not -4 < decimals < 8 or not self.deviation:
            return f"{self.mean:.4g} ± {self.deviation:.2g}"
        mean, deviation = round(self.mean, decimals), round(self.deviation, decimals)
        return f"{mean:.{max(0, decimals)}f} ± {deviation:.{max(0, decimals)}f}"


class RunResult:
    """The results of one run. Files are read on first access, and then cached.

    Args:
        run: as :func:`ganlab.records.summaries.list_runs` or ``find_run`` returns it.
    """

    def __init__(self, run: RunSummary) -> None:
        self.run = run

    @property
    def folder(self) -> RunFolder:
        """The run's folder."""
        return self.run.folder

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.run.id

    @property
    def info(self) -> RunInfo:
        """The content of ``run.json``."""
        return self.run.info

    @cached_property
    def status(self) -> str:
        """``"finished"``, ``"interrupted"``, ``"failed"``, ``"running"`` ..."""
        return self.run.status

    @property
    def recipe(self) -> str:
        """The recipe's name."""
        return self.info.recipe

    @property
    def seed(self) -> int | None:
        """The seed of the training."""
        return self.info.seed

    @property
    def minutes(self) -> float:
        """The training time so far, in minutes."""
        return self.info.training_seconds / 60

    @property
    def steps(self) -> tuple[int, int]:
        """The current step, from the last line of metrics or run.json, and the step budget."""
        lines = last_lines(self.folder)
        return max([self.info.counters.get("step", 0), *(line["step"] for line in lines[-1:])]), self.info.total_steps

    @property
    def findings(self) -> list[str]:
        """Names of the problems that tricks found at the end of the run, such as ``"fakes_alike"``."""
        return self.info.findings

    @property
    def sweep(self) -> SweepMembership:
        """The sweep that the run is part of: ``{"name": ..., "combination": {...}, "seed": ...}``; empty for a single run."""
        return self.info.set

    @cached_property
    def options(self) -> dict[str, str | int | float]:
        """The options of the training by dotted key, as in ``--set``, without the seed and without tables that no number depends on.

        Raises:
            OSError, ValueError: the run's recipe cannot be read.
        """
        document = tomllib.loads(self.folder.recipe.read_text(encoding="utf-8"))
        flat = flatten({key: value for key, value in document.items() if key not in DESCRIPTIVE_TABLES})
        return {key: value for key, value in flat.items() if key != "train.seed"}

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The last value of each metric, by name; NaN if it was not finite."""
        metrics: dict[str, float] = {}
        for line in self.folder.lines():
            metrics |= _numbers(json.loads(line)["metrics"])
        return metrics

    @cached_property
    def final(self) -> dict[str, float]:
        """The final evaluation, by name without ``final/``. Empty if there was none."""
        try:
            values = json.loads(self.folder.evaluation.read_text(encoding="utf-8"))["values"]
            return {str(name): float(value) for name, value in values.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            return {name.removeprefix(FINAL): value for name, value in self.metrics.items() if name.startswith(FINAL)}

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers for a table: the final evaluation, else the last losses."""
        return self.final or {name: self.metrics[name] for name in LOSSES if name in self.metrics}


def last_lines(folder: RunFolder) -> list[dict[str, Any]]:
    """The last whole lines of a run's ``metrics.jsonl``, oldest first. Only the file's end is read: the file may be large."""
    try:
        with open(folder.metrics, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL))
            content = file.read()
    except OSError:
        return []
    raw = content.split(b"\n")[(1 if size > TAIL else 0) : -1]  # the first line may be cut, the last line half written
    lines = []
    for line in raw:
        try:
            read = json.loads(line)
            if isinstance(read["metrics"], dict) and isinstance(read["step"], int):
                lines.append({"step": read["step"], "metrics": _numbers(read["metrics"])})
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return lines


def latest(folder: RunFolder) -> tuple[int, dict[str, float]]:
    """The step of a run's last line, and the last value of each metric in its last lines. ``(0, {})`` if there are no lines."""
    step = 0
    metrics: dict[str, float] = {}
    for line in last_lines(folder):
        step = line["step"]
        metrics |= line["metrics"]
    return step, metrics


def spreads(results: Iterable[RunResult]) -> dict[str, Spread]:
    """The spread of each number over some runs, by name, in the order of first appearance."""
    values_by_name: dict[str, list[float]] = {}
    for result in results:
        for name, value in result.numbers.items():
            values_by_name.setdefault(name, []).append(value)
    return {name: Spread.of(values) for name, values in values_by_name.items()}


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    """The metrics of a line; NaN for a value that was not finite, which JSON holds as null."""
    return {name: math.nan if value is None else float(value) for name, value in metrics.items() if isinstance(value, int | float | None)}
