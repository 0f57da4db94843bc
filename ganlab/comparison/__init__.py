"""Which recipe is better, and by more than luck? Runs are read from their folders, grouped by recipe, and held against each other.

Nothing here imports torch: it reads ``run.json``, ``recipe.toml``, ``metrics.jsonl`` and ``evaluation.json``.
"""

from __future__ import annotations

from ganlab.comparison.groups import Group, differences, grouped
from ganlab.comparison.results import Result, read_result
from ganlab.comparison.verdicts import Verdict, main_metric, margin, verdicts

__all__ = ["Group", "Result", "Verdict", "differences", "grouped", "main_metric", "margin", "read_result", "verdicts"]
