"""The option ``classes`` of data sets, which keeps the images of some classes only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from ganlab.errors import UsageError, did_you_mean

Classes = Annotated[
    tuple[int | str, ...],
    Field(description="keep these classes only, by number or name; empty keeps all. Labels are counted anew from 0."),
]
LISTED = 20  # classes in a message


def pick_classes(wanted: Sequence[int | str], names: Sequence[str]) -> list[int]:
    """The labels of classes that are given by number or name, sorted; all labels if none is given.

    Raises:
        UsageError: there is no such class, or one is named twice.
    """
    picked: list[int] = []
    for item in wanted:
        label = _label(item, names)
        if label in picked:
            raise UsageError(f"class {_called(label, names)} is named twice", "name it once")
        picked.append(label)
    return sorted(picked) or list(range(len(names)))


def _label(item: int | str, names: Sequence[str]) -> int:
    if isinstance(item, str):
        if item in names:
            return list(names).index(item)
        raise UsageError(f"there is no class '{item}'", did_you_mean(item, names) if len(names) <= LISTED else _choices(names))
    if 0 <= item < len(names):
        return item
    raise UsageError(f"there is no class {item}", _choices(names))


def _choices(names: Sequence[str]) -> str:
    listed = ", ".join(_called(label, names) for label in range(min(len(names), LISTED)))
    return f"choices: {listed}" + (f" ... {_called(len(names) - 1, names)}" if len(names) > LISTED else "")


def _called(label: int, names: Sequence[str]) -> str:
    return str(label) if names[label] == str(label) else f"{label} ({names[label]})"


def classes_of(names: Sequence[str]) -> AfterValidator:
    """A check of the option when the recipe is loaded, for data sets with known classes."""

    def check(wanted: Classes) -> Classes:
        try:
            pick_classes(wanted, names)
        except UsageError as error:
            raise ValueError(f"{error.message}; {error.hint}") from error
        return wanted

    return AfterValidator(check)


def keep_classes(labels: Tensor, names: Sequence[str], wanted: Sequence[int | str]) -> tuple[Tensor | None, Tensor, tuple[str, ...]]:
    """Select the samples of some classes.

    Args:
        labels: int64 ``(count,)``.
        names: of all classes, one for each label.
        wanted: numbers or names of classes; empty for all.

    Returns:
        Positions of the samples, int64 ``(kept,)``, or None for all; their new labels, which keep the order of the old ones and are
        counted from 0; the names of the selected classes.

    Raises:
        UsageError: there is no such class, one is named twice, or one has no samples.
    """
    if not wanted:
        return None, labels, tuple(names)
    picked = pick_classes(wanted, names)
    counts = torch.bincount(labels, minlength=len(names))
    empty = [label for label in picked if not counts[label]]
    if empty:
        present = [label for label in range(len(names)) if counts[label]]
        raise UsageError(
            f"class {_called(empty[0], names)} has no images",
            f"classes with images: {', '.join(_called(label, names) for label in present[:LISTED]) or 'none'}",
        )
    renumbered = torch.full((len(names),), -1, dtype=torch.int64)
    renumbered[picked] = torch.arange(len(picked))
    positions = (renumbered[labels] >= 0).nonzero().squeeze(1)
    return positions, renumbered[labels[positions]], tuple(names[label] for label in picked)
