"""Statistics of one number over seeds: mean, standard deviation, and the confidence interval of the mean."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ganlab.numbers import number

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of the finite ones of some values.

    Attributes:
        mean: NaN if there are no finite values.
        deviation: the sample standard deviation (n - 1); NaN if there are fewer than two finite values.
        count: the number of finite values.
    """

    mean: float
    deviation: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of those ``values`` that are finite."""
        finite = [value for value in values if math.isfinite(value)]
        mean = statistics.fmean(finite) if finite else math.nan
        return cls(mean, statistics.stdev(finite) if len(finite) > 1 else math.nan, len(finite))

    def __str__(self) -> str:
        """The deviation to two significant digits, and the mean to the same decimal place.

        >>> print(Spread(629.84, 218.6, 5), Spread(0.01228, 0.0039, 5), Spread(4.6, 1.52, 5), Spread(9.0, 0.0, 3), sep="; ")
        630 ± 220; 0.0123 ± 0.0039; 4.6 ± 1.5; 9 ± 0
        """
        if not self.count:
            return "-"
        if self.count == 1:
            return f"{self.mean:.4g}"
        decimals = 1 - math.floor(math.log10(self.deviation)) if self.deviation else 0
        if not -4 < decimals < 8 or not self.deviation:
            return f"{self.mean:.4g} ± {self.deviation:.2g}"
        mean, deviation = round(self.mean, decimals), round(self.deviation, decimals)
        return f"{mean:.{max(0, decimals)}f} ± {deviation:.{max(0, decimals)}f}"


def confidence_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The ends of the 95 % confidence interval of the mean (Student's t); None for fewer than two values."""
    if len(values) < 2:
        return None
    from scipy.stats import t

    mean = statistics.fmean(values)
    margin = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return mean - margin, mean + margin


def show_interval(values: Sequence[float]) -> str:
    """The confidence interval in words; a dash for fewer than two values.

    >>> show_interval([1.0, 2.0, 3.0]), show_interval([0.5])
    ('95 % CI -0.484 to 4.48', '-')
    """
    interval = confidence_interval(values)
    return "-" if interval is None else f"{CONFIDENCE * 100:.0f} % CI {number(interval[0])} to {number(interval[1])}"
