"""Checks of the values that hooks return. A hook whose result means nothing is announced once, and its result is ignored.

None is never checked, so hooks that return nothing take no time.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from ganlab.components import Role
from ganlab.errors import did_you_mean
from ganlab.game.blame import blamed
from ganlab.game.turn import Group, Part, Side
from ganlab.registry.implementations import RUN_HOOKS

#: Checks the result of one hook, and returns the value that the engine uses.
ResultReader = Callable[[Any], Any]

PLAN_HINT = (
    "return a list of groups, each of which is a list of parts, or None for the recipe's schedule: "
    '`[[ganlab.Part("discriminator", ("real", "fake"))], [ganlab.Part("generator", ("fake",))]]`'
)
#: What to do instead of returning a value, by the argument that the hook may change.
IGNORED_HINTS = {
    "turn": "a hook that changes a value assigns it to the turn (`turn.real`, `turn.fake_scores` ...) and returns nothing",
    "spec": "a hook that changes how a network is built assigns to the spec (`spec.input_shape` ...) and returns nothing",
    "player": "a hook that changes a network changes `player.network`, in place or by assigning another to it, and returns nothing",
    "": "this hook returns nothing; `run.record(name, value)` logs a number",
}


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

    Args:
        hook: the hook's name.
        owner: whose implementation it is, for announcements.
        blame: raises errors that name the same owner.
        announce: called once if the hook returns a value that ganlab ignores.
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
    if not isinstance(plan, list | tuple):
        blame.refuse(f"returned {_described(plan)}, which is not a list of groups", PLAN_HINT)
    for number, group in enumerate(plan, 1):
        what = f"returned a plan whose group {number} "
        if not isinstance(group, list | tuple):
            blame.refuse(f"{what}is {_described(group)}, not a list of parts", PLAN_HINT)
        for part in group:
            if not isinstance(part, Part):
                blame.refuse(f"{what}holds {_described(part)}, which is not a ganlab.Part", PLAN_HINT)
            _check_part(part, what, blame)
        if len({part.player for part in group}) < len(group):
            blame.refuse(f"{what}has the {group[0].player} more than once", "give each of its turns a group of its own")
    return list(plan)


def _check_part(part: Part, what: str, blame: blamed) -> None:
    if part.player not in get_args(Role):
        blame.refuse(f"{what}has a part of an unknown player, {part.player!r}", did_you_mean(str(part.player), get_args(Role)))
    sides = part.sides
    if not isinstance(sides, list | tuple):
        blame.refuse(f"{what}has a part whose sides are {_described(sides)}, not a tuple", 'for one side: `("fake",)`, with its comma')
    for side in sides:
        if side not in get_args(Side):
            blame.refuse(f"{what}has a part of an unknown side, {side!r}", did_you_mean(str(side), get_args(Side)))
    if not sides or len(set(sides)) < len(sides):
        blame.refuse(f"{what}has a part with the sides {sides!r}", 'one of ("real", "fake"), ("real",) and ("fake",)')
    if part.player == "generator" and tuple(sides) != ("fake",):
        blame.refuse(f"{what}has the generator play on the sides {sides!r}", 'the generator\'s are ("fake",)')


class _IgnoredResult:
    """Announces once that ganlab ignores what a hook returns."""

    def __init__(self, hook: str, owner: str, announce: Callable[[str], None]) -> None:
        self.hook, self.owner, self.announce = hook, owner, announce
        self.announced = False

    def __call__(self, result: Any) -> None:
        if self.announced:
            return
        self.announced = True
        if self.hook == "on_failure":
            hint = "return True if training can continue from the state that the hook has restored, and None otherwise"
        else:
            changeable = next((name for name in ("turn", "spec", "player") if name in RUN_HOOKS[self.hook]), "")
            hint = IGNORED_HINTS[changeable]
        kind = type(result).__name__
        self.announce(f"{self.owner}: its hook {self.hook} returned {_article(kind)} {kind}, which ganlab ignores: {hint}.")


def _described(value: Any) -> str:
    kind = type(value).__name__
    return f"{_article(kind)} {kind}" + (f" ({reprlib.repr(value)})" if isinstance(value, int | float | str | list | tuple | dict) else "")


def _article(word: str) -> str:
    return "an" if word[0].lower() in "aeiou" else "a"
