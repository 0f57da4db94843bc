"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Mapping


def number(value: float) -> str:
    """Three digits that matter, and no more than a person reads.

    >>> number(8.0), number(0.98765), number(1234.5), number(0.00001234), number(float("nan"))
    ('8', '0.988', '1,234', '1.23e-05', 'nan')
    """
    if value != value or abs(value) == float("inf"):
        return str(value)
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def in_words(values: Mapping[str, float]) -> str:
    """Named values in a line.

    >>> in_words({"modes": 8.0, "high_quality": 0.98765})
    'modes 8  high quality 0.988'
    """
    return "  ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in values.items())
