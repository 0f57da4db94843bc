"""What the conformance kit checks: a component or trick, in a tiny recipe that uses it; and the error when it breaks a rule."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlab.catalogue import Entry
from ganlab.engine.build import ROLES
from ganlab.engine.run import Run
from ganlab.recipe import Choice, Recipe
from ganlab.recipe.choices import Kind
from ganlab.testing.tiny import prepare

STEPS = 6
TABLE: dict[str, tuple[str, ...]] = {
    "network": ROLES,
    "optimizer": tuple(f"{role}.optimizer" for role in ROLES),
    "loss": ("loss",),
    "noise": ("noise",),
    "dataset": ("data",),
}


class BrokenRule(AssertionError):
    """A component or trick does not keep a rule.

    Attributes:
        rule: its name, one of ``RULES``.
    """

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(text)
        self.rule = rule


@dataclass(frozen=True)
class Subject:
    """What is checked, and the tiny recipe that uses it."""

    kind: Kind
    name: str
    options: dict[str, Any]
    plugins: tuple[object, ...]
    overrides: tuple[str, ...]
    entry: Entry

    def run(self, *tricks: object, folder: Path, extra: Iterable[str] = ()) -> Run:
        """A run that uses it, built and not begun."""
        return prepare(*tricks, steps=STEPS, overrides=[*self.overrides, *self.lines(), *extra], folder=folder, plugins=self.plugins)

    def without(self, folder: Path) -> Run:
        """The same run without it."""
        return prepare(steps=STEPS, overrides=[*self.overrides], folder=folder, plugins=self.plugins)

    def lines(self) -> list[str]:
        """The overrides that put it into a recipe."""
        given = [f"{name}={json.dumps(value)}" for name, value in self.options.items()]
        if self.kind == "trick":
            return [f"tricks.{self.name}={{{','.join([f'use={json.dumps(self.name)}', *given])}}}"]
        optimizer = ['optimizer={use="tiny"}'] if self.kind == "network" else []
        table = f"{{{','.join([f'use={json.dumps(self.name)}', *given, *optimizer])}}}"
        return [f"{where}={table}" for where in TABLE[self.kind]]

    def choices(self, recipe: Recipe) -> list[Choice]:
        """Where a recipe picks it."""
        players = [choice for player in (recipe.generator, recipe.discriminator) for choice in (player.network, player.optimizer)]
        every = [recipe.data, recipe.noise, *players, *recipe.losses.values(), *recipe.tricks]
        return [choice for choice in every if (choice.kind, choice.use) == (self.kind, self.name)]

    def objects(self, run: Run) -> list[Any]:
        """What its factory has made for the run."""
        if self.kind == "trick":
            return [trick.instance for trick in run.tricks if trick.name == self.name]
        if self.kind == "loss":
            return [run.losses[role].instance for role in ROLES]
        players = [run.players[role] for role in ROLES]
        found: dict[str, list[Any]] = {
            "network": [player.network for player in players], "optimizer": [player.optimizer for player in players],
            "noise": [run.noise], "dataset": [run.dataset],
        }  # fmt: skip
        return found[self.kind]


def see(kept: bool, subject: Subject, rule: str, text: str) -> None:
    """Raise :class:`BrokenRule` unless the rule is kept."""
    if not kept:
        raise BrokenRule(rule, f"{subject.kind} '{subject.name}' breaks the rule {rule}: {text}")
