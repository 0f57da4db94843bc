"""Is a difference more than luck? Means, confidence intervals, and a test that knows how many comparisons are made."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ganlab.comparison.groups import Group

CONFIDENCE = 0.95
#: What a comparison goes by unless it is told: the first that all groups have.
PREFERRED = ("frechet_ratio", "frechet_distance", "reverse_kl", "high_quality", "kernel_distance", "class_kl", "coverage")


def margin(values: Sequence[float]) -> float:
    """Half the width of the 95 % confidence interval of the values' mean (Student's t); NaN of fewer than two.

    >>> round(margin([1.0, 2.0, 3.0]), 6)
    2.484138
    """
    if len(values) < 2:
        return math.nan
    from scipy.stats import t

    return float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))


@dataclass(frozen=True)
class Verdict:
    """One group against the first.

    Attributes:
        group: its name.
        words: the verdict for people.
        difference: of the means; None where there is none.
        probability: of a difference this large by luck alone, after Holm's correction; None where it cannot be said.
        paired: whether runs of the same seed were held against each other.
    """

    group: str
    words: str
    difference: float | None = None
    probability: float | None = None
    paired: bool = False


def main_metric(groups: Sequence[Group]) -> str | None:
    """The metric that a comparison goes by: the first of the preferred ones that all measured runs have, else the first that all have."""
    names = dict.fromkeys(name for group in groups for result in group.results for name in result.values)
    common = [
        name
        for name in names
        if direction(groups, name) != "neither" and all(group.measured(name) and not group.without(name) for group in groups)
    ]
    return next((name for name in PREFERRED if name in common), common[0] if common else None)


def direction(groups: Sequence[Group], metric: str) -> str:
    """Which way the metric is better."""
    return next((result.better[metric] for group in groups for result in group.results if metric in result.better), "neither")


def verdicts(groups: Sequence[Group], metric: str) -> list[Verdict]:
    """Each group but the first against the first, by one metric.

    Runs of equal seeds begin with the same weights and data, so where both groups have the same seeds their differences are tested
    (a paired t-test); else the means are (Welch's t-test). The probabilities are corrected for the number of comparisons (Holm 1979),
    and a difference counts where what is left is below 5 %.
    """
    lower = direction(groups, metric) == "lower"
    tests = [_test(groups[0], other, metric) for other in groups[1:]]
    corrected = _holm([test[1] for test in tests])
    return [
        _verdict(groups[0], other, metric, difference, probability, paired, lower)
        for other, (difference, _, paired), probability in zip(groups[1:], tests, corrected, strict=True)
    ]


def _test(base: Group, other: Group, metric: str) -> tuple[float | None, float | None, bool]:
    """The difference of the means, the probability of one this large by luck, and whether runs were paired by seed."""
    first, second = base.measured(metric), other.measured(metric)
    if not first or not second:
        return None, None, False
    difference = math.fsum(second.values()) / len(second) - math.fsum(first.values()) / len(first)
    seeds = sorted(first)
    if seeds == sorted(second) and len(seeds) > 1:
        pairs = [second[seed] - first[seed] for seed in seeds]
        return difference, _of_pairs(pairs), True
    if len(first) < 2 or len(second) < 2:
        return difference, None, False
    return difference, _of_groups([*first.values()], [*second.values()]), False


def _of_pairs(differences: Sequence[float]) -> float:
    """Of differences this large by luck (paired t-test). Where all are the same, that they all have one sign (the sign test)."""
    from scipy.stats import ttest_1samp

    if max(differences) > min(differences):
        return float(ttest_1samp(differences, 0.0).pvalue)
    return 1.0 if differences[0] == 0 else min(1.0, 2 * 0.5 ** len(differences))


def _of_groups(first: Sequence[float], second: Sequence[float]) -> float:
    """Of means this far apart by luck (Welch's t-test). Where neither group has a spread, that luck sorts the values like this."""
    from scipy.stats import ttest_ind

    if max(first) > min(first) or max(second) > min(second):
        return float(ttest_ind(first, second, equal_var=False).pvalue)
    return 1.0 if first[0] == second[0] else min(1.0, 2 / math.comb(len(first) + len(second), len(first)))


def _holm(probabilities: Sequence[float | None]) -> list[float | None]:
    """Corrected for how many there are: the smallest is multiplied by their number, the next by one less, and so on; never falling."""
    known = sorted((value, place) for place, value in enumerate(probabilities) if value is not None)
    found: list[float | None] = [None] * len(probabilities)
    least = 0.0
    for rank, (value, place) in enumerate(known):
        least = max(least, min(1.0, value * (len(known) - rank)))
        found[place] = least
    return found


def _verdict(
    base: Group, other: Group, metric: str, difference: float | None, probability: float | None, paired: bool, lower: bool
) -> Verdict:
    counts = len(base.measured(metric)), len(other.measured(metric))
    seeds = f"{counts[0]} seeds" if counts[0] == counts[1] else f"{counts[0]} and {counts[1]} seeds"
    lacking = next((group for group in (base, other) if group.without(metric)), None)
    if lacking is not None:
        of = f"{lacking.without(metric)} of {len(lacking.results)} runs of {lacking.name}"
        words = f"no verdict: {of} have no such number, and they may be the worst"
    elif difference is None:
        words = "not measured: `ganlab evaluate` does that"
    elif probability is None:
        words = "no verdict: one seed each tells nothing about luck" if counts == (1, 1) else "no verdict: too few seeds"
    elif probability < 1 - CONFIDENCE:
        better = (difference < 0) == lower
        words = f"{'better' if better else 'worse'} than {base.name} ({seeds}, p = {probability:.2g})"
    else:
        words = f"no difference shown with {seeds} (p = {probability:.2g})"
    extra = [f"collapsed in {other.collapsed} of {len(other.results)}"] if other.collapsed else []
    extra += [f"failed in {other.failed} of {len(other.results)}"] if other.failed else []
    return Verdict(other.name, "; ".join([words, *extra]), difference, probability, paired)
