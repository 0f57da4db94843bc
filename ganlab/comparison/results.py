"""The result of a run as a comparison needs it: the options that it was trained with, and the values that were measured at its end."""

from __future__ import annotations

import json
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any

from ganlab.recipe import flatten
from ganlab.recipe.differences import NOT_COMPARED, is_part_of
from ganlab.records.generator_step import later_step
from ganlab.records.results import RunResult
from ganlab.records.summaries import RunSummary

#: How the key of a change begins that was made when the run was resumed; the step follows.
CHANGED = "changed at step "
LARGEST = 1e300  # larger values are not measured, and a larger whole number may not fit into a float
#: Options in which the runs of one group may differ.
NOT_GROUPED = (*NOT_COMPARED, "train.seed")


class Result(RunResult):
    """The result of a run. Whatever cannot be read from its folder is empty.

    Args:
        run: its folder and ``run.json``.
    """

    @property
    def seed(self) -> int:
        """The recipe's seed; 0 where ``run.json`` has none."""
        return super().seed or 0

    @property
    def finished(self) -> bool:
        """Whether the run has trained to the end of its budget."""
        return self.status == "finished"

    @cached_property
    def options(self) -> dict[str, str | int | float]:
        """The compared options of the resolved recipe by dotted key, and what was changed when the run was resumed."""
        try:
            return options_of(self._document) | {f"{CHANGED}{step}": words for step, words in self.run.changes.items()}
        except (ValueError, TypeError, AttributeError, RecursionError):
            return {}

    @cached_property
    def all_options(self) -> dict[str, str | int | float]:
        """All options of the resolved recipe by dotted key, as ``--set`` takes them; for each trick also whether it is enabled."""
        try:
            tricks = [key for key in options_of(self._document) if key.startswith("tricks.") and key.count(".") == 1]
            return options_of(self._document) | {f"{key}.enabled": "true" for key in tricks} | flatten(self._document)
        except (ValueError, TypeError, AttributeError, RecursionError):
            return {}

    @cached_property
    def _document(self) -> dict[str, Any]:
        try:
            return tomllib.loads(_read_text(self.folder.recipe))
        except (OSError, ValueError, RecursionError):
            return {}

    @cached_property
    def metric_options(self) -> dict[str, str | int | float]:
        """The options of its metrics, by dotted key."""
        try:
            return {key: value for key, value in flatten(self._document).items() if key.startswith("metrics.")}
        except (ValueError, TypeError, AttributeError, RecursionError):
            return {}

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """The content of ``evaluation.json``; empty where the run was not evaluated, or the file is damaged."""
        try:
            content = json.loads(_read_text(self.folder.evaluation))
        except (OSError, ValueError, RecursionError):
            return {}
        tables = ("values", "better", "about")
        return content if isinstance(content, dict) and all(isinstance(content.get(key, {}), dict) for key in tables) else {}

    @cached_property
    def values(self) -> dict[str, float]:
        """The finite values that were measured at the end of the run, by metric."""
        return {str(name): float(value) for name, value in self.evaluation.get("values", {}).items() if _is_number(value)}

    @property
    def better(self) -> dict[str, str]:
        """Which values of each metric are better: ``"higher"``, ``"lower"`` or ``"neither"``."""
        return {str(name): way for name, way in self.evaluation.get("better", {}).items() if way in ("higher", "lower", "neither")}

    @property
    def about(self) -> dict[str, str | int | float]:
        """How the values were measured: the number of samples, the judge."""
        return {str(key): value for key, value in self.evaluation.get("about", {}).items() if isinstance(value, str) or _is_number(value)}

    @property
    def collapsed(self) -> str:
        """Why the run counts as collapsed; empty where it does not."""
        return str(self.evaluation.get("collapsed", ""))

    @property
    def outdated_steps(self) -> tuple[int, int] | None:
        """The evaluated step and the current one, where the run was resumed after its evaluation; else None."""
        step = self.evaluation.get("step")
        if not self.values or not isinstance(step, int):
            return None
        now = later_step(self.run, step)
        return None if now is None else (step, now)

    @cached_property
    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """The finite values of each metric in ``metrics.jsonl``: pairs ``(step, value)`` by name."""
        curves: dict[str, list[tuple[int, float]]] = {}
        for line in map(json.loads, self.folder.lines()):
            for name, value in line["metrics"].items():
                if _is_number(value):
                    curves.setdefault(name, []).append((line["step"], float(value)))
        return curves

    @property
    def last_sheet(self) -> Path | None:
        """The file of the last sheet of samples; None where there is none."""
        sheets = self.folder.sheets()
        return sheets[-1] if sheets else None


def read_result(run: RunSummary) -> Result:
    """The result of a run. Its files are read when they are needed."""
    return Result(run)


def options_of(document: dict[str, Any]) -> dict[str, Any]:
    """The compared options of a resolved recipe, by dotted key. A trick is ``on``, or ``off`` and then without its options.

    >>> options_of({"tricks": [{"use": "clamp", "margin": 0.1}, {"use": "packing", "enabled": False, "size": 2}]})
    {'tricks.clamp': 'on', 'tricks.clamp.margin': 0.1, 'tricks.packing': 'off'}
    """
    flat = {key: value for key, value in flatten(document).items() if not is_part_of(key, NOT_GROUPED)}
    options: dict[str, Any] = {}
    for key, value in flat.items():
        table, _, option = key.rpartition(".")
        trick = ".".join(key.split(".")[:2]) if key.startswith("tricks.") else ""
        if not trick:
            options[key] = value
            continue
        is_off = flat.get(f"{trick}.enabled") == "false"
        options.setdefault(trick, "off" if is_off else "on")
        is_implied = table == trick and (option == "enabled" or (option == "use" and trick == f"tricks.{value}"))
        if not is_off and not is_implied:
            options[key] = value
    return options


def _read_text(path: Path) -> str:
    """The text of a file in a run's folder. A link is not followed: the folder may come from elsewhere."""
    if path.is_symlink():
        raise OSError(f"{path} is a link")
    return path.read_text(encoding="utf-8")


def _is_number(value: Any) -> bool:
    """Whether a value from JSON is a number that can be converted to a finite float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
