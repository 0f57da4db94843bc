"""Groups of runs that were trained with the same recipe and several seeds, and the options in which groups differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ganlab.comparison.spread import Spread
from ganlab.records.results import RunResult

#: Shown where a recipe does not have an option.
NOT_THERE = "-"


@dataclass(frozen=True)
class RunGroup:
    """The runs of one recipe.

    Attributes:
        name: to be shown: the recipe's name; where several groups have the same, with the options in which they differ.
        results: the results of its runs, by seed.
    """

    name: str
    results: list[RunResult]

    @property
    def options(self) -> dict[str, Any]:
        """The options of the recipe, by dotted key."""
        return self.results[0].options

    @property
    def changes(self) -> dict[int, str]:
        """The changes of the recipe when its runs were resumed, in words, by the step after which they apply."""
        return self.results[0].changes

    @property
    def recipe(self) -> str:
        """The recipe's name."""
        return self.results[0].recipe

    @property
    def collapsed(self) -> int:
        """How many of its runs have collapsed."""
        return sum(bool(result.collapsed) for result in self.results)

    @property
    def failed(self) -> int:
        """How many of its runs ended with an error."""
        return sum(result.status == "failed" for result in self.results)

    @property
    def minutes(self) -> Spread:
        """Mean and standard deviation of the training time over seeds. Among several runs with one seed, the last finished one counts."""
        finished = sorted((result for result in self.results if result.finished), key=lambda result: result.id)
        return Spread.of({result.seed: result.minutes for result in finished}.values())

    def spread(self, metric: str) -> Spread:
        """Mean and standard deviation of a metric over seeds."""
        return Spread.of(self.measured(metric).values())

    def measured(self, metric: str) -> dict[int, float]:
        """The values of a metric, or of a loss where runs were not evaluated, by seed.

        Among several runs with one seed, the last finished one counts, or else the last.
        """
        results = sorted((result for result in self.results if metric in result.numbers), key=lambda result: result.finished)
        values = {result.seed: result.numbers[metric] for result in results}
        return {seed: values[seed] for seed in sorted(values)}

    @property
    def seeds(self) -> list[int]:
        """The seeds of its runs, each once."""
        return sorted({result.seed for result in self.results})

    def without(self, metric: str) -> int:
        """How many of its runs have been evaluated, but have no finite value of this metric."""
        return sum(bool(result.values) and metric not in result.values for result in self.results)


def grouped(results: Sequence[RunResult]) -> list[RunGroup]:
    """The runs grouped by recipe, in the order in which the recipes first appear."""
    by_recipe: dict[tuple[Any, ...], list[RunResult]] = {}
    for result in results:
        key = (result.recipe, *sorted(map(repr, result.options.items())), *result.changes.items())
        by_recipe.setdefault(key, []).append(result)
    groups = [RunGroup(members[0].recipe, sorted(members, key=lambda result: result.seed)) for members in by_recipe.values()]
    changing = differences(groups)
    names = [_name(group, groups, changing) for group in groups]
    # Names leave out the words of changes on resume, so two groups may have the same name: later ones get a number.
    earlier = [names[:position].count(name) for position, name in enumerate(names)]
    return [
        RunGroup(f"{name} ({count + 1})" if count else name, group.results)
        for name, count, group in zip(names, earlier, groups, strict=True)
    ]


def metric_names(groups: Sequence[RunGroup]) -> list[str]:
    """The metrics of the evaluations of these runs, in the order of first appearance."""
    return list(dict.fromkeys(name for group in groups for result in group.results for name in result.values))


def differences(groups: Sequence[RunGroup]) -> dict[str, list[Any]]:
    """The options that differ between groups, each with its value in every group; :data:`NOT_THERE` where a group does not have it."""
    keys = dict.fromkeys(key for group in groups for key in group.options)
    values = {key: [group.options.get(key, NOT_THERE) for group in groups] for key in keys}
    return {key: row for key, row in values.items() if len({repr(value) for value in row}) > 1}


def _name(group: RunGroup, groups: Sequence[RunGroup], changing: dict[str, list[Any]]) -> str:
    """The recipe's name. Where other groups have it too, it is followed by the options in which the group differs from them."""
    namesakes = [other for other in groups if other.recipe == group.recipe]
    if len(namesakes) == 1:
        return group.recipe
    keys = [key for key in changing if len({repr(other.options.get(key, NOT_THERE)) for other in namesakes}) > 1]
    # An option is left out where its component is another one, or its trick is on in one group and off in another.
    keys = [key for key in keys if key.endswith(".use") or f"{key.rpartition('.')[0]}.use" not in keys]
    keys = [key for key in keys if key.rpartition(".")[0] not in keys]
    tricks = [key for key in keys if key.count(".") == 1 and key.startswith("tricks.")]
    options = [f"{short(key)}={group.options.get(key, NOT_THERE)}" for key in keys if key not in tricks]
    changes = [f"changed at step {step}" for step in group.changes if any(other.changes != group.changes for other in namesakes)]
    return " ".join([group.recipe, *options, *_trick_differences(group, namesakes[0], tricks), *changes])


def _trick_differences(group: RunGroup, first: RunGroup, tricks: Sequence[str]) -> list[str]:
    """Which tricks are on in a group and off in the first one, and which are off that are on there."""
    own, of_first = ([key for key in tricks if each.options.get(key) == "on"] for each in (group, first))
    added = [short(key) for key in own if key not in of_first]
    removed = [short(key) for key in of_first if key not in own]
    return [f"{word} {', '.join(names)}" for word, names in (("with", added), ("without", removed)) if names]


def short(key: str) -> str:
    """A dotted key without its leading ``tricks.``, for names of groups.

    >>> short("tricks.clamp.enabled"), short("generator.optimizer.lr")
    ('clamp.enabled', 'generator.optimizer.lr')
    """
    return key.removeprefix("tricks.")
