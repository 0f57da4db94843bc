"""A comparison as rows of text: the mean of each metric in each group, how many runs collapsed or failed, and the verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from ganlab.comparison.groups import RunGroup, metric_names
from ganlab.comparison.spread import show_interval
from ganlab.comparison.verdicts import direction, verdicts

ARROWS = {"higher": "↑", "lower": "↓", "neither": ""}


def metric_rows(groups: Sequence[RunGroup]) -> list[list[str]]:
    """A row for each metric with a column for each group: the mean and the standard deviation over seeds. Headings come first."""
    rows = [["", *(group.name for group in groups)]]
    for name in metric_names(groups):
        title = f"{name.replace('_', ' ')} {ARROWS[direction(groups, name)]}".strip()
        rows.append([title, *(str(group.spread(name)) for group in groups)])
    rows.append(["minutes", *(str(group.minutes) for group in groups)])
    rows.append(["seeds", *(str(len(group.seeds)) for group in groups)])
    rows.append(["collapsed", *(_of(group.collapsed, group) if any(r.values for r in group.results) else "-" for group in groups)])
    rows.append(["failed", *(_of(group.failed, group) for group in groups)])
    return rows


def verdict_rows(groups: Sequence[RunGroup], metric: str) -> list[list[str]]:
    """A row for each group: its name, the confidence interval of its mean, and how it compares with the first. Headings come first."""
    words = ["", *(verdict.words for verdict in verdicts(groups, metric))]
    rows = [[group.name, show_interval([*group.measured(metric).values()]), text] for group, text in zip(groups, words, strict=True)]
    return [["recipe", "mean over seeds", f"against {groups[0].name}"], *rows]


def _of(count: int, group: RunGroup) -> str:
    return f"{count} of {len(group.results)}"
