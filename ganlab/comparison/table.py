"""A comparison as rows of text: the mean of each metric in each group, and how many runs collapsed or failed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from ganlab.comparison.groups import RunGroup
from ganlab.comparison.verdicts import direction, margin
from ganlab.numbers import number

ARROWS = {"higher": "↑", "lower": "↓", "neither": ""}


def metric_rows(groups: Sequence[RunGroup]) -> list[list[str]]:
    """A row for each metric with a column for each group: the mean and the 95 % confidence interval over seeds. Headings come first."""
    names = list(dict.fromkeys(name for group in groups for result in group.results for name in result.values))
    rows = [["", *(group.name for group in groups)]]
    for name in names:
        cells = [cell(list(group.measured(name).values())) for group in groups]
        rows.append([f"{name.replace('_', ' ')} {ARROWS[direction(groups, name)]}".strip(), *cells])
    rows.append(["minutes", *(cell([result.minutes for result in group.results if result.finished], "{:.1f}".format) for group in groups)])
    rows.append(["seeds", *(str(len(group.seeds)) for group in groups)])
    rows.append(["collapsed", *(_of(group.collapsed, group) if any(r.values for r in group.results) else "-" for group in groups)])
    rows.append(["failed", *(_of(group.failed, group) for group in groups)])
    return rows


def cell(values: Sequence[float], show: Callable[[float], str] = number) -> str:
    """The mean and its 95 % confidence interval: ``12.3 ± 0.4``; a single value alone; a dash without values.

    >>> cell([1.0, 2.0, 3.0]), cell([0.5]), cell([])
    ('2 ± 2.48', '0.5', '-')
    """
    if not values:
        return "-"
    mean = show(statistics.fmean(values))
    return mean if len(values) == 1 else f"{mean} ± {show(margin(values))}"


def _of(count: int, group: RunGroup) -> str:
    return f"{count} of {len(group.results)}"
