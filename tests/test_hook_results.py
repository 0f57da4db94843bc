"""Results of hooks: an invalid plan is refused, and a value that ganlab ignores is announced once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from engine_support import Plugin, hooked
from test_cli import ganlab as command

import ganlab
from ganlab.errors import PluginError
from ganlab.game.hook_results import IGNORED_HINT, PLAN_HINT
from ganlab.registry.implementations import RUN_HOOKS
from ganlab.runs.run import Run
from ganlab.runs.training import execute
from ganlab.testing import play, prepare

D, G = ganlab.Part("discriminator", ("real", "fake")), ganlab.Part("generator", ("fake",))
Part: Any = ganlab.Part
SIDES = "choices: ('real', 'fake'), ('fake', 'real'), ('real',), ('fake',)"

#: What a plan may be by mistake, what is said of it, and what is wanted.
PLANS: dict[str, tuple[Any, str, str]] = {
    "number": (3, "returned 3 (int), which is not a list of groups of parts", PLAN_HINT),
    "word": (["discriminator"], "returned ['discriminator'] (list), which is not a list of groups of parts", PLAN_HINT),
    "flat": ([[D], 3], "returned [[Part(player='...eal', 'fake'))], 3] (list), which is not a list of groups of parts", PLAN_HINT),
    "words": ([["discriminator"]], "returned [['discriminator']] (list), which is not a list of groups of parts", PLAN_HINT),
    "player": (
        [[Part("generater", ("fake",))]],
        "returned a plan whose group 1 has a part of an unknown player, 'generater'",
        "did you mean 'generator'? (choices: discriminator, generator)",
    ),
    "side": (
        [[Part("discriminator", ("fakes",))]],
        "returned a plan whose group 1 has the discriminator play on the sides ('fakes',)",
        SIDES,
    ),
    "no_comma": (
        [[Part("discriminator", ("fake"))]],
        "returned a plan whose group 1 has the discriminator play on the sides 'fake'",
        SIDES,
    ),
    "no_side": ([[D], [Part("discriminator", ())]], "returned a plan whose group 2 has the discriminator play on the sides ()", SIDES),
    "generator_on_real": (
        [[D], [Part("generator", ("real",))]],
        "returned a plan whose group 2 has the generator play on the sides ('real',)",
        "choices: ('fake',)",
    ),
    "twice": (
        [[G], [D, G, D]],
        "returned a plan whose group 2 has the discriminator more than once",
        "give each of its turns a group of its own",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", PLANS)
def test_a_plan_that_is_none_is_refused(mistake: str) -> None:
    plan, what, wanted = PLANS[mistake]
    with pytest.raises(PluginError) as caught:
        planned(lambda step: plan if step == 2 else None)
    assert caught.value.message == f"trick 'planner' named 'mine' (plugin plugin0, the test), in its hook plan_step in step 2, {what}"
    assert caught.value.hint == wanted
    assert caught.value.trick == "mine"  # so that the command line can say how to go on without it


def planned(plan: Callable[[int], Any], steps: int = 2) -> Run:
    return play(
        steps=steps,
        overrides=['tricks.mine={use="planner"}'],
        plugins=[Plugin(tricks={"planner": lambda: hooked(plan_step=lambda step: plan(step))})],
    )


@pytest.mark.parametrize("plan", [None, [], [[]], ([D], (G,)), [[D, G]], [[Part("discriminator", ["fake", "real"])]]])
def test_a_plan_that_is_one_is_played(plan: Any) -> None:
    wanted = [[D], [G]] if plan is None else plan
    updates = {role: 2 * sum(part.player == role for group in wanted for part in group) for role in ("generator", "discriminator")}
    counters = planned(lambda step: plan).counters
    assert {role: counters[f"{role}_updates"] for role in updates} == updates


def test_an_answer_that_is_neither_yes_nor_no_is_blamed_on_its_trick() -> None:
    with pytest.raises(PluginError) as caught:
        play(hooked(may_play=lambda: torch.ones(2) > 0), steps=1)
    expected = "Mine, in its hook may_play in step 1, raised RuntimeError: Boolean value of Tensor with more than one value is ambiguous"
    assert caught.value.message == expected


@pytest.mark.parametrize("no", [False, np.False_, torch.tensor(False), 0])
def test_whatever_means_no_is_a_veto(no: Any) -> None:
    assert play(hooked(may_play=lambda turn: no if turn.role == "generator" else None), steps=2).counters["generator_updates"] == 0


# -- a value that nobody asked for -----------------------------------------------------------------------------------------

#: By hook: what a run must do for it to be called. `sync` has no run.
UNASKED = [hook for hook in RUN_HOOKS if hook not in ("plan_step", "may_play", "play_again", "on_failure", "sync")]


def told(run_with: object, **options: Any) -> list[str]:
    return list(play(run_with, **options).info["announcements"])


@pytest.mark.parametrize("hook", UNASKED)
def test_what_a_hook_returns_for_nothing_is_told_of_once(hook: str, tmp_path: Any) -> None:
    trick = type("Mine", (), {hook: ganlab.hookimpl(lambda self: 3)})()
    text = f"Mine: its hook {hook} returned a value of type int, which ganlab ignores: {IGNORED_HINT}."
    announced = told(trick, steps=10, overrides=["train.batch_size=16"], folder=tmp_path)
    assert announced == [text]


def test_what_comes_of_returning_a_changed_batch() -> None:
    changed = hooked(before_scores=lambda turn: turn.fake * 0)
    expected = (
        "Mine: its hook before_scores returned a value of type Tensor, which ganlab ignores: a hook assigns what it changes "
        "(`turn.fake = ...`, `player.network = ...`) and returns nothing; `run.record(name, value)` logs a number."
    )
    assert told(changed, steps=1) == [expected]
    assert told(hooked(before_scores=lambda turn: None), steps=1) == []


def test_two_tricks_are_told_of_each() -> None:
    class Other:
        @ganlab.hookimpl
        def after_step(self) -> Any:
            return {}

        @ganlab.hookimpl
        def after_update(self) -> Any:
            return ""

    run = play(Other(), hooked(after_step=lambda: 1.5), steps=3)
    assert [text.partition(", which")[0] for text in run.info["announcements"]] == [
        "Other: its hook after_update returned a value of type str",
        "Other: its hook after_step returned a value of type dict",
        "Mine: its hook after_step returned a value of type float",
    ]


def test_an_answer_to_a_failure_that_is_none_is_told_of(tmp_path: Any) -> None:
    def fail(step: int) -> None:
        raise OSError("lost")

    run = prepare(hooked(after_step=fail), hooked(on_failure=lambda: "yes"), steps=1, folder=tmp_path)
    with pytest.raises(PluginError, match="lost"):
        execute(run)
    assert run.info["announcements"] == [
        "Mine 2: its hook on_failure returned a value of type str, which ganlab ignores: "
        "return True if training can continue from the state that the hook has restored, and None otherwise."
    ]


def test_the_command_line_says_it_once(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "import ganlab\n\n\nclass Mine:\n    @ganlab.hookimpl\n    def before_scores(self, turn):\n        return turn.fake\n\n\n"
        '@ganlab.hookimpl\ndef register_tricks(register):\n    register("mine", Mine)\n'
    )
    (tmp_path / "mine.toml").write_text('extends = "ring"\nplugins = ["mine.py"]\n\n[[tricks]]\nuse = "mine"\n')
    size = ["--set", "train.steps=3", "--set", "train.batch_size=16", "--set", "data.samples=500", "--set", "tracking.enabled=false"]
    assert command("run", "mine.toml", *size) == 0
    printed = " ".join(capsys.readouterr().err.split())
    assert printed.count("its hook before_scores returned a value of type Tensor, which ganlab ignores") == 1


def test_a_hook_may_be_told_of_while_the_run_is_half_built(tmp_path: Any) -> None:
    wider = hooked(before_build=lambda spec: spec if spec.role == "discriminator" else None)
    (text,) = told(wider, steps=1, folder=tmp_path)
    assert text.startswith("Mine: its hook before_build returned a value of type NetworkSpec, which ganlab ignores: ")
