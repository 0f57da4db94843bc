"""What hooks are given has the attributes that it has: a misspelt one is refused, and the message says the closest right word."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from engine_support import hooked

import ganlab
from ganlab.errors import PluginError
from ganlab.game.blame import misspelt
from ganlab.testing import play

#: Before Python 3.12 an error of an assignment does not name its object.
ON_ASSIGNMENT = "yes" if sys.version_info >= (3, 12) else ""

#: By what is done with what a hook is given: the class of that, the name that it has not, and what was meant.
SLIPS: dict[str, tuple[str, Callable[[Any], Any], str, str]] = {
    "turn, set": ("before_scores", lambda turn: setattr(turn, "faek", turn.fake), "Turn.faek", ON_ASSIGNMENT and "fake"),
    "turn, read": ("before_scores", lambda turn: turn.fakes, "Turn.fakes", "fake"),
    "turn, nothing near": ("before_scores", lambda turn: setattr(turn, "zzz", 3), "Turn.zzz", ""),
    "player, set": ("after_build", lambda player: setattr(player, "netwrok", 3), "Player.netwrok", ON_ASSIGNMENT and "network"),
    "player, read": ("after_build", lambda player: player.netwrok, "Player.netwrok", "network"),
    "spec, set": ("before_build", lambda spec: setattr(spec, "inputshape", 3), "NetworkSpec.inputshape", ON_ASSIGNMENT and "input_shape"),
    "run, read": ("before_run", lambda run: run.stoping, "Run.stoping", "stopping"),
    "tensor, read": ("before_scores", lambda turn: turn.fake.men(), "Tensor.men", "mean"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_misspelt_attribute(slip: str) -> None:
    hook, act, name, meant = SLIPS[slip]
    with pytest.raises(PluginError) as caught:
        play(hooked(**{hook: _of(hook, act)}), steps=1)
    kind, _, attribute = name.partition(".")
    words = f"'{kind}' object has no attribute '{attribute}'" + (f"; did you mean '{meant}'?" if meant else "")
    when = " in step 1," if hook == "before_scores" else ","
    assert caught.value.message == f"Mine, in its hook {hook}{when} raised AttributeError: {words}"
    assert "Traceback (of the plugin's own code)" in caught.value.hint


def _of(hook: str, act: Callable[[Any], Any]) -> Callable[..., Any]:
    """``act`` as a hook that is handed what it acts on."""
    return {
        "before_scores": lambda turn: act(turn),
        "after_build": lambda player: act(player),
        "before_build": lambda spec: act(spec),
        "before_run": lambda run: act(run),
    }[hook]


def test_other_errors_have_no_right_word() -> None:
    class Odd:
        def __dir__(self) -> list[str]:
            raise ValueError("not this one either")

    for act in (lambda: 1 / 0, lambda: Odd().reel, lambda: ganlab.nothing_like_it):
        with pytest.raises((ArithmeticError, AttributeError)) as caught:
            act()  # type: ignore[operator]
        assert misspelt(caught.value) == ""


def test_a_turn_can_be_copied_pickled_and_referred_to() -> None:
    turn = ganlab.Turn(None, ("fake",), 3, fake=torch.arange(4.0))  # type: ignore[arg-type]
    copies = [copy.copy(turn), copy.deepcopy(turn), pickle.loads(pickle.dumps(turn)), dataclasses.replace(turn)]
    for other in copies:
        assert (other.sides, other.step, other.repeat) == (("fake",), 3, 0)
        assert other.fake is not None and torch.equal(other.fake, torch.arange(4.0))
    assert weakref.ref(turn)() is turn
    assert dataclasses.asdict(dataclasses.replace(turn, fake=None))["step"] == 3
