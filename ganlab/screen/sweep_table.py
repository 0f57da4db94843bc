"""The results of a sweep as a table for a terminal: the mean and the spread over seeds of each combination. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable

from ganlab.records.results import Spread
from ganlab.sweeps.summary import CombinationResult


def result_rows(combinations: list[CombinationResult], width: int) -> list[list[str]]:
    """The cells of the table, headings included: a row for each combination, or a row for each number where that would be too wide.

    Args:
        combinations: the results. width: of the terminal, in characters.
    """
    numbers = {combination.name: combination.numbers for combination in combinations}
    columns: dict[str, Callable[[CombinationResult], str]] = {
        "finished": lambda combination: f"{len(combination.results)} of {len(combination.runs)}"
    }
    if any(combination.count("failed") for combination in combinations):
        columns["failed"] = lambda combination: str(combination.count("failed") or "")
    if any(combination.findings for combination in combinations):
        columns["found"] = lambda combination: ", ".join(f"{name} in {count}" for name, count in combination.findings.items())
    for name in dict.fromkeys(name for spreads in numbers.values() for name in spreads):
        columns[name] = lambda combination, name=name: _cell(  # type: ignore[misc]
            numbers[combination.name].get(name), len(combination.results)
        )
    columns["minutes"] = lambda combination: f"{combination.minutes:.1f}" if combination.results else "-"
    rows = [["combination", *columns], *([each.name, *(cell(each) for cell in columns.values())] for each in combinations)]
    transposed = [list(column) for column in zip(*rows, strict=True)]
    is_too_wide = _width(rows) > width
    return transposed if is_too_wide and (_width(transposed) <= width or len(rows) < 3) else rows


def _cell(spread: Spread | None, finished: int) -> str:
    """A spread, with the number of its values where some of the finished runs have none that is finite."""
    if spread is None:
        return "-"
    return f"{spread} ({spread.count})" if spread.count != finished else str(spread)


def _width(rows: list[list[str]]) -> int:
    return sum(max(len(cell) for cell in column) + 2 for column in zip(*rows, strict=True))
