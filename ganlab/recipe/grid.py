"""``--seeds`` and ``--grid``: the seeds and the recipes of a sweep. Every recipe is checked before the first run starts."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlab.errors import RecipeError, UsageError
from ganlab.recipe.choices import Recipe
from ganlab.recipe.load import load_recipe
from ganlab.recipe.overrides import show_text, typed
from ganlab.recipe.write import in_toml
from ganlab.registry.lookup import Lookup

SEED = "train.seed"
LIMIT = 10_000  # combinations, or seeds: more are a mistake


@dataclass(frozen=True)
class Axis:
    """One ``--grid`` option: a key of the recipe and its values.

    Attributes:
        key: dotted, as ``--set`` takes it.
        values: as TOML reads them; texts: as they were typed.
    """

    key: str
    values: tuple[Any, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Combination:
    """One combination of grid values, and the recipe with these values.

    Attributes:
        values: by dotted key; empty without a grid.
        recipe: loaded and checked, with the seed of the recipe.
        fallback: the same recipe with its ``[fallback]`` applied; None where it has none.
    """

    values: dict[str, Any]
    recipe: Recipe
    fallback: Recipe | None

    @property
    def name(self) -> str:
        """The values in one line: ``generator.optimizer.lr=0.0001``; without a grid ``as it is``."""
        return combination_name(self.values)


def combination_name(values: dict[str, Any]) -> str:
    """The values of a combination in one line.

    >>> combination_name({"train.batch_size": 64, "loss.use": "bce"}), combination_name({})
    ('train.batch_size=64 loss.use=bce', 'as it is')
    """
    return " ".join(f"{key}={value if isinstance(value, str) else in_toml(value)}" for key, value in values.items()) or "as it is"


def read_axes(texts: Sequence[str]) -> list[Axis]:
    """The axes of the grid, from the texts of all ``--grid`` options.

    Raises:
        RecipeError: some are wrong; all mistakes at once.
    """
    mistakes: list[str] = []
    axes: list[Axis] = []
    for text in texts:
        try:
            axes.append(_read_axis(text, [axis.key for axis in axes]))
        except ValueError as error:
            mistakes.append(f"--grid {show_text(text)}: {error}")
    if mistakes:
        raise RecipeError(mistakes)
    return axes


def _read_axis(text: str, known_keys: list[str]) -> Axis:
    """The axis that one ``--grid`` option describes.

    Raises:
        ValueError: the text is wrong; its message says how.
    """
    key, equals, right = (part.strip() for part in text.partition("="))
    form = "write it as --grid table.key=value,value, for instance --grid generator.optimizer.lr=1e-4,2e-4"
    if not equals or not key:
        raise ValueError(form)
    if key in known_keys:
        raise ValueError(f"{key} is in the grid twice: write all its values after one =")
    texts = split_values(right)
    if key == SEED:
        raise ValueError(f"seeds are not part of the grid: write --seeds {','.join(texts) or 5}")
    if not texts or not all(texts):
        raise ValueError(f"a value is missing between the commas; {form}" if texts else f"there is no value after the =; {form}")
    try:
        values = [typed(value_text) for value_text in texts]
    except (ValueError, RecursionError):
        raise ValueError("a value is not TOML: check its quotes and brackets") from None
    for number, value in enumerate(values):
        if any((type(value), value) == (type(earlier), earlier) for earlier in values[:number]):
            raise ValueError(f"the value {texts[number]} occurs twice")
    return Axis(key, tuple(values), tuple(texts))


def split_values(text: str) -> list[str]:
    """Split ``text`` at its commas, except those in quotes and brackets.

    >>> split_values('1e-4, [64, 64],"a,b"')
    ['1e-4', '[64, 64]', '"a,b"']
    """
    parts: list[str] = []
    pending = ""
    for piece in text.split(",") if text.strip() else []:
        pending += piece
        try:
            typed(pending.strip())
        except (ValueError, RecursionError):  # the comma is in quotes or brackets
            pending += ","
        else:
            parts.append(pending.strip())
            pending = ""
    return [*parts, pending.rstrip(",").strip()] if pending else parts


def read_seeds(text: str, first: int) -> list[int]:
    """The seeds of ``--seeds``: ``"5"`` means five, counted from ``first``; ``"3,7,11"`` and ``"3,"`` list them.

    Raises:
        UsageError: the text is neither, or a seed occurs twice.
    """
    parts = [part.strip() for part in text.split(",")]
    is_list = len(parts) > 1
    if not all(re.fullmatch(r"[0-9]{1,18}", part) for part in (parts[:-1] if is_list and not parts[-1] else parts)):
        raise UsageError(
            f"--seeds {show_text(text)}: expected how many seeds, or a list of seeds",
            "for instance --seeds 5, or --seeds 3,7,11; --seeds 3, is the single seed 3",
        )
    numbers = [int(part) for part in parts if part]
    if is_list:
        repeated = [number for place, number in enumerate(numbers) if number in numbers[:place]]
        if repeated:
            raise UsageError(f"--seeds {show_text(text)}: seed {repeated[0]} occurs twice")
        return numbers
    (count,) = numbers
    if not 1 <= count <= LIMIT:
        raise UsageError(f"--seeds {count}: expected 1 to {LIMIT:,} seeds", f"the single seed {count} is --seeds {count},")
    return list(range(first, first + count))


def load_combinations(source: str | Path, catalogue: Lookup, overrides: Sequence[str], axes: Sequence[Axis]) -> list[Combination]:
    """Load and check the recipe of each combination of grid values. The last axis varies fastest. One combination where there is no axis.

    Args:
        source: the recipe, as :func:`ganlab.recipe.load_recipe` takes it. catalogue: what plugins bring.
        overrides: texts of ``--set``, for all combinations. axes: of the grid.

    Raises:
        RecipeError: some recipes are wrong; all mistakes at once, each with the text that was typed.
        UsageError: there are too many combinations.
    """
    size = math.prod(len(axis.values) for axis in axes)
    if size > LIMIT:
        raise UsageError(f"the grid has {size:,} combinations; a sweep may have at most {LIMIT:,}")
    combinations: list[Combination] = []
    mistakes: dict[str, None] = {}
    hint = ""
    for indices in itertools.product(*(range(len(axis.values)) for axis in axes)):
        texts = [f"{axis.key}={axis.texts[index]}" for axis, index in zip(axes, indices, strict=True)]
        try:
            recipe = load_recipe(source, catalogue, overrides, grid=texts)
            fallback = load_recipe(source, catalogue, overrides, fallback=True, grid=texts) if recipe.has_fallback else None
        except RecipeError as error:
            hint = hint or error.hint
            mistakes |= dict.fromkeys(error.mistakes)
            continue
        values = {axis.key: axis.values[index] for axis, index in zip(axes, indices, strict=True)}
        combinations.append(Combination(values, recipe, fallback))
    if mistakes:
        raise RecipeError(list(mistakes), hint)
    return combinations
