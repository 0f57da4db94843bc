"""The order of hooks over several tricks, what is refused when a run is built, and whose mistake it is when a hook raises."""

from __future__ import annotations

from typing import Any

import pytest
from engine_support import Plugin, hooked

import ganlab
from ganlab.engine.hooks import transcript_of
from ganlab.errors import PluginError, UsageError
from ganlab.testing import play, prepare


def test_recipe_order_is_call_order() -> None:
    order: list[str] = []

    class Named:
        def __init__(self, *, word: str) -> None:
            self.word = word

        @ganlab.hookimpl
        def after_step(self) -> None:
            order.append(self.word)

    names = ["delta", "alpha", "charlie", "bravo"]
    tricks = [f'tricks.{name}={{use="named",word="{name}"}}' for name in names]
    run = play(Named(word="watcher"), steps=1, overrides=tricks, plugins=[Plugin(tricks={"named": Named})])
    assert order == [*names, "watcher"]
    assert transcript_of(run.hooks) == {"after_step": [*names, "Named"]}


def test_two_watchers_of_one_kind_are_told_apart() -> None:
    order: list[str] = []
    play(hooked(after_step=lambda: order.append("a")), hooked(after_step=lambda: order.append("b")), steps=1)
    assert order == ["a", "b"]


def refused(*tricks: object, **options: Any) -> str:
    with pytest.raises(PluginError) as caught:
        prepare(*tricks, **options)
    return str(caught.value)


def test_an_unknown_hook_is_refused() -> None:
    assert refused(hooked(after_stpe=lambda step: None)).startswith(
        "Mine implements an unknown hook 'after_stpe'\ndid you mean 'after_step'? (choices: after_build, after_checkpoint, "
    )


def test_a_wrapper_is_refused() -> None:
    class Wrapper:
        @ganlab.hookimpl(wrapper=True)
        def after_step(self, step: int) -> Any:
            return (yield)

    expected = "Wrapper: hook after_step is a wrapper, which ganlab does not allow\nremove `wrapper=True`, and assign to `turn`"
    assert refused(Wrapper()) == expected


@pytest.mark.parametrize("option", ["tryfirst", "trylast"])
def test_jumping_the_queue_is_refused(option: str) -> None:
    class Pushy:
        @ganlab.hookimpl(**{option: True})
        def after_step(self, step: int) -> None: ...

    assert refused(Pushy()) == (
        "Pushy: hook after_step asks to be called first or last, which ganlab does not allow\n"
        "remove `tryfirst` or `trylast`: the recipe's order is the order of calls"
    )


def test_a_default_value_is_refused() -> None:
    class Default:
        @ganlab.hookimpl
        def after_step(self, step: int = 3) -> None: ...

    assert refused(Default()) == ("Default: hook after_step has a default value for 'step'\nremove it: the engine passes every parameter")


def test_an_unknown_parameter_is_refused() -> None:
    expected = "Mine: hook after_step wants 'stpe', which it is not given\ndid you mean 'step'? (choices: run, step)"
    assert refused(hooked(after_step=lambda stpe: None)) == expected


def test_a_trick_without_hooks_is_refused() -> None:
    expected = "object has no hooks\nmark its methods with @ganlab.hookimpl; the hooks are in ganlab/hookspecs.py"
    assert refused(object()) == expected


def test_a_hook_that_is_not_marked_is_refused() -> None:
    class Forgot:
        def after_step(self, step: int) -> None: ...

    assert refused(Forgot()) == "Forgot has a method after_step that is not marked as a hook\nmark it with @ganlab.hookimpl"


def test_two_tricks_that_decide_the_same_are_refused() -> None:
    tricks = ['tricks.one={use="discriminator_head_start"}', 'tricks.two={use="discriminator_head_start"}']
    version = f"(plugin stability, ganlab {ganlab.__version__})"
    assert refused(overrides=tricks) == (
        f"trick 'discriminator_head_start' named 'one' {version} and trick 'discriminator_head_start' named 'two' {version} "
        "both decide plan_step\nonly one trick of a recipe may; switch one off"
    )
    both = refused(hooked(on_failure=lambda: None), hooked(on_failure=lambda: None))
    assert both == "Mine and Mine 2 both decide on_failure\nonly one trick of a recipe may; switch one off"


def test_a_trick_that_raises_is_named_with_its_own_traceback() -> None:
    class Broken:
        @ganlab.hookimpl
        def before_update(self, turn: ganlab.Turn) -> None:
            self.helper(turn.step)

        def helper(self, step: int) -> None:
            if step == 3:
                raise KeyError("lost")

    broken = ['tricks.mine={use="broken"}']
    with pytest.raises(PluginError) as caught:
        play(overrides=broken, plugins=[Plugin(tricks={"broken": Broken})])
    message, hint = caught.value.message, caught.value.hint
    assert message == "trick 'broken' named 'mine' (plugin plugin0, the test), in its hook before_update in step 3, raised KeyError: 'lost'"
    frames = hint.splitlines()
    assert frames[0] == "Traceback (of the plugin's own code):"
    assert frames[-1] == "KeyError: 'lost'"
    assert "in before_update" in frames[1]
    assert "in helper" in hint
    assert "ganlab/engine" not in hint
    assert "pluggy" not in hint
    assert isinstance(caught.value.__cause__, KeyError)


def test_ganlabs_own_errors_pass_through_a_trick() -> None:
    def refuse() -> None:
        raise UsageError("not like this", "like that")

    with pytest.raises(UsageError) as caught:
        prepare(hooked(before_build=refuse))
    assert str(caught.value) == "not like this\nlike that"
