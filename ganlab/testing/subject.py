"""The subject of a conformance check: a component or trick in a tiny recipe that uses it, and the error if it breaks a rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlab.errors import UsageError
from ganlab.evaluation import NoJudge
from ganlab.quality.attributed_judge import AttributedJudge
from ganlab.quality.evaluator import Evaluator
from ganlab.recipe import Choice, Recipe
from ganlab.recipe.script_arguments import override_list
from ganlab.registry.entry import Entry, Kind
from ganlab.roles import ROLES
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
#: What a recipe needs to measure samples, unless the caller overrides it: tiny images, and few of them.
EVALUATED = {"evaluation.every": "2", "evaluation.quick_samples": "16", "evaluation.samples": "32", "data": '{use="tiny",shape=[1,8,8]}'}
MEASURED: dict[str, dict[str, str]] = {
    "metric": {**EVALUATED, "judge": '{use="tiny"}'},
    "judge": {**EVALUATED, "metrics.tiny": '{use="tiny"}', "metrics.tiny_classes": '{use="tiny_classes"}'},
}


class BrokenRule(AssertionError):
    """A component or trick breaks a rule.

    Attributes:
        rule: the name of the rule, a key of ``RULES``.
    """

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(text)
        self.rule = rule


@dataclass(frozen=True)
class Subject:
    """A component or trick to check, and the tiny recipe that uses it.

    Attributes:
        kind, name: of the component or trick.
        options: its options in the recipe.
        plugins: modules or objects with registration hooks.
        overrides: what else the recipe needs, in the syntax of ``--set``.
        entry: its entry in the catalogue.
    """

    kind: Kind
    name: str
    options: dict[str, Any]
    plugins: tuple[object, ...]
    overrides: tuple[str, ...]
    entry: Entry

    def run(self, *tricks: object, folder: Path, extra: Iterable[str] = ()) -> Run:
        """A run that uses the subject, built but not started."""
        return prepare(*tricks, steps=STEPS, overrides=[*self.overrides, *self.lines(), *extra], folder=folder, plugins=self.plugins)

    def without(self, folder: Path) -> Run:
        """The same run without the subject."""
        return prepare(steps=STEPS, overrides=[*self.overrides], folder=folder, plugins=self.plugins)

    def lines(self) -> list[str]:
        """The overrides that add the subject to a recipe."""
        table = {"use": self.name, **self.options, **({"optimizer": {"use": "tiny"}} if self.kind == "network" else {})}
        overridden = {line.partition("=")[0].strip() for line in self.overrides}
        defaults = {key: value for key, value in MEASURED.get(self.kind, {}).items() if key not in overridden}
        named = {"metric": (f"metrics.{self.name}",), "judge": ("judge",), "trick": (f"tricks.{self.name}",)}
        return [
            *override_list(dict.fromkeys((named | TABLE)[self.kind], table)),
            *(f"{key}={value}" for key, value in defaults.items()),
        ]

    def choices(self, recipe: Recipe) -> list[Choice]:
        """Where a recipe picks the subject."""
        return [choice for choice in recipe.choices if (choice.kind, choice.use) == (self.kind, self.name)]

    def objects(self, run: Run) -> list[Any]:
        """The instances that its factory made for the run."""
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
        instances: dict[str, list[Any]] = {
            "network": [player.network for player in players], "optimizer": [player.optimizer for player in players],
            "noise": [run.noise], "dataset": [run.dataset],
        }  # fmt: skip
        return instances[self.kind]


def refuse_if_not_measured(subject: Subject, folder: Path) -> None:
    """Check that the tiny recipe uses a metric or judge at all: one that is never called would pass every rule.

    Raises:
        UsageError: it does not.
        BrokenRule: its results are invalid.
    """
    run = subject.run(folder=folder)
    execute(run)
    evaluator, report = run.evaluations.evaluator, run.evaluations.final
    missing = evaluator.unfit | ({} if report is None else report.missing)
    why = missing.get(subject.name, "") if subject.kind == "metric" else _no_judge_reason(evaluator)
    if report is not None and subject.kind == "metric" and subject.name in report.faulty:
        require(False, subject, "works_in_every_precision", "; ".join(missing.values()))
    if report is None or why:
        raise UsageError(
            f"{subject.kind} '{subject.name}' is not used on the tiny problem: {why or 'nothing is measured'}",
            "choose other data, or another judge: overrides=['data={use=\"ring\"}']",
        )


def _no_judge_reason(evaluator: Evaluator) -> str:
    try:
        _ = evaluator.judge
    except NoJudge as error:
        return error.message
    return ""


def require(condition: bool, subject: Subject, rule: str, text: str) -> None:
    """Raise :class:`BrokenRule` unless ``condition`` is true. ``text`` says what was seen instead."""
    if not condition:
        raise BrokenRule(rule, f"{subject.kind} '{subject.name}' breaks the rule {rule}: {text}")
