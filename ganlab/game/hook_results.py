"""Checks of the values that hooks return. A hook whose result means nothing is announced once, and its result is ignored.

None is never checked, so hooks that return nothing take no time.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ganlab.components import Role
from ganlab.errors import did_you_mean
from ganlab.game.blame import blamed
from ganlab.game.turn import Group, Part, Side

#: Checks the result of one hook, and returns the value that the engine uses.
ResultReader = Callable[[Any], Any]

PLAN_HINT = (
    "return a list of groups, each of which is a list of parts, or None for the recipe's schedule: "
    '`[[ganlab.Part("discriminator", ("real", "fake"))], [ganlab.Part("generator", ("fake",))]]`'
)
#: The sides that each player's turn may have.
SIDES: dict[Role, tuple[tuple[Side, ...], ...]] = {
    "discriminator": (("real", "fake"), ("fake", "real"), ("real",), ("fake",)),
    "generator": (("fake",),),
}
#: What to do instead of returning a value: for on_failure, and for hooks whose result means nothing.
FAILURE_HINT = "return True if training can continue from the state that the hook has restored, and None otherwise"
IGNORED_HINT = (
    "a hook assigns what it changes (`turn.fake = ...`, `player.network = ...`) and returns nothing; "
    "`run.record(name, value)` logs a number"
)


@dataclass(frozen=True)
class Veto:
    """A trick's veto of a turn, false in a condition.

    Attributes:
        trick: the trick's name in the recipe.
    """

    trick: str

    def __bool__(self) -> bool:
        return False


def result_reader(hook: str, owner: str, blame: blamed, announce: Callable[[str], None]) -> ResultReader:
    """The reader of results of one trick's implementation of ``hook``. It raises a PluginError if ``plan_step`` returned no valid plan.

    ``announce`` is called once if the hook returns a value that ganlab ignores.
    """
    if hook == "plan_step":
        return lambda result: checked_plan(result, blame)
    if hook == "play_again":
        return bool  # accepts a tensor or a number of NumPy's
    if hook == "may_play":
        veto = Veto(blame.trick)
        return lambda result: bool(result) or veto
    ignored = _IgnoredResult(hook, owner, announce)
    if hook == "on_failure":
        return lambda result: result if isinstance(result, bool) else ignored(result)
    return ignored


def checked_plan(plan: Any, blame: blamed) -> list[Group]:
    """The groups of a step that ``plan_step`` has returned.

    Raises:
        PluginError: it is not a valid plan. The error names the trick, the mistake, and what to return.
    """
    if not (_is_list(plan) and all(_is_list(group) and all(isinstance(part, Part) for part in group) for group in plan)):
        blame.refuse(f"returned {reprlib.repr(plan)} ({type(plan).__name__}), which is not a list of groups of parts", PLAN_HINT)
    for number, group in enumerate(plan, 1):
        what = f"returned a plan whose group {number} "
        for part in group:
            if part.player not in SIDES:
                blame.refuse(f"{what}has a part of an unknown player, {part.player!r}", did_you_mean(str(part.player), SIDES))
            allowed = SIDES[part.player]
            if (tuple(part.sides) if isinstance(part.sides, list) else part.sides) not in allowed:
                choices = ", ".join(map(str, allowed))
                blame.refuse(f"{what}has the {part.player} play on the sides {part.sides!r}", f"choices: {choices}")
        if len({part.player for part in group}) < len(group):
            blame.refuse(f"{what}has the {group[0].player} more than once", "give each of its turns a group of its own")
    return list(plan)


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


class _IgnoredResult:
    """Announces once that ganlab ignores what a hook returns."""

    def __init__(self, hook: str, owner: str, announce: Callable[[str], None]) -> None:
        self.hook, self.owner, self.announce = hook, owner, announce
        self.announced = False

    def __call__(self, result: Any) -> None:
        if self.announced:
            return
        self.announced = True
        hint = FAILURE_HINT if self.hook == "on_failure" else IGNORED_HINT
        self.announce(f"{self.owner}: its hook {self.hook} returned a value of type {type(result).__name__}, which ganlab ignores: {hint}.")
