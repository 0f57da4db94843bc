"""What an evaluation found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Report:
    """What an evaluation found.

    Attributes:
        values: the numbers, by the metrics' own names. better: for each, ``"higher"``, ``"lower"`` or ``"neither"``.
        about: ``samples`` (of fakes), ``real`` and ``held_out`` (of these), ``judge`` and ``judge_identity``, where one was asked;
            and what metrics have noted.
        missing: why a metric was not measured, by its name in the recipe.
        collapsed: in half a sentence, what a metric takes for a collapse; empty where none does.
        seconds: what it took, the making of the samples included.
        stopped: whether something was not measured because the evaluation was asked to stop.
    """

    values: dict[str, float] = field(default_factory=dict)
    better: dict[str, str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    collapsed: str = ""
    seconds: float = 0.0
    stopped: bool = False
