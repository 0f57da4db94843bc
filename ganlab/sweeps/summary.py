"""The results of a sweep: for each combination of grid values, the mean and the spread over its seeds. Imports no torch."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ganlab.comparison import RunGroup, Spread
from ganlab.records.results import RunResult
from ganlab.redaction import redacted_document
from ganlab.storage.atomic import write_text
from ganlab.sweeps.sweep import Sweep, SweepRun


@dataclass
class CombinationResult:
    """The results of one combination of grid values.

    Attributes:
        values: by key of the grid.
        group: the results of its finished runs; its name is the combination in words.
        runs: all of its runs, by seed.
    """

    values: dict[str, Any]
    group: RunGroup
    runs: list[SweepRun] = field(default_factory=list)

    @property
    def numbers(self) -> dict[str, Spread]:
        """The mean and the spread of each number over the finished runs."""
        return {name: self.group.spread(name) for name in dict.fromkeys(name for result in self.group.results for name in result.numbers)}

    @property
    def findings(self) -> dict[str, int]:
        """In how many finished runs tricks reported a problem at the end, by the problem's name."""
        return dict(Counter(str(name) for result in self.group.results for name in result.info.findings))

    @property
    def failed(self) -> int:
        """How many of its runs failed."""
        return sum(run.state == "failed" for run in self.runs)


def combination_results(sweep: Sweep) -> list[CombinationResult]:
    """The results of each combination, in the order of the grid."""
    by_name: dict[str, CombinationResult] = {}
    for run in sweep.runs:
        name = run.combination.name
        combination = by_name.setdefault(name, CombinationResult(run.combination.values, RunGroup(name, [])))
        combination.runs.append(run)
        if run.state == "finished" and run.summary is not None:
            combination.group.results.append(RunResult(run.summary))
    return list(by_name.values())


def write_summary(sweep: Sweep, combinations: list[CombinationResult]) -> None:
    """Write ``summary.json``.

    Raises:
        GanlabError: it cannot be written.
    """
    content = {"set": sweep.name, **sweep.definition.as_json(), "combinations": [_as_json(each) for each in combinations]}
    write_text(sweep.path / "summary.json", json.dumps(redacted_document(content), indent=2, allow_nan=False) + "\n")


def _as_json(combination: CombinationResult) -> dict[str, Any]:
    results = {result.id: result for result in combination.group.results}
    return {
        "combination": combination.values,
        "runs": [_run_as_json(run, results.get(run.summary.id) if run.summary else None) for run in combination.runs],
        "finished": len(results),
        "failed": combination.failed,
        "findings": combination.findings,
        "minutes": _finite(combination.group.minutes.mean),
        "metrics": {
            name: {"mean": _finite(spread.mean), "standard_deviation": _finite(spread.deviation), "n": spread.count}
            for name, spread in combination.numbers.items()
        },
    }


def _run_as_json(run: SweepRun, result: RunResult | None) -> dict[str, Any]:
    identity = {"seed": run.seed, "run": run.summary.id if run.summary else None, "state": run.state, "message": run.message}
    if result is None:
        return identity
    metrics = {name: _finite(value) for name, value in result.numbers.items()}
    return {**identity, "minutes": result.minutes, "findings": result.info.findings, "metrics": metrics}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
