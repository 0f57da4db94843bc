"""The result of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


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
        collapsed: why a metric considers the samples collapsed, in half a sentence; empty if none does.
        seconds: the duration, making the samples included.
        stopped: whether something was not measured because the evaluation was asked to stop.
    """

    values: dict[str, float] = field(default_factory=dict)
    better: dict[str, str] = field(default_factory=dict)
    main_results: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    collapsed: str = ""
    seconds: float = 0.0
    stopped: bool = False
