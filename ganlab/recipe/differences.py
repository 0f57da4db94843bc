"""Which keys of a recipe matter for what, and how two resolved recipes differ.

Each checkpoint holds the options of the recipe that it was trained with: the recipe's file may be edited or damaged.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ganlab.recipe.choices import Recipe
from ganlab.recipe.tables import EVALUATION_OPTIONS, SCHEDULE_OPTIONS, TRAIN_OPTIONS
from ganlab.recipe.write import flatten
from ganlab.registry.options import plain

#: The tracker: nothing is computed from it, and its address may hold a password.
TRACKER = ("tracking",)
#: Keys that nothing is computed from. Plugin files are compared by their content, not by their paths.
LABELS = (*TRACKER, "name", "description", "plugins")

#: Resume: keys that checkpoints leave out. ``train.init_from`` is read once, before the first step.
NOT_RECORDED = (*LABELS, "train.init_from")

#: Sweep membership: keys in which a run on disk may differ from the current recipe. Its seed is that of its place in the sweep.
NOT_IN_SWEEP = LABELS

#: Tables that say how samples are measured. ``ganlab evaluate`` may change them.
MEASUREMENT = ("evaluation", "metrics", "judge")

#: Comparison: keys that do not make two experiments different. ``defaults`` and ``fallback`` are resolved already; measurement does not
#: change what is trained; the device changes roundings only.
NOT_COMPARED = (*LABELS, *MEASUREMENT, "defaults", "fallback", "train.device")

#: Grouping over seeds: keys in which the runs of one group may differ.
NOT_GROUPED = (*NOT_COMPARED, "train.seed")

#: Resume: the length of a run, which may change without ``--changed``.
BUDGET = ("train.steps", "train.epochs")

#: Resume: keys that must not change, because the counters are computed from them.
FIXED = ("train.batch_size", "train.discriminator_batch_size", "schedule.real_batches")


def recorded_options(recipe: Recipe) -> dict[str, Any]:
    """The options that a checkpoint holds of its recipe, by dotted key as in ``--set``."""
    return {key: value for key, value in flatten(recipe.document).items() if not is_part_of(key, NOT_RECORDED)}


def grouped_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that the runs of one group share. A trick is ``on``, or ``off`` and then without its options.

    >>> document = {"tricks": [{"use": "clamp", "margin": 0.1}, {"use": "packing", "enabled": False, "size": 2}], "train": {"seed": 3}}
    >>> grouped_options(flatten(document))
    {'tricks.clamp': 'on', 'tricks.clamp.margin': 0.1, 'tricks.packing': 'off'}
    """
    grouped: dict[str, Any] = {}
    for key, value in options.items():
        if is_part_of(key, NOT_GROUPED):
            continue
        if not key.startswith("tricks."):
            grouped[key] = value
            continue
        name = key.split(".")[1]
        trick = f"tricks.{name}"
        is_off = options.get(f"{trick}.enabled") == "false"
        grouped.setdefault(trick, "off" if is_off else "on")
        is_implied = key == f"{trick}.enabled" or (key == f"{trick}.use" and value == name)
        if not is_off and not is_implied:
            grouped[key] = value
    return grouped


def is_part_of(key: str, names: Collection[str]) -> bool:
    """Whether a dotted key is one of ``names``, or is in a table that is.

    >>> is_part_of("tracking.uri", ["tracking"]), is_part_of("trackings", ["tracking"])
    (True, False)
    """
    return any(key == name or key.startswith(f"{name}.") for name in names)


def default_options(recipe: Recipe) -> dict[str, Any]:
    """The default of each option that the recipe's tables and components have, by dotted key, as far as it has one."""
    models = {"schedule": SCHEDULE_OPTIONS, "train": TRAIN_OPTIONS, "evaluation": EVALUATION_OPTIONS}
    models |= {choice.table: choice.entry.options for choice in recipe.choices}
    return flatten({table: plain({}, model) for table, model in models.items()})


def describe_changes(
    before: dict[str, Any],
    after: dict[str, Any],
    ignored: Collection[str] = NOT_RECORDED,
    defaults: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Each difference in words, by key: ``train.steps = 200 (was 100)``. Empty if there is none.

    Args:
        before, after: options by dotted key.
        ignored: keys and tables that are left out.
        defaults: of :func:`default_options`. An option that an earlier version did not have counts as its default, in a table that was
            there and, for a component, has the same ``use``.

    >>> list(describe_changes({"train.steps": 100, "train.seed": 1}, {"train.steps": 200, "train.dtype": "float64"}).values())
    ['train.steps = 200 (was 100)', 'no train.seed (was 1)', 'train.dtype = float64 (was not there)']
    """
    changes = {}
    for key in dict.fromkeys([*before, *after]):
        if is_part_of(key, ignored):
            continue
        if key not in after:
            changes[key] = f"no {key} (was {before[key]})"
        elif key not in before:
            if defaults is not None and _counts_as_default(key, before, after, defaults):
                continue
            changes[key] = f"{key} = {after[key]} (was not there)"
        elif (type(before[key]), before[key]) != (type(after[key]), after[key]):
            changes[key] = f"{key} = {after[key]} (was {before[key]})"
    if [key for key in before if key in after] != [key for key in after if key in before]:
        changes["tricks"] = "the order of the tricks"
    return changes


def _counts_as_default(key: str, before: Mapping[str, Any], after: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    """Whether an option that was not there changes nothing: its table was there, with the same component, and it has its default.

    The options of a trick that was off and is off change nothing either.
    """
    table = key.rpartition(".")[0]
    if before.get(f"{table}.use") != after.get(f"{table}.use") or not any(name.startswith(f"{table}.") for name in before):
        return False
    is_off = before.get(f"{table}.enabled") == after.get(f"{table}.enabled") == "false"
    return is_off or (key in defaults and defaults[key] == after[key])
