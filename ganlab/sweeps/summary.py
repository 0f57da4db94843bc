"""What a set has come to: by combination, the mean and the spread over its seeds, and who is missing. Imports no torch."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ganlab.records.results import RunResult, Spread, spreads
from ganlab.storage.atomic import write_text
from ganlab.sweeps.sweep import Member, RunSet


@dataclass
class Group:
    """The runs of one combination.

    Attributes:
        values: of the grid. name: the same in a line.
        members: its runs, by seed. results: those that are finished.
    """

    values: dict[str, Any]
    name: str
    members: list[Member] = field(default_factory=list)
    results: list[RunResult] = field(default_factory=list)

    @property
    def numbers(self) -> dict[str, Spread]:
        """The spread of each number over the seeds."""
        return spreads(self.results)

    @property
    def minutes(self) -> float:
        """How long a finished run was trained, on average; NaN where none is."""
        return statistics.fmean(result.minutes for result in self.results) if self.results else math.nan

    @property
    def findings(self) -> dict[str, int]:
        """In how many of its finished runs tricks found something to be wrong at the end, by what it is."""
        return dict(Counter(name for result in self.results for name in result.findings))

    def count(self, *states: str) -> int:
        """How many of its runs are in one of these states."""
        return sum(member.state in states for member in self.members)


def groups(one: RunSet) -> list[Group]:
    """A set's runs by combination, in the order of the grid."""
    found: dict[str, Group] = {}
    for member in one.members:
        group = found.setdefault(member.combination.name, Group(member.combination.values, member.combination.name))
        group.members.append(member)
        if member.state == "finished" and member.run is not None:
            group.results.append(RunResult(member.run))
    return list(found.values())


def write_summary(one: RunSet, found: list[Group]) -> None:
    """Write ``summary.json``.

    Raises:
        GanlabError: it cannot be written.
    """
    content = {"set": one.name, **one.definition.as_json(), "combinations": [_as_json(group) for group in found]}
    write_text(one.path / "summary.json", json.dumps(content, indent=2, allow_nan=False) + "\n")


def _as_json(group: Group) -> dict[str, Any]:
    results = {result.id: result for result in group.results}
    return {
        "combination": group.values,
        "runs": [_run(member, results.get(member.run.id) if member.run else None) for member in group.members],
        "finished": len(group.results),
        "failed": group.count("failed"),
        "findings": group.findings,
        "minutes": _finite(group.minutes),
        "metrics": {
            name: {"mean": _finite(spread.mean), "standard_deviation": _finite(spread.deviation), "n": spread.count}
            for name, spread in group.numbers.items()
        },
    }


def _run(member: Member, result: RunResult | None) -> dict[str, Any]:
    about = {"seed": member.seed, "run": member.run.id if member.run else None, "state": member.state, "message": member.message}
    if result is None:
        return about
    metrics = {name: _finite(value) for name, value in result.numbers.items()}
    return {**about, "minutes": result.minutes, "findings": result.findings, "metrics": metrics}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def tables(found: list[Group], room: int) -> list[list[str]]:
    """The table that a person sees: a row for each combination, or, where that is wider than there is room, a row for each number.

    Args:
        found: the combinations. room: characters in a line.
    """
    numbers = {group.name: group.numbers for group in found}
    columns: dict[str, Callable[[Group], str]] = {"finished": lambda group: f"{len(group.results)} of {len(group.members)}"}
    if any(group.count("failed") for group in found):
        columns["failed"] = lambda group: str(group.count("failed") or "")
    if any(group.findings for group in found):
        columns["found"] = lambda group: ", ".join(f"{name} in {count}" for name, count in group.findings.items())
    for name in dict.fromkeys(name for spread in numbers.values() for name in spread):
        columns[name] = lambda group, name=name: _cell(numbers[group.name].get(name), len(group.results))  # type: ignore[misc]
    columns["minutes"] = lambda group: f"{group.minutes:.1f}" if group.results else "-"
    rows = [["combination", *columns], *([group.name, *(cell(group) for cell in columns.values())] for group in found)]
    turned = [list(column) for column in zip(*rows, strict=True)]
    return turned if _width(rows) > room >= _width(turned) or (len(rows) < 3 and _width(rows) > room) else rows


def _cell(spread: Spread | None, of: int) -> str:
    if spread is None:
        return "-"
    return f"{spread} ({spread.count})" if spread.count != of else str(spread)


def _width(rows: list[list[str]]) -> int:
    return sum(max(len(cell) for cell in column) + 2 for column in zip(*rows, strict=True))
