"""What the conformance kit checks: a component or trick, in a tiny recipe that uses it; and the error when it breaks a rule."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlab.errors import UsageError
from ganlab.game.build import ROLES
from ganlab.quality.attributed_judge import AttributedJudge
from ganlab.recipe import Choice, Recipe
from ganlab.registry.entry import Entry, Kind
from ganlab.runs.run import Run
from ganlab.runs.training import execute
from ganlab.testing.tiny import prepare

STEPS = 6
TABLE: dict[str, tuple[str, ...]] = {
    "network": ROLES,
    "optimizer": tuple(f"{role}.optimizer" for role in ROLES),
    "loss": ("loss",),
    "noise": ("noise",),
    "dataset": ("data",),
}
#: What a recipe needs in which samples are measured, unless the caller says otherwise: tiny images, and few of them.
EVALUATED = {"evaluation.every": "2", "evaluation.quick_samples": "16", "evaluation.samples": "32", "data": '{use="tiny",shape=[1,8,8]}'}
MEASURED: dict[str, dict[str, str]] = {
    "metric": {**EVALUATED, "judge": '{use="tiny"}'},
    "judge": {**EVALUATED, "metrics.tiny": '{use="tiny"}', "metrics.tiny_classes": '{use="tiny_classes"}'},
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
        if self.kind in MEASURED:
            table = f"{{{','.join([f'use={json.dumps(self.name)}', *given])}}}"
            said = {line.partition("=")[0].strip() for line in self.overrides}
            where = f"metrics.{self.name}" if self.kind == "metric" else "judge"
            others = {key: value for key, value in MEASURED[self.kind].items() if key not in said}
            return [f"{where}={table}", *(f"{key}={value}" for key, value in others.items())]
        if self.kind == "trick":
            return [f"tricks.{self.name}={{{','.join([f'use={json.dumps(self.name)}', *given])}}}"]
        optimizer = ['optimizer={use="tiny"}'] if self.kind == "network" else []
        table = f"{{{','.join([f'use={json.dumps(self.name)}', *given, *optimizer])}}}"
        return [f"{where}={table}" for where in TABLE[self.kind]]

    def choices(self, recipe: Recipe) -> list[Choice]:
        """Where a recipe picks it."""
        players = [choice for player in (recipe.generator, recipe.discriminator) for choice in (player.network, player.optimizer)]
        every = [recipe.data, recipe.noise, *players, *recipe.losses.values(), *recipe.tricks, *recipe.metrics]
        every += [recipe.judge] if recipe.judge else []
        return [choice for choice in every if (choice.kind, choice.use) == (self.kind, self.name)]

    def objects(self, run: Run) -> list[Any]:
        """What its factory has made for the run."""
        if self.kind == "trick":
            return [trick.instance for trick in run.tricks if trick.name == self.name]
        if self.kind == "metric":
            return [metric for choice, metric in run.evaluations.evaluator.metrics.values() if choice.use == self.name]
        if self.kind == "judge":
            judge = run.evaluations.evaluator.judge
            return [judge.instance if isinstance(judge, AttributedJudge) else judge]
        if self.kind == "loss":
            return [run.losses[role].instance for role in ROLES]
        players = [run.players[role] for role in ROLES]
        found: dict[str, list[Any]] = {
            "network": [player.network for player in players], "optimizer": [player.optimizer for player in players],
            "noise": [run.noise], "dataset": [run.dataset],
        }  # fmt: skip
        return found[self.kind]


def refuse_what_is_not_measured(subject: Subject, folder: Path) -> None:
    """See that a metric, or a judge, is asked in the tiny recipe at all: what is never called keeps every rule.

    Raises:
        UsageError: it is not.
    """
    run = subject.run(folder=folder)
    execute(run)
    report = run.evaluations.final
    missing = run.evaluations.evaluator.unfit | ({} if report is None else report.missing)
    why = missing.get(subject.name) if subject.kind == "metric" else next((w for w in missing.values() if "there is no judge" in w), None)
    if why is not None and any(words in why for words in ("raised", "which its `results` do not name", "not a finite number")):
        raise BrokenRule("works_in_every_precision", f"{subject.kind} '{subject.name}' breaks the rule works_in_every_precision: {why}")
    if report is None or why is not None:
        raise UsageError(
            f"{subject.kind} '{subject.name}' is not asked on the tiny problem: {why or 'nothing is measured'}",
            "name other data, or another judge: overrides=['data={use=\"ring\"}']",
        )


def see(kept: bool, subject: Subject, rule: str, text: str) -> None:
    """Raise :class:`BrokenRule` unless the rule is kept."""
    if not kept:
        raise BrokenRule(rule, f"{subject.kind} '{subject.name}' breaks the rule {rule}: {text}")
