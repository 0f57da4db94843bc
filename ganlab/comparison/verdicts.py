"""Verdicts: whether a group is better than the first one by more than chance. T-tests with Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ganlab.comparison.groups import RunGroup, metric_names
from ganlab.comparison.spread import CONFIDENCE


@dataclass(frozen=True)
class Verdict:
    """How one group compares with the first.

    Attributes:
        group: its name.
        words: the verdict, to be shown.
        difference: its mean minus that of the first group; None where either was not measured.
        probability: the p-value after Holm's correction, from 0 to 1; None where there are too few seeds.
        paired: whether runs were paired by seed.
    """

    group: str
    words: str
    difference: float | None = None
    probability: float | None = None
    paired: bool = False


def main_metric(groups: Sequence[RunGroup]) -> str | None:
    """The metric by which groups are compared: the first of the metrics' main results that all evaluated runs have.

    Without main results (version 0.1 did not record them) it is the first metric with a direction that all have; None if there is none.
    """
    main_results = [name for group in groups for result in group.results for name in result.main_results]
    names = dict.fromkeys([*main_results, *metric_names(groups)])
    return next((name for name in names if direction(groups, name) != "neither" and _measured_by_all(groups, name)), None)


def _measured_by_all(groups: Sequence[RunGroup], metric: str) -> bool:
    return all(group.measured(metric) and not group.without(metric) for group in groups)


def direction(groups: Sequence[RunGroup], metric: str) -> str:
    """Which values of the metric are better: ``"higher"``, ``"lower"`` or ``"neither"``."""
    return next((result.better[metric] for group in groups for result in group.results if metric in result.better), "neither")


def verdicts(groups: Sequence[RunGroup], metric: str) -> list[Verdict]:
    """Compare each group but the first with the first, by one metric.

    Runs with the same seed start with the same weights and see the same data. Where two groups have the same seeds, the differences by
    seed are therefore tested (paired t-test), else the means (Welch's t-test). Holm's correction (Holm 1979) accounts for the number of
    comparisons. A difference counts where the corrected p-value is below 5 %.
    """
    lower_is_better = direction(groups, metric) == "lower"
    tests = [_test(groups[0], other, metric) for other in groups[1:]]
    corrected = _holm([test[1] for test in tests])
    return [
        _verdict(groups[0], other, metric, difference, probability, paired, lower_is_better)
        for other, (difference, _, paired), probability in zip(groups[1:], tests, corrected, strict=True)
    ]


def _test(base: RunGroup, other: RunGroup, metric: str) -> tuple[float | None, float | None, bool]:
    """The difference of the means, its p-value, and whether runs were paired by seed."""
    first, second = base.measured(metric), other.measured(metric)
    if not first or not second:
        return None, None, False
    difference = math.fsum(second.values()) / len(second) - math.fsum(first.values()) / len(first)
    seeds = sorted(first)
    if seeds == sorted(second) and len(seeds) > 1:
        return difference, _paired_test([second[seed] - first[seed] for seed in seeds]), True
    if len(first) < 2 or len(second) < 2:
        return difference, None, False
    return difference, _unpaired_test([*first.values()], [*second.values()]), False


def _paired_test(differences: Sequence[float]) -> float:
    """The p-value of the paired t-test; where all differences are equal, that of the sign test."""
    from scipy.stats import ttest_1samp

    if max(differences) > min(differences):
        return float(ttest_1samp(differences, 0.0).pvalue)
    return 1.0 if differences[0] == 0 else min(1.0, 2 * 0.5 ** len(differences))


def _unpaired_test(first: Sequence[float], second: Sequence[float]) -> float:
    """The p-value of Welch's t-test; where neither group has a spread, that of a permutation test."""
    from scipy.stats import ttest_ind

    if max(first) > min(first) or max(second) > min(second):
        return float(ttest_ind(first, second, equal_var=False).pvalue)
    return 1.0 if first[0] == second[0] else min(1.0, 2 / math.comb(len(first) + len(second), len(first)))


def _holm(probabilities: Sequence[float | None]) -> list[float | None]:
    """Holm's correction: with n p-values, the smallest is multiplied by n, the next by n - 1, and so on; the results never decrease."""
    ranked = sorted((value, position) for position, value in enumerate(probabilities) if value is not None)
    corrected: list[float | None] = [None] * len(probabilities)
    largest = 0.0
    for rank, (value, position) in enumerate(ranked):
        largest = max(largest, min(1.0, value * (len(ranked) - rank)))
        corrected[position] = largest
    return corrected


def _verdict(
    base: RunGroup, other: RunGroup, metric: str, difference: float | None, probability: float | None, paired: bool, lower_is_better: bool
) -> Verdict:
    counts = len(base.measured(metric)), len(other.measured(metric))
    seeds = f"{counts[0]} seeds" if counts[0] == counts[1] else f"{counts[0]} and {counts[1]} seeds"
    incomplete = next((group for group in (base, other) if group.without(metric)), None)
    if incomplete is not None:
        share = f"{incomplete.without(metric)} of {len(incomplete.results)} runs of {incomplete.name}"
        words = f"no verdict: {share} have no such number, and they may be the worst"
    elif difference is None:
        words = "not measured: run `ganlab evaluate`"
    elif probability is None:
        words = "no verdict: one seed each says nothing about chance" if counts == (1, 1) else "no verdict: too few seeds"
    elif probability < 1 - CONFIDENCE:
        is_better = (difference < 0) == lower_is_better
        words = f"{'better' if is_better else 'worse'} than {base.name} ({seeds}, p = {probability:.2g})"
    else:
        words = f"no difference shown with {seeds} (p = {probability:.2g})"
    extra = [f"collapsed in {other.collapsed} of {len(other.results)}"] if other.collapsed else []
    extra += [f"failed in {other.failed} of {len(other.results)}"] if other.failed else []
    return Verdict(other.name, "; ".join([words, *extra]), difference, probability, paired)
