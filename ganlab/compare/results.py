"""What came of a run: its options, and the numbers that were measured at its end."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ganlab.engine.folder import RunSummary
from ganlab.engine.journal import whole_lines
from ganlab.recipe import flatten

#: What makes no other recipe: who a run is, where it is told of, and how it is measured.
APART = (
    "name", "description", "defaults", "plugins", "fallback", "tracking", "evaluation", "metrics", "judge", "train.seed", "train.device",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """A run and what came of it.

    Attributes:
        run: its folder and run.json.
        options: its resolved recipe by dotted keys, without the seed and what makes no other recipe.
        values: the numbers of evaluation.json; empty where it has not been evaluated.
        better: for each, ``"higher"``, ``"lower"`` or ``"neither"``.
        about: what they were measured on.
        collapsed: why its samples count as collapsed, or empty.
    """

    run: RunSummary
    options: dict[str, Any]
    values: dict[str, float] = field(default_factory=dict)
    better: dict[str, str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    collapsed: str = ""

    @property
    def id(self) -> str:
        """The run's folder's name."""
        return self.run.id

    @property
    def recipe(self) -> str:
        """The recipe's name."""
        return str(self.run.info.get("recipe", ""))

    @property
    def seed(self) -> int:
        """The recipe's seed."""
        return int(self.run.info.get("seed", 0))

    @property
    def finished(self) -> bool:
        """Whether it has spent its budget."""
        return self.run.status == "finished"

    @property
    def minutes(self) -> float:
        """Of training."""
        return float(self.run.info.get("training_seconds", 0.0)) / 60

    @cached_property
    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """All metrics of metrics.jsonl: ``(step, value)`` by name; values that were not finite are left out."""
        found: dict[str, list[tuple[int, float]]] = {}
        path = self.run.folder.metrics
        for line in whole_lines(path.read_bytes()) if path.is_file() else []:
            entry = json.loads(line)
            for name, value in entry["metrics"].items():
                if value is not None:
                    found.setdefault(name, []).append((entry["step"], float(value)))
        return found

    @property
    def last_sheet(self) -> Path | None:
        """The last sheet of samples."""
        sheets = sorted(self.run.folder.samples.glob("step_*.png"))
        return sheets[-1] if sheets else None


def read_result(run: RunSummary) -> Result:
    """What came of a run. A folder whose recipe or evaluation cannot be read has none of these."""
    options: dict[str, Any] = {}
    evaluation: dict[str, Any] = {}
    try:
        document = tomllib.loads(run.folder.recipe.read_text(encoding="utf-8"))
        options = options_of(document)
    except (OSError, ValueError):
        pass
    try:
        found = json.loads(run.folder.evaluation.read_text(encoding="utf-8"))
        evaluation = found if isinstance(found, dict) and isinstance(found.get("values"), dict) else {}
    except (OSError, ValueError):
        pass
    values = {str(name): float(value) for name, value in evaluation.get("values", {}).items() if isinstance(value, int | float)}
    return Result(
        run, options, values, dict(evaluation.get("better", {})), dict(evaluation.get("about", {})), str(evaluation.get("collapsed", ""))
    )


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


def _apart(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in APART)
