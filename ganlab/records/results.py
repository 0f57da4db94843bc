"""What runs have come to, read from their folders: what was trained, how it ended, its last and its final numbers. Imports no torch."""

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
#: What stands for a run that was not measured at its end.
LOSSES = ("loss/discriminator", "loss/generator")
TAIL = 65_536  # bytes at the end of metrics.jsonl in which the last lines are
#: Tables of a recipe that no number depends on.
APART = ("name", "description", "defaults", "tracking", "plugins")


@dataclass(frozen=True)
class Spread:
    """The mean of some values, and how far they are from each other.

    Attributes:
        mean: of the finite ones; NaN where there are none.
        deviation: their standard deviation, as an estimate (n - 1); NaN where there are fewer than two.
        count: how many there are.
    """

    mean: float
    deviation: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Of those values that are finite."""
        finite = [value for value in values if math.isfinite(value)]
        mean = statistics.fmean(finite) if finite else math.nan
        return cls(mean, statistics.stdev(finite) if len(finite) > 1 else math.nan, len(finite))

    def __str__(self) -> str:
        """The deviation to two digits, and the mean as far as these go.

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
    """What a run has come to. Everything is read when it is asked for, and then kept.

    Args:
        run: it, as :func:`ganlab.records.summaries.list_runs` or ``find_run`` gives it.
    """

    def __init__(self, run: RunSummary) -> None:
        self.run = run

    @property
    def folder(self) -> RunFolder:
        """Its folder."""
        return self.run.folder

    @property
    def id(self) -> str:
        """Its folder's name."""
        return self.run.id

    @property
    def info(self) -> RunInfo:
        """What ``run.json`` holds."""
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
        """The seed it was trained with."""
        return self.info.seed

    @property
    def minutes(self) -> float:
        """How long it has been trained."""
        return self.info.training_seconds / 60

    @property
    def steps(self) -> tuple[int, int]:
        """The step that it is at, by its latest line or checkpoint, and its budget."""
        last = last_lines(self.folder)
        return max([self.info.counters.get("step", 0), *(line["step"] for line in last[-1:])]), self.info.total_steps

    @property
    def findings(self) -> list[str]:
        """What tricks found to be wrong with it at its end, by name, such as ``"fakes_alike"``."""
        return self.info.findings

    @property
    def sweep(self) -> SweepMembership:
        """Of which sweep it is a part: ``{"name": ..., "combination": {...}, "seed": ...}``; empty for a run of its own."""
        return self.info.set

    @cached_property
    def options(self) -> dict[str, str | int | float]:
        """What it was trained with, by dotted key, as ``--set`` takes it; without where it is recorded, and without its seed.

        Raises:
            OSError, ValueError: its recipe cannot be read.
        """
        document = tomllib.loads(self.folder.recipe.read_text(encoding="utf-8"))
        flat = flatten({key: value for key, value in document.items() if key not in APART})
        return {key: value for key, value in flat.items() if key != "train.seed"}

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The last value of every metric, by name; NaN where it was not finite."""
        found: dict[str, float] = {}
        for text in self.folder.lines():
            found |= _numbers(json.loads(text)["metrics"])
        return found

    @cached_property
    def final(self) -> dict[str, float]:
        """What was measured at its end, by name without ``final/``. Empty where nothing was."""
        try:
            values = json.loads(self.folder.evaluation.read_text(encoding="utf-8"))["values"]
            return {str(name): float(value) for name, value in values.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            return {name.removeprefix(FINAL): value for name, value in self.metrics.items() if name.startswith(FINAL)}

    @property
    def numbers(self) -> dict[str, float]:
        """What a table shows of it: what was measured at its end, else its last losses."""
        return self.final or {name: self.metrics[name] for name in LOSSES if name in self.metrics}


def last_lines(folder: RunFolder) -> list[dict[str, Any]]:
    """The last whole lines of a run's ``metrics.jsonl``, oldest first, read from the file's end: a run may have written very many."""
    try:
        with open(folder.metrics, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL))
            content = file.read()
    except OSError:
        return []
    raw = content.split(b"\n")[(1 if size > TAIL else 0) : -1]  # the first may have been cut, the last be half written
    found = []
    for line in raw:
        try:
            read = json.loads(line)
            if isinstance(read["metrics"], dict) and isinstance(read["step"], int):
                found.append({"step": read["step"], "metrics": _numbers(read["metrics"])})
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return found


def latest(folder: RunFolder) -> tuple[int, dict[str, float]]:
    """The step of a run's last line, and the last value of each metric in its last lines. ``(0, {})`` where there are none."""
    step = 0
    found: dict[str, float] = {}
    for line in last_lines(folder):
        step = line["step"]
        found |= line["metrics"]
    return step, found


def spreads(results: Iterable[RunResult]) -> dict[str, Spread]:
    """The spread of each number over some runs, in the order in which they first have them."""
    values: dict[str, list[float]] = {}
    for result in results:
        for name, value in result.numbers.items():
            values.setdefault(name, []).append(value)
    return {name: Spread.of(found) for name, found in values.items()}


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    """The metrics of a line; NaN where the value was not finite, which JSON has no word for."""
    return {name: math.nan if value is None else float(value) for name, value in metrics.items() if isinstance(value, int | float | None)}
