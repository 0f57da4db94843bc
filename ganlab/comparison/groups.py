"""Runs of one recipe belong together, whatever their seeds; and what differs between such groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ganlab.comparison.results import CHANGED, Result

#: What stands for an option that a recipe does not have.
NOT_THERE = "-"


@dataclass(frozen=True)
class Group:
    """The runs of one recipe.

    Attributes:
        name: for people: the recipe's name, with what differs where two groups have the same.
        results: by seed.
    """

    name: str
    results: list[Result]

    @property
    def options(self) -> dict[str, Any]:
        """What the recipe says."""
        return self.results[0].options

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

    def measured(self, metric: str) -> dict[int, float]:
        """A metric's values by seed. Of several runs of one seed the last that is finished counts, else the last."""
        found = sorted((result for result in self.results if metric in result.values), key=lambda result: result.finished)
        values = {result.seed: result.values[metric] for result in found}
        return {seed: values[seed] for seed in sorted(values)}

    @property
    def seeds(self) -> list[int]:
        """The seeds of its runs, each once."""
        return sorted({result.seed for result in self.results})

    def without(self, metric: str) -> int:
        """How many of its runs have been measured, and have no such number."""
        return sum(bool(result.values) and metric not in result.values for result in self.results)


def grouped(results: Sequence[Result]) -> list[Group]:
    """The runs by recipe, in the order in which each recipe comes first."""
    found: dict[tuple[Any, ...], list[Result]] = {}
    for result in results:
        found.setdefault((result.recipe, *sorted(map(repr, result.options.items()))), []).append(result)
    groups = [Group(members[0].recipe, sorted(members, key=lambda result: result.seed)) for members in found.values()]
    changing = differences(groups)
    names = [_name(group, groups, changing) for group in groups]
    before = [names[:place].count(name) for place, name in enumerate(names)]  # as what was changed on the way is not in them
    return [
        Group(f"{name} ({number + 1})" if number else name, group.results)
        for name, number, group in zip(names, before, groups, strict=True)
    ]


def differences(groups: Sequence[Group]) -> dict[str, list[Any]]:
    """The options that are not the same in all groups: the value in each, :data:`NOT_THERE` where there is none."""
    keys = dict.fromkeys(key for group in groups for key in group.options)
    values = {key: [group.options.get(key, NOT_THERE) for group in groups] for key in keys}
    return {key: found for key, found in values.items() if len({repr(value) for value in found}) > 1}


def _name(group: Group, groups: Sequence[Group], changing: dict[str, list[Any]]) -> str:
    """The recipe's name; where others have it too, with the options in which it is unlike these."""
    alike = [other for other in groups if other.recipe == group.recipe]
    if len(alike) == 1:
        return group.recipe
    keys = [key for key in changing if len({repr(other.options.get(key, NOT_THERE)) for other in alike}) > 1]
    keys = [key for key in keys if key.endswith(".use") or f"{key.rpartition('.')[0]}.use" not in keys]  # nor of another component
    keys = [key for key in keys if key.rpartition(".")[0] not in keys]  # of a trick that is on and off, not its options
    switches = [key for key in keys if key.count(".") == 1 and key.startswith("tricks.")]
    words = [f"{short(key)}={group.options.get(key, NOT_THERE)}" for key in keys if key not in switches and not key.startswith(CHANGED)]
    changed = [key for key in keys if key.startswith(CHANGED) and key in group.options]
    return " ".join([group.recipe, *words, *_switched(group, alike[0], switches), *changed])


def _switched(group: Group, first: Group, tricks: Sequence[str]) -> list[str]:
    """Which tricks a group has that the first one has not, and the other way round."""
    own, other = ([key for key in tricks if which.options.get(key) == "on"] for which in (group, first))
    more, less = ([short(key) for key in these if key not in those] for these, those in ((own, other), (other, own)))
    return [f"{word} {', '.join(names)}" for word, names in (("with", more), ("without", less)) if names]


def short(key: str) -> str:
    """A dotted key without what is clear: ``tricks.clamp.enabled`` is ``clamp.enabled``.

    >>> short("tricks.clamp.enabled"), short("generator.optimizer.lr")
    ('clamp.enabled', 'generator.optimizer.lr')
    """
    return key.removeprefix("tricks.")
