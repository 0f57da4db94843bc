"""Whether a run goes on with the recipe that it was trained with: each checkpoint holds it, for its file may be edited or damaged."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ganlab.recipe import Recipe, flatten

#: What no number of a run depends on. Where a tracker is may hold a password, which is nothing for a checkpoint.
APART = ("tracking", "name", "description", "plugins", "train.init_from")

#: What makes no other recipe of one when runs are compared: who a run is, where it is told of, where it runs, how it is measured.
NO_OTHER = ("name", "description", "defaults", "plugins", "fallback", "tracking", "evaluation", "metrics", "judge", "train.device")

#: The length of a run; it may change without being asked for.
BUDGET = ("train.steps", "train.epochs")

#: What counters are reckoned by: a run cannot go on with another one.
FIXED = ("train.batch_size", "train.discriminator_batch_size", "schedule.real_batches")


def kept(recipe: Recipe) -> dict[str, Any]:
    """What a checkpoint keeps of a recipe: its options by name, as ``--set`` takes them."""
    return {key: value for key, value in flatten(recipe.document).items() if not is_part_of(key, APART)}


def is_part_of(key: str, names: Collection[str]) -> bool:
    """Whether a dotted key is one of ``names``, or lies in a table that is.

    >>> is_part_of("tracking.uri", ["tracking"]), is_part_of("trackings", ["tracking"])
    (True, False)
    """
    return any(key == name or key.startswith(f"{name}.") for name in names)


def changes(then: dict[str, Any], now: dict[str, Any]) -> dict[str, str]:
    """What is different, in words by key: ``train.steps = 200 (was 100)``. Empty when nothing is.

    >>> list(changes({"train.steps": 100, "train.seed": 1}, {"train.steps": 200, "train.dtype": "float64"}).values())
    ['train.steps = 200 (was 100)', 'no train.seed (was 1)', 'train.dtype = float64 (was not there)']
    """
    found = {}
    for key in dict.fromkeys([*then, *now]):
        if is_part_of(key, APART):
            continue
        if key not in now:
            found[key] = f"no {key} (was {then[key]})"
        elif key not in then:
            found[key] = f"{key} = {now[key]} (was not there)"
        elif (type(then[key]), then[key]) != (type(now[key]), now[key]):
            found[key] = f"{key} = {now[key]} (was {then[key]})"
    if [key for key in then if key in now] != [key for key in now if key in then]:
        found["tricks"] = "the order of the tricks"
    return found
