"""Whether a run goes on with the recipe that it was trained with: each checkpoint holds it, for its file may be edited or damaged."""

from __future__ import annotations

from typing import Any

from ganlab.recipe import Recipe, flatten

#: What no number of a run depends on. Where a tracker is may hold a password, which is nothing for a checkpoint.
APART = ("tracking", "name", "description", "plugins")


def kept(recipe: Recipe) -> dict[str, Any]:
    """What a checkpoint keeps of a recipe: its options by name, as ``--set`` takes them."""
    return {key: value for key, value in flatten(recipe.document).items() if key.partition(".")[0] not in APART}


def changes(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What is different, in words: ``train.steps = 200 (was 100)``. Empty when nothing is.

    >>> changes({"train.steps": 100, "train.seed": 1}, {"train.steps": 200, "train.dtype": "float64"})
    ['train.steps = 200 (was 100)', 'no train.seed (was 1)', 'train.dtype = float64 (was not there)']
    """
    found = []
    for key in dict.fromkeys([*then, *now]):
        if key not in now:
            found.append(f"no {key} (was {then[key]})")
        elif key not in then:
            found.append(f"{key} = {now[key]} (was not there)")
        elif (type(then[key]), then[key]) != (type(now[key]), now[key]):
            found.append(f"{key} = {now[key]} (was {then[key]})")
    return found or (["the order of the tricks"] if list(then) != list(now) else [])
