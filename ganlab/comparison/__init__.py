"""Compare recipes over several seeds: runs are grouped by recipe, averaged, and tested for differences beyond chance.

It reads ``run.json``, ``recipe.toml``, ``metrics.jsonl`` and ``evaluation.json``. Imports no torch.
"""

from __future__ import annotations

from ganlab.comparison.groups import RunGroup, differences, grouped, metric_names
from ganlab.comparison.spread import Spread, confidence_interval
from ganlab.comparison.verdicts import Verdict, main_metric, verdicts

__all__ = ["RunGroup", "Spread", "Verdict", "confidence_interval", "differences", "grouped", "main_metric", "metric_names", "verdicts"]
