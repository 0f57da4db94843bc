"""``--seeds`` and ``--grid``: which recipes a set of runs is made of, and each of them checked before anything begins."""

from __future__ import annotations

import itertools
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
MOST = 10_000  # runs in a set: a product that is larger was meant otherwise
_PAIRS = {"[": "]", "{": "}"}


@dataclass(frozen=True)
class Axis:
    """A key of the recipe, and the values that it takes in turn.

    Attributes:
        key: dotted, as ``--set`` takes it.
        values: as TOML has them; texts: as they were typed.
    """

    key: str
    values: tuple[Any, ...]
    texts: tuple[str, ...]

    def overrides(self) -> list[str]:
        """Each value as ``--set`` takes it."""
        return [f"{self.key}={text}" for text in self.texts]


@dataclass(frozen=True)
class Combination:
    """One of the recipes of a set, before its seed is chosen.

    Attributes:
        values: by dotted key, what it has of the grid; empty where there is none.
        overrides: the same as ``--set`` takes it, in the order of the grid.
        recipe: it, loaded and checked, with the first of the seeds.
        fallback: the same with its ``[fallback]`` laid over it; None where it has none.
    """

    values: dict[str, Any]
    overrides: tuple[str, ...]
    recipe: Recipe
    fallback: Recipe | None

    @property
    def name(self) -> str:
        """Its values in a line: ``generator.optimizer.lr=0.0001``; ``as it is`` for the recipe itself."""
        return named(self.values)


def named(values: dict[str, Any]) -> str:
    """The values of a combination in a line.

    >>> named({"train.batch_size": 64, "loss.use": "bce"}), named({})
    ('train.batch_size=64 loss.use=bce', 'as it is')
    """
    return " ".join(f"{key}={value if isinstance(value, str) else in_toml(value)}" for key, value in values.items()) or "as it is"


def read_axes(texts: Sequence[str]) -> list[Axis]:
    """All ``--grid`` texts.

    Raises:
        RecipeError: some are wrong; all their mistakes at once.
    """
    mistakes: list[str] = []
    axes: list[Axis] = []
    for text in texts:
        try:
            axes.append(_axis(text, [axis.key for axis in axes]))
        except ValueError as error:
            mistakes.append(f"--grid {show_text(text)}: {error}")
    if mistakes:
        raise RecipeError(mistakes)
    return axes


def _axis(text: str, known: list[str]) -> Axis:
    """One ``--grid`` text.

    Raises:
        ValueError: what is wrong with it.
    """
    key, equals, right = (part.strip() for part in text.partition("="))
    form = "write it as --grid table.key=value,value, for instance --grid generator.optimizer.lr=1e-4,2e-4"
    if not equals or not key:
        raise ValueError(form)
    if key in known:
        raise ValueError(f"{key} is in the grid twice: write all its values behind one =")
    if key == SEED:
        raise ValueError(f"seeds are no part of the grid: write --seeds {','.join(pieces(right)) or 5}")
    found = pieces(right)
    if not found or not all(found):
        raise ValueError(f"a value is missing between the commas; {form}" if found else f"there is no value after the =; {form}")
    try:
        values = [typed(piece) for piece in found]
    except (ValueError, RecursionError):
        raise ValueError("a value is not TOML: see to its quotes and brackets") from None
    for number, value in enumerate(values):
        if any((type(value), value) == (type(other), other) for other in values[:number]):
            raise ValueError(f"the value {found[number]} stands in it twice")
    return Axis(key, tuple(values), tuple(found))


def pieces(text: str) -> list[str]:
    """``text`` cut at its commas, but for those in quotes and brackets.

    >>> pieces('1e-4, [64, 64],"a,b"')
    ['1e-4', '[64, 64]', '"a,b"']
    """
    found, begin, waiting, quote, skip = [], 0, [], "", False
    for place, letter in enumerate(text):
        if skip:
            skip = False
        elif quote:
            skip = letter == "\\" and quote == '"'
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in _PAIRS:
            waiting.append(_PAIRS[letter])
        elif waiting and letter == waiting[-1]:
            waiting.pop()
        elif letter == "," and not waiting:
            found.append(text[begin:place].strip())
            begin = place + 1
    return [*found, text[begin:].strip()] if text.strip() else []


def read_seeds(text: str, first: int) -> list[int]:
    """``"5"``: five seeds that follow each other from ``first`` on; ``"3,7,11"``, or ``"3,"``: these.

    Raises:
        UsageError: it is neither.
    """
    wrong = UsageError(
        f"--seeds {show_text(text)}: it takes how many seeds, or the seeds themselves",
        "for instance --seeds 5, or --seeds 3,7,11; --seeds 3, is the one seed 3",
    )
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"[0-9]{1,18}", part) for part in (parts[:-1] if len(parts) > 1 and not parts[-1] else parts)):
        raise wrong
    numbers = [int(part) for part in parts if part]
    if len(parts) > 1:
        twice = [number for place, number in enumerate(numbers) if number in numbers[:place]]
        if twice:
            raise UsageError(f"--seeds {show_text(text)}: seed {twice[0]} stands in it twice")
        return numbers
    if not 1 <= numbers[0] <= MOST:
        raise UsageError(
            f"--seeds {numbers[0]}: how many seeds is from 1 to {MOST:,}", f"the one seed {numbers[0]} is --seeds {numbers[0]},"
        )
    return list(range(first, first + numbers[0]))


def combinations(source: str | Path, catalogue: Lookup, overrides: Sequence[str], axes: Sequence[Axis]) -> list[Combination]:
    """The product of the grid's axes, the last of them fastest, each loaded and checked. One combination where there is no axis.

    Raises:
        RecipeError: some are wrong; all mistakes at once, each in the words that were typed.
        UsageError: there are too many.
    """
    size = 1
    for axis in axes:
        size *= len(axis.values)
    if size > MOST:
        raise UsageError(f"the grid has {size:,} combinations; at most {MOST:,} make a set")
    found: list[Combination] = []
    mistakes: dict[str, None] = {}
    hint = ""
    for picks in itertools.product(*(range(len(axis.values)) for axis in axes)):
        chosen = tuple(axis.overrides()[pick] for axis, pick in zip(axes, picks, strict=True))
        try:
            recipe = load_recipe(source, catalogue, [*overrides, *chosen])
            fallback = load_recipe(source, catalogue, [*overrides, *chosen], fallback=True) if recipe.has_fallback else None
        except RecipeError as error:
            hint = hint or error.hint
            mistakes |= dict.fromkeys(_as_typed(text, chosen) for text in error.mistakes)
            continue
        values = {axis.key: axis.values[pick] for axis, pick in zip(axes, picks, strict=True)}
        found.append(Combination(values, chosen, recipe, fallback))
    if mistakes:
        raise RecipeError(list(mistakes), hint)
    return found


def _as_typed(mistake: str, chosen: Sequence[str]) -> str:
    """A mistake in a value of the grid, which was not typed behind ``--set``."""
    for text in chosen:
        mistake = mistake.replace(f"--set {show_text(text)}", f"--grid {show_text(text)}")
    return mistake
