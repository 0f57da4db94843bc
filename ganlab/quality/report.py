"""The result of an evaluation."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ganlab.evaluation import Metric


@dataclass
class Report:
    """The result of an evaluation.

    Attributes:
        values: the numbers, by the metrics' own names.
        better: for each number, ``"higher"``, ``"lower"`` or ``"neither"``.
        main_results: the numbers that recipes are best compared by, the best first.
        about: what the numbers were measured on: ``samples`` (number of fakes), ``real`` and ``held_out`` (number of these), ``judge`` and
            ``judge_identity`` if a judge was used, and the facts that metrics noted.
        missing: why a metric was not measured, by the metric's name in the recipe.
        faulty: the names of those metrics that raised an exception, or whose results are not valid numbers.
        collapsed: why a metric considers the samples collapsed, in half a sentence; empty if none does.
        seconds: the duration, making the samples included.
        stopped: whether something was not measured because the evaluation was asked to stop.
    """

    values: dict[str, float] = field(default_factory=dict)
    better: dict[str, str] = field(default_factory=dict)
    main_results: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    faulty: set[str] = field(default_factory=set)
    collapsed: str = ""
    seconds: float = 0.0
    stopped: bool = False

    def add(self, name: str, metric: Metric, values: Mapping[str, float]) -> None:
        """Add the numbers of the metric ``name``. Those that are not finite are missing, and the metric is faulty."""
        finite = {result: value for result, value in values.items() if math.isfinite(value)}
        self.missing |= dict.fromkeys((result for result in values if result not in finite), "it is not a finite number")
        self.faulty |= {name} if len(finite) < len(values) else set()
        self.values |= finite
        self.better |= {result: metric.results[result] for result in finite}
        self.main_results += [result for result in getattr(metric, "main_results", ()) if result in finite]

    def to_json(self, step: int) -> str:
        """The content of ``evaluation.json``, for samples of the generator at ``step``."""
        content: dict[str, Any] = {"step": step, "values": self.values, "better": self.better, "main_results": self.main_results}
        content |= {"collapsed": self.collapsed, "about": self.about, "not_measured": self.missing}
        return json.dumps({**content, "seconds": round(self.seconds, 3)}, indent=2) + "\n"
