"""The order of hooks over several tricks, what is refused when a run is built, and whose mistake it is when a hook raises."""

from __future__ import annotations

from typing import Any

import pytest
from engine_support import Plugin, hooked

import ganlab
from ganlab.errors import PluginError, UsageError
from ganlab.game.hooks import transcript_of
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
    assert transcript_of(run.game.hooks) == {"after_step": [*names, "Named"]}


def test_two_watchers_of_one_kind_are_told_apart() -> None:
    order: list[str] = []
    play(hooked(after_step=lambda: order.append("a")), hooked(after_step=lambda: order.append("b")), steps=1)
    assert order == ["a", "b"]


def refused(*tricks: object, **options: Any) -> str:
    with pytest.raises(PluginError) as caught:
        prepare(*tricks, **options)
    return str(caught.value)


def test_two_tricks_that_decide_the_same_are_refused() -> None:
    tricks = ['tricks.one={use="discriminator_head_start"}', 'tricks.two={use="discriminator_head_start"}']
    version = f"(plugin stability, ganlab {ganlab.__version__})"
    assert refused(overrides=tricks) == (
        f"trick 'discriminator_head_start' named 'one' {version} and trick 'discriminator_head_start' named 'two' {version} "
        "both decide plan_step\nonly one trick of a recipe may; switch one off"
    )
    both = refused(hooked(on_failure=lambda: None), hooked(on_failure=lambda: None))
    assert both == "Mine and Mine 2 both decide on_failure\nonly one trick of a recipe may; switch one off"


def test_ganlabs_own_errors_pass_through_a_trick() -> None:
    def refuse() -> None:
        raise UsageError("not like this", "like that")

    with pytest.raises(UsageError) as caught:
        prepare(hooked(before_build=refuse))
    assert str(caught.value) == "not like this\nlike that"
