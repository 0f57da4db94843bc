"""Curves of a run's metrics that take a bounded number of points, however long the run is, and a small SVG picture of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

POINTS = 150  # a long curve is reduced to this number of points when it has twice as many
WIDTH, HEIGHT = 430, 170  # of the picture, in pixels
LEFT, BOTTOM, MARGIN = 46, 20, 6  # space for the numbers, and around the curves, in pixels
OUTLIERS = 0.02  # share of the smallest and of the largest values that the scale ignores
GREY = "#808080"  # readable on white and on black
COLOURS = ("#1f83c4", "#d55e00")  # readable on both, and distinct for colour-blind people

Point = tuple[float, ...]  # a step, and the value of each curve; NaN where it has none


class Curves:
    """The values of some metrics over the steps. Once there are too many, neighbouring values are averaged.

    Args:
        names: of the metrics, one for each curve.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.points: list[Point] = []
        self._values_per_point = 1
        self._incomplete: list[Point] = []

    def add(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add the metrics of a step. Nothing is added where they have none of the names."""
        if not any(name in metrics for name in self.names):
            return
        self._incomplete.append((step, *(metrics.get(name, math.nan) for name in self.names)))
        if len(self._incomplete) < self._values_per_point:
            return
        self.points.append(mean(self._incomplete))
        self._incomplete = []
        if len(self.points) == 2 * POINTS:
            self.points = [mean(self.points[i : i + 2]) for i in range(0, len(self.points), 2)]
            self._values_per_point *= 2

    def drawn(self) -> list[Point]:
        """All points. The last one may be the mean of fewer values than the others."""
        return self.points + ([mean(self._incomplete)] if self._incomplete else [])


def mean(points: Sequence[Point]) -> Point:
    """The mean of the finite values of each column; NaN where a column has none."""
    columns = ([value for value in column if math.isfinite(value)] for column in zip(*points, strict=True))
    return tuple(sum(column) / len(column) if column else math.nan for column in columns)


def svg(curves: Curves) -> str:
    """The curves as an SVG document; empty while there are fewer than two points, or no finite value."""
    points = curves.drawn()
    values = sorted(value for point in points for value in point[1:] if math.isfinite(value))
    if len(points) < 2 or not values:
        return ""
    skipped = int(OUTLIERS * len(values))
    low, high = values[skipped], values[-1 - skipped]
    size = max(1.0, abs(low), abs(high))
    if high - low < 1e-9 * size:  # almost equal
        low, high = low - size / 2, high + size / 2
    first, last = points[0][0], points[-1][0]
    right, bottom = WIDTH - MARGIN, HEIGHT - BOTTOM

    def x(step: float) -> float:
        return LEFT + (step - first) / max(last - first, 1) * (right - LEFT)

    def y(value: float) -> float:
        return bottom - (min(max(value, low), high) - low) / (high - low) * (bottom - MARGIN)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="11">']
    for tick in ticks(low, high):
        parts.append(f'<path d="M{LEFT} {y(tick):.1f}H{right}" stroke="{GREY}" stroke-opacity=".35"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end" fill="{GREY}">{tick:.4g}</text>')
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 5}" fill="{GREY}">step {first:,.0f}</text>')
    parts.append(f'<text x="{right}" y="{HEIGHT - 5}" text-anchor="end" fill="{GREY}">{last:,.0f}</text>')
    for number, colour in enumerate(COLOURS[: len(curves.names)], start=1):
        line = " ".join(f"{x(point[0]):.1f},{y(point[number]):.1f}" for point in points if math.isfinite(point[number]))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-linejoin="round"/>')
    return "".join([*parts, "</svg>"])


def ticks(low: float, high: float) -> list[float]:
    """Round numbers from ``low`` to ``high``, as labels of an axis: two to six of them.

    >>> ticks(0.13, 1.9)
    [0.5, 1.0, 1.5]
    >>> ticks(-3, 8)
    [-2.0, 0.0, 2.0, 4.0, 6.0, 8.0]
    """
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    space = power * min((1, 2, 5, 10), key=lambda lead: abs(math.log(lead * power / rough)))
    return [round(number * space, 12) for number in range(math.ceil(low / space), math.floor(high / space) + 1)]
