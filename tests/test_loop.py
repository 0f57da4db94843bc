"""The loop's order of hooks, as whole transcripts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from engine_support import Capture, Everything, Plugin, StopAt

import ganlab
from ganlab.errors import PluginError
from ganlab.game import loop
from ganlab.game.turn import Turn
from ganlab.testing import TinyLoss, play

D, R, F, G = "discriminator(real+fake)", "discriminator(real)", "discriminator(fake)", "generator(fake)"


def compute(turn: str) -> list[str]:
    return [f"{hook} {turn}" for hook in ("before_turn", "before_scores", "after_scores", "loss_terms", "before_update")]


def whole(turn: str) -> list[str]:
    """A group of one turn, up to the question whether it is played again."""
    return [f"may_play {turn}", *compute(turn), f"after_update {turn}", f"play_again {turn}"]


def step_of(*tricks: object, step: int = 1, **options: object) -> list[str]:
    """What is called in step ``step``: from its plan to after_step."""
    recorder = Everything()
    play(recorder, *tricks, steps=step, **options)  # type: ignore[arg-type]
    return recorder.calls[recorder.calls.index(f"plan_step {step}") : recorder.calls.index(f"after_step {step}") + 1]


def test_a_run_from_beginning_to_end(tmp_path: Path) -> None:
    recorder = Everything()
    play(recorder, steps=8, overrides=["train.log_every=4", "train.sample_every=8", "train.checkpoint_every=4"], folder=tmp_path)
    per_step = [call for call in recorder.calls if "(" not in call and not call.startswith("plan_step")]
    assert per_step == [
        "before_build generator",
        "after_build generator",
        "before_build discriminator",
        "after_build discriminator",
        "before_run",
        "on_images 0",
        *(f"after_step {step}" for step in (1, 2, 3, 4)),
        "on_metrics 4",
        "after_checkpoint 4",
        *(f"after_step {step}" for step in (5, 6, 7, 8)),
        "after_epoch 1",
        "on_metrics 8",
        "on_images 8",
        "after_checkpoint 8",
        "after_run finished",
        "deliver finished",
    ]


def test_a_step_of_the_default_schedule() -> None:
    expected = [
        "plan_step 1",
        "may_play discriminator(real+fake)",
        "before_turn discriminator(real+fake)",
        "before_scores discriminator(real+fake)",
        "after_scores discriminator(real+fake)",
        "loss_terms discriminator(real+fake)",
        "before_update discriminator(real+fake)",
        "after_update discriminator(real+fake)",
        "play_again discriminator(real+fake)",
        "may_play generator(fake)",
        "before_turn generator(fake)",
        "before_scores generator(fake)",
        "after_scores generator(fake)",
        "loss_terms generator(fake)",
        "before_update generator(fake)",
        "after_update generator(fake)",
        "play_again generator(fake)",
        "after_step 1",
    ]
    assert step_of() == expected
    assert step_of(overrides=["schedule.discriminator_turn=one_pass"]) == expected
    assert expected == ["plan_step 1", *whole(D), *whole(G), "after_step 1"]


@pytest.mark.parametrize(
    ("overrides", "turns"),
    [
        (["discriminator_turn=two_updates"], [R, F, G]),
        (["discriminator_turn=two_updates", "first_side=fake"], [F, R, G]),
        (["order=generator_first"], [G, D]),
        (["order=generator_first", "discriminator_turn=two_updates"], [G, R, F]),
        (["discriminator_steps=2", "generator_steps=3"], [D, D, G, G, G]),
        (["discriminator_steps=2", "discriminator_turn=two_updates"], [R, F, R, F, G]),
        (["order=generator_first", "discriminator_steps=2", "generator_steps=2"], [G, G, D, D]),
    ],
)
def test_a_step_of_another_schedule(overrides: list[str], turns: list[str]) -> None:
    expected = [call for turn in turns for call in whole(turn)]
    assert step_of(overrides=[f"schedule.{text}" for text in overrides]) == ["plan_step 1", *expected, "after_step 1"]


def test_a_simultaneous_step_updates_after_both_are_computed() -> None:
    assert step_of(overrides=["schedule.order=simultaneous"]) == [
        "plan_step 1",
        f"may_play {D}",
        f"may_play {G}",
        *compute(D),
        *compute(G),
        f"after_update {D}",
        f"after_update {G}",
        f"play_again {D}",
        f"play_again {G}",
        "after_step 1",
    ]


class Veto:
    """No turn of one player, in one step."""

    def __init__(self, role: str, repeat: int | None = None) -> None:
        self.role, self.repeat = role, repeat

    @ganlab.hookimpl
    def may_play(self, turn: Turn) -> bool | None:
        return False if turn.role == self.role and self.repeat in (None, turn.repeat) else None


class Again:
    """So many repeats of one player's turns."""

    def __init__(self, role: str, times: int) -> None:
        self.role, self.times = role, times

    @ganlab.hookimpl
    def play_again(self, turn: Turn) -> bool:
        return turn.role == self.role and turn.repeat < self.times


def test_a_vetoed_turn_is_not_played() -> None:
    assert step_of(Veto("generator")) == ["plan_step 1", *whole(D), f"may_play {G}", "after_step 1"]
    assert step_of(Veto("discriminator")) == ["plan_step 1", f"may_play {D}", *whole(G), "after_step 1"]
    alone = step_of(Veto("discriminator"), overrides=["schedule.order=simultaneous"])
    assert alone == ["plan_step 1", f"may_play {D}", f"may_play {G}", *compute(G), f"after_update {G}", f"play_again {G}", "after_step 1"]


def test_one_yes_does_not_outweigh_a_veto() -> None:
    class Yes:
        @ganlab.hookimpl
        def may_play(self) -> bool:
            return True

    assert play(Yes(), Veto("generator"), Yes(), steps=3).counters == {
        "step": 3,
        "epoch": 0,
        "discriminator_updates": 3,
        "generator_updates": 0,
        "images_seen": 24,
    }


@pytest.mark.parametrize("no", [False, np.bool_(False), torch.tensor(False)])
def test_a_no_is_a_no_in_any_spelling(no: object) -> None:
    class Spelled:
        @ganlab.hookimpl
        def may_play(self, turn: Turn) -> object:
            return no if turn.role == "generator" else None

    assert play(Spelled(), steps=2).players["generator"].updates == 0


def test_a_repeated_turn_is_asked_about_again() -> None:
    assert step_of(Again("generator", 2)) == [
        "plan_step 1",
        *whole(D),
        *whole(G),
        *whole(f"{G} again 1"),
        *whole(f"{G} again 2"),
        "after_step 1",
    ]


def test_a_repeat_that_is_vetoed_ends_the_repeats() -> None:
    expected = ["plan_step 1", *whole(D), *whole(G), *whole(f"{G} again 1"), f"may_play {G} again 2", "after_step 1"]
    assert step_of(Again("generator", 5), Veto("generator", repeat=2)) == expected


def test_a_repeat_after_a_simultaneous_group_plays_alone() -> None:
    expected = [f"may_play {D}", f"may_play {G}", *compute(D), *compute(G), f"after_update {D}", f"after_update {G}"]
    repeated = [f"play_again {D}", *whole(f"{D} again 1"), f"play_again {G}"]
    calls = step_of(Again("discriminator", 1), overrides=["schedule.order=simultaneous"])
    assert calls == ["plan_step 1", *expected, *repeated, "after_step 1"]


def test_each_of_several_turns_has_its_own_repeats() -> None:
    calls = step_of(Again("generator", 1), overrides=["schedule.generator_steps=2"])
    assert calls == ["plan_step 1", *whole(D), *whole(G), *whole(f"{G} again 1"), *whole(G), *whole(f"{G} again 1"), "after_step 1"]


def test_a_repeat_draws_fresh_noise_and_no_real_data() -> None:
    capture = Capture()
    run = play(capture, Again("discriminator", 2), steps=2)
    assert run.counters == {"step": 2, "epoch": 0, "discriminator_updates": 6, "generator_updates": 2, "images_seen": 16}
    first, second, third = capture.of("discriminator")[:3]
    assert first["real"].equal(second["real"])
    assert first["real"].equal(third["real"])
    assert not first["latent"].equal(second["latent"])
    assert not second["latent"].equal(third["latent"])
    assert not first["real"].equal(capture.of("discriminator")[3]["real"])


def test_a_veto_of_every_turn_still_advances_the_step() -> None:
    run = play(Veto("generator"), Veto("discriminator"), steps=3)
    assert run.counters == {"step": 3, "epoch": 0, "discriminator_updates": 0, "generator_updates": 0, "images_seen": 0}


def test_repeats_without_end_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "MOST_REPEATS", 20)
    with pytest.raises(PluginError) as caught:
        play(Again("generator", 10**9), steps=3)
    assert str(caught.value) == "the generator's turn was repeated 20 times in step 1\na trick's play_again never returns False"


def test_a_run_asked_to_stop_ends_its_step_first() -> None:
    recorder = Everything()
    run = play(recorder, StopAt(3), steps=9)
    assert run.step == 3
    assert recorder.calls[-4:] == ["after_step 3", "on_metrics 3", "after_run interrupted", "deliver interrupted"]


def test_losses_that_compare_have_the_steps_real_batch_in_both_turns() -> None:
    class Pairs(TinyLoss):
        pairs = True

        def discriminator(self, turn: Turn) -> object:
            assert turn.real_scores is not None
            assert turn.fake_scores is not None
            return (turn.fake_scores - turn.real_scores).mean(0)

        def generator(self, turn: Turn) -> object:
            assert turn.real_scores is not None
            assert turn.fake_scores is not None
            return (turn.real_scores - turn.fake_scores).mean(0)

    plugin = Plugin(losses={"pairs": Pairs})
    for order in ("discriminator_first", "generator_first", "simultaneous"):
        capture = Capture()
        run = play(capture, steps=3, overrides=['loss={use="pairs"}', f"schedule.order={order}"], plugins=[plugin])
        assert run.images_seen == 24, order
        for discriminator, generator in zip(capture.of("discriminator"), capture.of("generator"), strict=True):
            assert discriminator["real"].equal(generator["real"]), order
        seen = [turn["real"] for turn in capture.of("discriminator")]
        assert not seen[0].equal(seen[1]), order


def test_without_such_losses_no_real_batch_is_scored_in_the_generators_turn() -> None:
    capture = Capture()
    play(capture, steps=2)
    assert [turn["real"] for turn in capture.of("generator")] == [None, None]


def test_the_discriminators_steps_have_batches_of_their_own() -> None:
    capture = Capture()
    run = play(capture, steps=2, overrides=["schedule.discriminator_steps=2"])
    batches = [turn["real"] for turn in capture.of("discriminator")]
    assert len({tuple(batch.flatten().tolist()) for batch in batches}) == 4
    assert run.images_seen == 32


def test_two_updates_show_one_batch_in_all() -> None:
    capture = Capture()
    run = play(capture, steps=2, overrides=["schedule.discriminator_turn=two_updates"])
    assert [(turn["real"] is None, turn["fake"] is None) for turn in capture.of("discriminator")] == [(False, True), (True, False)] * 2
    assert run.counters == {"step": 2, "epoch": 0, "discriminator_updates": 4, "generator_updates": 2, "images_seen": 16}


def test_an_epoch_budget_shows_the_data_so_often_whatever_the_schedule() -> None:
    recorder = Everything()
    run = play(recorder, steps=None, overrides=["train.epochs=2", "schedule.discriminator_steps=3"])
    assert (run.total_steps, run.step) == (6, 6)  # 8 batches an epoch: 16 are 5 1/3 steps of 3
    assert run.epoch == 2
    assert [call for call in recorder.calls if call.startswith("after_epoch")] == ["after_epoch 1", "after_epoch 2"]
