"""Compare recipes over several seeds: runs are read from their folders, grouped by recipe, and tested for differences beyond chance.

It reads ``run.json``, ``recipe.toml``, ``metrics.jsonl`` and ``evaluation.json``. Imports no torch.
"""

from __future__ import annotations

from ganlab.comparison.groups import RunGroup, differences, grouped
from ganlab.comparison.results import Result, read_result
from ganlab.comparison.verdicts import Verdict, main_metric, margin, verdicts

__all__ = ["Result", "RunGroup", "Verdict", "differences", "grouped", "main_metric", "margin", "read_result", "verdicts"]
