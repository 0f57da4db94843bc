"""Number formatting and rounding for people."""

from __future__ import annotations

import math
from collections.abc import Mapping


def number(value: float) -> str:
    """A number with three significant digits.

    >>> number(8.0), number(0.98765), number(1234.5), number(0.00001234), number(float("nan"))
    ('8', '0.988', '1,234', '1.23e-05', 'nan')
    """
    if value != value or abs(value) == float("inf"):
        return str(value)
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def in_words(values: Mapping[str, float]) -> str:
    """Named values in one line.

    >>> in_words({"modes": 8.0, "high_quality": 0.98765})
    'modes 8  high quality 0.988'
    """
    return "  ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in values.items())


def round_down(number: int) -> int:
    """Round a positive integer down to 1, 2 or 5 times a power of ten: 590 becomes 500.

    >>> [round_down(n) for n in (1, 3, 9, 49, 590, 1999)]
    [1, 2, 5, 20, 500, 1000]
    """
    power = 10 ** math.floor(math.log10(number))
    return int(max(lead * power for lead in (1, 2, 5) if lead * power <= number))


def round_up(number: int) -> int:
    """Round a positive integer up to 1, 2 or 5 times a power of ten: 590 becomes 1000.

    >>> [round_up(n) for n in (1, 3, 9, 49, 590, 2000)]
    [1, 5, 10, 50, 1000, 2000]
    """
    power = 10 ** math.floor(math.log10(number))
    return int(min(lead * power for lead in (1, 2, 5, 10) if lead * power >= number))
