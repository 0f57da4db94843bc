"""What hooks return: what each may, and what is said where something else comes.

Asked only where a hook has returned something that is not None, so that it costs a turn nothing.
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

#: A hook's answer is handed to one of these, which gives what the engine goes by.
Reader = Callable[[Any], Any]

PLAN = (
    "return a list of groups, each a list of its own, or None for the recipe's schedule: "
    '`[[ganlab.Part("discriminator", ("real", "fake"))], [ganlab.Part("generator", ("fake",))]]`'
)
#: What to do in place of returning a value, by what the hook is handed to change.
INSTEAD = {
    "turn": "a hook that changes a value assigns it to the turn (`turn.real`, `turn.fake_scores` ...) and returns nothing",
    "spec": "a hook that has a network built otherwise assigns to the spec (`spec.input_shape` ...) and returns nothing",
    "player": "a hook that changes a network changes `player.network`, in place or by assigning another to it, and returns nothing",
    "": "this hook returns nothing; `run.record(name, value)` logs a number",
}


@dataclass(frozen=True)
class Veto:
    """A trick's no to a turn: false, and by its name in the recipe it says whose it is."""

    trick: str

    def __bool__(self) -> bool:
        return False


def reader(hook: str, owner: str, blame: blamed, tell: Callable[[str], None]) -> Reader:
    """What reads the answers of one trick's implementation of ``hook``.

    Args:
        hook: its name.
        owner: whose it is, for warnings; ``blame`` makes errors of the same.
        tell: called once, where the hook returns a value that nobody asked for.

    A reader raises:
        PluginError: ``plan_step`` returned no plan.
    """
    if hook == "plan_step":
        return lambda answer: plan_of(answer, blame)
    if hook == "play_again":
        return bool  # a tensor or a number of numpy's counts as what it says
    if hook == "may_play":
        veto = Veto(blame.trick)
        return lambda answer: bool(answer) or veto
    unasked = _Unasked(hook, owner, tell)
    if hook == "on_failure":
        return lambda answer: answer if isinstance(answer, bool) else unasked(answer)
    return unasked


def plan_of(answer: Any, blame: blamed) -> list[Group]:
    """The groups of a step as ``plan_step`` has answered, if that is what they are.

    Raises:
        PluginError: they are not; it names the trick, what came, and what is wanted.
    """
    if not isinstance(answer, list | tuple):
        blame.refuse(f"returned {_words(answer)}, which is no list of groups", PLAN)
    for number, group in enumerate(answer, 1):
        what = f"returned a plan whose group {number} "
        if not isinstance(group, list | tuple):
            blame.refuse(f"{what}is {_words(group)}, not a list of parts", PLAN)
        for part in group:
            if not isinstance(part, Part):
                blame.refuse(f"{what}holds {_words(part)}, which is no ganlab.Part", PLAN)
            _check_part(part, what, blame)
        if len({part.player for part in group}) < len(group):
            blame.refuse(f"{what}has the {group[0].player} more than once", "give each of its turns a group of its own")
    return list(answer)


def _check_part(part: Part, what: str, blame: blamed) -> None:
    if part.player not in get_args(Role):
        blame.refuse(f"{what}has a part of an unknown player, {part.player!r}", did_you_mean(str(part.player), get_args(Role)))
    sides = part.sides
    if not isinstance(sides, list | tuple):
        blame.refuse(f"{what}has a part whose sides are {_words(sides)}, not a tuple", 'for one side: `("fake",)`, with its comma')
    for side in sides:
        if side not in get_args(Side):
            blame.refuse(f"{what}has a part of an unknown side, {side!r}", did_you_mean(str(side), get_args(Side)))
    if not sides or len(set(sides)) < len(sides):
        blame.refuse(f"{what}has a part with the sides {sides!r}", 'one of ("real", "fake"), ("real",) and ("fake",)')
    if part.player == "generator" and tuple(sides) != ("fake",):
        blame.refuse(f"{what}has the generator play on the sides {sides!r}", 'the generator\'s are ("fake",)')


class _Unasked:
    """Says once that a hook returns a value that nobody looks at."""

    def __init__(self, hook: str, owner: str, tell: Callable[[str], None]) -> None:
        self.hook, self.owner, self.tell = hook, owner, tell
        self.told = False

    def __call__(self, answer: Any) -> None:
        if self.told:
            return
        self.told = True
        if self.hook == "on_failure":
            instead = "return True when the run can go on from the state it was put into, and None otherwise"
        else:
            handed = next((name for name in ("turn", "spec", "player") if name in RUN_HOOKS[self.hook]), "")
            instead = INSTEAD[handed]
        kind = type(answer).__name__
        self.tell(f"{self.owner}: its hook {self.hook} returned {_article(kind)} {kind}, which nobody looks at: {instead}.")


def _words(value: Any) -> str:
    kind = type(value).__name__
    return f"{_article(kind)} {kind}" + (f" ({reprlib.repr(value)})" if isinstance(value, int | float | str | list | tuple | dict) else "")


def _article(word: str) -> str:
    return "an" if word[0].lower() in "aeiou" else "a"
