"""The results of a run, read from its folder: options, status, last metrics and final evaluation. Imports no torch."""

from __future__ import annotations

import json
import math
import os
from functools import cached_property
from pathlib import Path
from typing import Any

from ganlab.recipe import flatten
from ganlab.recipe.differences import grouped_options, is_part_of
from ganlab.records.folder import RunFolder
from ganlab.records.metric_lines import whole_line
from ganlab.records.summaries import RunSummary
from ganlab.storage.reading import RECIPE, open_file, parse_toml, read_json, read_text

#: Shown for a run that was not evaluated.
LOSSES = ("loss/discriminator", "loss/generator")
LARGEST = 1e300  # larger values are not measured, and a larger whole number may not fit into a float
TAIL = 65_536  # bytes at the end of metrics.jsonl that are read for its last lines


class RunResult(RunSummary):
    """A run with its results. Whatever cannot be read from its folder is empty. Files are read on first access, and then cached."""

    def __init__(self, run: RunSummary) -> None:
        super().__init__(run.folder, run.info)

    @cached_property
    def status(self) -> str:
        """As :attr:`RunSummary.status`."""
        return super().status

    @property
    def finished(self) -> bool:
        """Whether the run has trained to the end of its budget."""
        return self.status == "finished"

    @property
    def recipe(self) -> str:
        """The recipe's name."""
        return self.info.recipe

    @property
    def seed(self) -> int:
        """The seed of the training; 0 where ``run.json`` has none."""
        return self.info.seed or 0

    @property
    def minutes(self) -> float:
        """The training time so far, in minutes."""
        return self.info.training_seconds / 60

    @property
    def step(self) -> int:
        """The step that the run has reached, from its last line of metrics or ``run.json``."""
        return max(self.info.counters.get("step", 0), latest(self.folder)[0])

    # -- options -----------------------------------------------------------------------------------------------------------

    @cached_property
    def options(self) -> dict[str, str | int | float]:
        """The options that the runs of one group share, by dotted key, see :func:`ganlab.recipe.differences.grouped_options`."""
        return grouped_options(self._recipe_options)

    @cached_property
    def all_options(self) -> dict[str, str | int | float]:
        """All options of the resolved recipe by dotted key, as ``--set`` takes them; for each trick also whether it is enabled."""
        tricks = [key for key in self.options if key.startswith("tricks.") and key.count(".") == 1]
        return self.options | {f"{key}.enabled": "true" for key in tricks} | self._recipe_options

    @property
    def metric_options(self) -> dict[str, str | int | float]:
        """The options of its metrics, by dotted key."""
        return {key: value for key, value in self._recipe_options.items() if is_part_of(key, ("metrics",))}

    @cached_property
    def _recipe_options(self) -> dict[str, str | int | float]:
        try:
            return flatten(parse_toml(read_text(self.folder.recipe, RECIPE)))
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return {}

    # -- what was measured -------------------------------------------------------------------------------------------------

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """The content of ``evaluation.json``; empty where the run was not evaluated, or the file is damaged."""
        try:
            content = read_json(self.folder.evaluation)
        except (OSError, ValueError):
            return {}
        tables = ("values", "better", "about")
        return content if isinstance(content, dict) and all(isinstance(content.get(key, {}), dict) for key in tables) else {}

    @cached_property
    def values(self) -> dict[str, float]:
        """The finite values that were measured at the end of the run, by metric."""
        return {str(name): float(value) for name, value in self.evaluation.get("values", {}).items() if is_number(value)}

    @cached_property
    def numbers(self) -> dict[str, float]:
        """The numbers for a table: ``values``, or the last losses of a run that was not evaluated; a loss may be NaN."""
        if self.values:
            return self.values
        _, metrics = latest(self.folder)
        return {name: metrics[name] for name in LOSSES if name in metrics}

    @property
    def better(self) -> dict[str, str]:
        """Which values of each metric are better: ``"higher"``, ``"lower"`` or ``"neither"``."""
        return {str(name): way for name, way in self.evaluation.get("better", {}).items() if way in ("higher", "lower", "neither")}

    @property
    def main_results(self) -> list[str]:
        """The metrics that recipes are best compared by, the best first; empty for an evaluation of version 0.1."""
        names = self.evaluation.get("main_results")
        return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []

    @property
    def about(self) -> dict[str, str | int | float]:
        """How the values were measured: the number of samples, the judge."""
        return {str(key): value for key, value in self.evaluation.get("about", {}).items() if isinstance(value, str) or is_number(value)}

    @property
    def collapsed(self) -> str:
        """Why the run counts as collapsed; empty where it does not."""
        return str(self.evaluation.get("collapsed", ""))

    @property
    def outdated_steps(self) -> tuple[int, int] | None:
        """The evaluated step and the current one, where the run was resumed after its evaluation; else None."""
        step = self.evaluation.get("step")
        return (step, self.step) if self.values and isinstance(step, int) and self.step > step else None

    @cached_property
    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """The finite values of each metric in ``metrics.jsonl``: pairs ``(step, value)`` by name."""
        curves: dict[str, list[tuple[int, float]]] = {}
        for line in map(json.loads, self.folder.lines()):
            for name, value in line["metrics"].items():
                if is_number(value):
                    curves.setdefault(name, []).append((line["step"], float(value)))
        return curves

    @property
    def last_sheet(self) -> Path | None:
        """The file of the last sheet of samples; None where there is none."""
        sheets = self.folder.sheets()
        return sheets[-1] if sheets else None


def last_lines(folder: RunFolder) -> list[dict[str, Any]]:
    """The last whole lines of a run's ``metrics.jsonl``, oldest first. Only the file's end is read: the file may be large."""
    try:
        with open_file(folder.metrics, math.inf) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            content = file.read(TAIL)
    except OSError:
        return []
    raw = content.split(b"\n")[(1 if size > TAIL else 0) : -1]  # the first line may be cut, the last line half written
    lines = [json.loads(line) for line in map(whole_line, raw) if line]
    return [{"step": line["step"], "metrics": _numbers(line["metrics"])} for line in lines]


def latest(folder: RunFolder) -> tuple[int, dict[str, float]]:
    """The step of a run's last line, and the last value of each metric in its last lines. ``(0, {})`` if there are no lines."""
    step = 0
    metrics: dict[str, float] = {}
    for line in last_lines(folder):
        step = line["step"]
        metrics |= line["metrics"]
    return step, metrics


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    """The metrics of a line; NaN for a value that was not finite, which JSON holds as null."""
    return {name: math.nan if value is None else float(value) for name, value in metrics.items()}


def is_number(value: Any) -> bool:
    """Whether a value from JSON is a number that can be converted to a finite float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
