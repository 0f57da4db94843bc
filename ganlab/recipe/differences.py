"""What differs between two resolved recipes, and which differences matter when a run is resumed or compared.

Each checkpoint holds the options of the recipe that it was trained with: the recipe's file may be edited or damaged.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ganlab.recipe import Recipe, flatten

#: Options that no number of a run depends on. Checkpoints leave them out: the tracker's address may hold a password.
NOT_RECORDED = ("tracking", "name", "description", "plugins", "train.init_from")

#: Options that do not make two experiments different: how a run is named, tracked and evaluated, and on which device it runs.
NOT_COMPARED = (
    "name", "description", "defaults", "plugins", "fallback", "tracking", "evaluation", "metrics", "judge", "train.device",
)  # fmt: skip

#: The length of a run. It may be changed without ``--changed``.
BUDGET = ("train.steps", "train.epochs")

#: Options that the counters are computed from. A resumed run must keep them.
FIXED = ("train.batch_size", "train.discriminator_batch_size", "schedule.real_batches")


def recorded_options(recipe: Recipe) -> dict[str, Any]:
    """The options that a checkpoint holds of its recipe, by dotted key as in ``--set``."""
    return {key: value for key, value in flatten(recipe.document).items() if not is_part_of(key, NOT_RECORDED)}


def is_part_of(key: str, names: Collection[str]) -> bool:
    """Whether a dotted key is one of ``names``, or is in a table that is.

    >>> is_part_of("tracking.uri", ["tracking"]), is_part_of("trackings", ["tracking"])
    (True, False)
    """
    return any(key == name or key.startswith(f"{name}.") for name in names)


def describe_changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    """Each difference in words, by key: ``train.steps = 200 (was 100)``. Empty if there is none.

    >>> list(describe_changes({"train.steps": 100, "train.seed": 1}, {"train.steps": 200, "train.dtype": "float64"}).values())
    ['train.steps = 200 (was 100)', 'no train.seed (was 1)', 'train.dtype = float64 (was not there)']
    """
    changes = {}
    for key in dict.fromkeys([*before, *after]):
        if is_part_of(key, NOT_RECORDED):
            continue
        if key not in after:
            changes[key] = f"no {key} (was {before[key]})"
        elif key not in before:
            changes[key] = f"{key} = {after[key]} (was not there)"
        elif (type(before[key]), before[key]) != (type(after[key]), after[key]):
            changes[key] = f"{key} = {after[key]} (was {before[key]})"
    if [key for key in before if key in after] != [key for key in after if key in before]:
        changes["tricks"] = "the order of the tricks"
    return changes
