"""The option ``range`` of data sets of images: the values that the networks see for black and for white."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import AfterValidator, Field

LEVELS = 255  # the highest value of a uint8 pixel


def ordered(range: tuple[float, float]) -> tuple[float, float]:
    """Return ``range`` if its first number is less than its second.

    Raises:
        ValueError: it is not, or a number is not finite. pydantic reports it with the line of the recipe.
    """
    low, high = range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"its first number must be below its second, and both finite, not [{low}, {high}]; [-1.0, 1.0] suits tanh")
    return range


ValueRange = Annotated[
    tuple[float, float],
    Field(description="the values shown for black and for white; a generator's output should match them"),
    AfterValidator(ordered),
]


def scale_and_offset(range: tuple[float, float]) -> tuple[float, float]:
    """The ``scale`` and ``offset`` that map a uint8 pixel x to ``x * scale + offset``, from ``range[0]`` to ``range[1]``."""
    return (range[1] - range[0]) / LEVELS, range[0]
