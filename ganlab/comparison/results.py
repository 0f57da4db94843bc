"""What came of a run, as far as runs are compared: its options, and the numbers that were measured at its end."""

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

CHANGED = "changed at step "  # how an option begins that a run has had up to there only
LARGEST = 1e300  # no number that is measured is as large; larger whole ones are no floats
#: What makes no other recipe.
APART = (*NOT_COMPARED, "train.seed")


class Result(RunResult):
    """A run and what came of it. A folder whose recipe or evaluation cannot be read has none of these.

    Args:
        run: its folder and run.json.
    """

    @property
    def seed(self) -> int:
        """The recipe's seed."""
        return super().seed or 0

    @property
    def finished(self) -> bool:
        """Whether it has spent its budget."""
        return self.status == "finished"

    @cached_property
    def options(self) -> dict[str, str | int | float]:
        """Its resolved recipe by dotted keys, without the seed and what makes no other recipe; with what was changed on its way."""
        try:
            return options_of(self._document) | {f"{CHANGED}{step}": words for step, words in self.run.changes.items()}
        except (ValueError, TypeError, AttributeError, RecursionError):
            return {}

    @cached_property
    def said(self) -> dict[str, str | int | float]:
        """All that its resolved recipe says, by dotted keys as ``--set`` takes them; of each trick also whether it is enabled."""
        try:
            tricks = [key for key in options_of(self._document) if key.startswith("tricks.") and key.count(".") == 1]
            return options_of(self._document) | {f"{key}.enabled": "true" for key in tricks} | flatten(self._document)
        except (ValueError, TypeError, AttributeError, RecursionError):
            return {}

    @cached_property
    def _document(self) -> dict[str, Any]:
        try:
            return tomllib.loads(_text(self.folder.recipe))
        except (OSError, ValueError, RecursionError):
            return {}

    @cached_property
    def measured_by(self) -> dict[str, str | int | float]:
        """The options of its metrics, by dotted keys."""
        try:
            return {key: value for key, value in flatten(self._document).items() if key.startswith("metrics.")}
        except (ValueError, TypeError, AttributeError, RecursionError):
            return {}

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """What ``evaluation.json`` holds; empty where it has not been evaluated, or that is not what ganlab writes."""
        try:
            found = json.loads(_text(self.folder.evaluation))
        except (OSError, ValueError, RecursionError):
            return {}
        tables = ("values", "better", "about")
        return found if isinstance(found, dict) and all(isinstance(found.get(key, {}), dict) for key in tables) else {}

    @cached_property
    def values(self) -> dict[str, float]:
        """The numbers that were measured at its end: those that are finite."""
        return {str(name): float(value) for name, value in self.evaluation.get("values", {}).items() if _is_number(value)}

    @property
    def gone_on(self) -> tuple[int, int] | None:
        """Of which step its numbers are and which it is at now, where it has been trained on since they were measured; else None."""
        step = self.evaluation.get("step")
        if not self.values or not isinstance(step, int):
            return None
        now = later_step(self.run, step)
        return None if now is None else (step, now)

    @property
    def better(self) -> dict[str, str]:
        """For each of them ``"higher"``, ``"lower"`` or ``"neither"``."""
        return {str(name): way for name, way in self.evaluation.get("better", {}).items() if way in ("higher", "lower", "neither")}

    @property
    def about(self) -> dict[str, str | int | float]:
        """What they were measured on."""
        return {str(key): value for key, value in self.evaluation.get("about", {}).items() if isinstance(value, str) or _is_number(value)}

    @property
    def collapsed(self) -> str:
        """Why its samples count as collapsed, or empty."""
        return str(self.evaluation.get("collapsed", ""))

    @cached_property
    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """All metrics of metrics.jsonl: ``(step, value)`` by name; values that were not finite are left out."""
        found: dict[str, list[tuple[int, float]]] = {}
        for line in map(json.loads, self.folder.lines()):
            for name, value in line["metrics"].items():
                if _is_number(value):
                    found.setdefault(name, []).append((line["step"], float(value)))
        return found

    @property
    def last_sheet(self) -> Path | None:
        """The last sheet of samples."""
        sheets = self.folder.sheets()
        return sheets[-1] if sheets else None


def read_result(run: RunSummary) -> Result:
    """What came of a run."""
    return Result(run)


def options_of(document: dict[str, Any]) -> dict[str, Any]:
    """The options of a resolved recipe by dotted keys. A trick is ``on`` or ``off``; of one that is off the options say nothing.

    >>> options_of({"tricks": [{"use": "clamp", "margin": 0.1}, {"use": "packing", "enabled": False, "size": 2}]})
    {'tricks.clamp': 'on', 'tricks.clamp.margin': 0.1, 'tricks.packing': 'off'}
    """
    flat = {key: value for key, value in flatten(document).items() if not _apart(key)}
    found: dict[str, Any] = {}
    for key, value in flat.items():
        table, _, option = key.rpartition(".")
        trick = ".".join(key.split(".")[:2]) if key.startswith("tricks.") else ""
        if not trick:
            found[key] = value
            continue
        off = flat.get(f"{trick}.enabled") == "false"
        found.setdefault(trick, "off" if off else "on")
        plain = table == trick and (option == "enabled" or (option == "use" and trick == f"tricks.{value}"))
        if not off and not plain:
            found[key] = value
    return found


def _text(path: Path) -> str:
    """The text of a run's own file: what a link in a stranger's folder leads to is none."""
    if path.is_symlink():
        raise OSError(f"{path} is a link")
    return path.read_text(encoding="utf-8")


def _is_number(value: Any) -> bool:
    """Whether this is a number that can be reckoned with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def _apart(key: str) -> bool:
    return is_part_of(key, APART)
