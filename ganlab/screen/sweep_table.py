"""The results of a sweep as a table for a terminal: the mean and the spread over seeds of each combination. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from ganlab.comparison import Spread
from ganlab.sweeps.summary import CombinationResult


def result_rows(combinations: Sequence[CombinationResult], width: int) -> list[list[str]]:
    """The cells of the table, headings included: a row for each combination, or a row for each number where that would be too wide.

    Args:
        combinations: the results. width: of the terminal, in characters.
    """
    numbers = [combination.numbers for combination in combinations]
    columns = [["combination", *(each.group.name for each in combinations)]]
    columns.append(["finished", *(f"{len(each.group.results)} of {len(each.runs)}" for each in combinations)])
    if any(each.failed for each in combinations):
        columns.append(["failed", *(str(each.failed or "") for each in combinations)])
    if any(each.findings for each in combinations):
        columns.append(["found", *(", ".join(f"{name} in {count}" for name, count in each.findings.items()) for each in combinations)])
    for name in dict.fromkeys(name for spreads in numbers for name in spreads):
        columns.append([name, *map(_cell, combinations, (spreads.get(name) for spreads in numbers))])
    columns.append(["minutes", *(f"{each.group.minutes.mean:.1f}" if each.group.results else "-" for each in combinations)])
    rows = [list(row) for row in zip(*columns, strict=True)]
    is_too_wide = _width(rows) > width
    return columns if is_too_wide and (_width(columns) <= width or len(rows) < 3) else rows


def _cell(combination: CombinationResult, spread: Spread | None) -> str:
    """A spread, with the number of its values where some of the finished runs have none that is finite."""
    if spread is None:
        return "-"
    return f"{spread} ({spread.count})" if spread.count != len(combination.group.results) else str(spread)


def _width(rows: Sequence[Sequence[str]]) -> int:
    return sum(max(len(cell) for cell in column) + 2 for column in zip(*rows, strict=True))
