"""Curves that grow with a run, and a small picture of them. In bounded memory and time, however long the run is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

POINTS = 150  # at least so many are drawn, once there are more, and at most twice as many
WIDTH, HEIGHT = 430, 170  # of the picture
LEFT, BOTTOM, MARGIN = 46, 20, 6  # for the numbers, and around
OUTLIERS = 0.02  # this share of the values, at each end, does not set the scale
GREY = "#808080"  # readable on white and on black
COLOURS = ("#1f83c4", "#d55e00")  # on both, too, and told apart by colour-blind people

Point = tuple[float, ...]  # a step, and the value of each curve; NaN where there is none


class Curves:
    """The values of some metrics over the steps: as they are, and means of neighbours once there are too many to draw.

    Args:
        names: of the metrics.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.points: list[Point] = []
        self._each = 1  # how many logged values make one point
        self._waiting: list[Point] = []

    def add(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take the metrics of one more step, if they have any of the names."""
        if not any(name in metrics for name in self.names):
            return
        self._waiting.append((step, *(metrics.get(name, math.nan) for name in self.names)))
        if len(self._waiting) < self._each:
            return
        self.points.append(mean(self._waiting))
        self._waiting = []
        if len(self.points) == 2 * POINTS:
            self.points = [mean(self.points[i : i + 2]) for i in range(0, len(self.points), 2)]
            self._each *= 2

    def drawn(self) -> list[Point]:
        """All points, with the one that is not complete yet."""
        return self.points + ([mean(self._waiting)] if self._waiting else [])


def mean(points: Sequence[Point]) -> Point:
    """Of each column; of the values that are finite, if any is."""
    columns = ([value for value in column if math.isfinite(value)] for column in zip(*points, strict=True))
    return tuple(sum(column) / len(column) if column else math.nan for column in columns)


def svg(curves: Curves) -> str:
    """The curves as a picture of their own, an SVG document; empty while there are no two points."""
    points = curves.drawn()
    values = sorted(value for point in points for value in point[1:] if math.isfinite(value))
    if len(points) < 2 or not values:
        return ""
    skipped = int(OUTLIERS * len(values))
    low, high = values[skipped], values[-1 - skipped]
    size = max(1.0, abs(low), abs(high))
    if high - low < 1e-9 * size:  # all but equal
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
    """Two to five round numbers from ``low`` to ``high``.

    >>> ticks(0.13, 1.9)
    [0.5, 1.0, 1.5]
    >>> ticks(-3, 8)
    [-2.0, 0.0, 2.0, 4.0, 6.0, 8.0]
    """
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    space = power * min((1, 2, 5, 10), key=lambda lead: abs(math.log(lead * power / rough)))
    return [round(number * space, 12) for number in range(math.ceil(low / space), math.floor(high / space) + 1)]
