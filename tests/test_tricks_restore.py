"""Going back when numbers are no longer finite, with smaller steps, and not for ever."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from engine_support import lines, trick

import ganlab
from ganlab.engine.run import Run
from ganlab.errors import NonFiniteError, PluginError
from ganlab.testing import play


class Spoil:
    """Makes the generator's loss a NaN at each of these steps, so often; the rest of the time it is a bystander."""

    def __init__(self, *steps: int, times: int = 1) -> None:
        self.left = dict.fromkeys(steps, times)
        self.rates: list[tuple[int, float, float]] = []

    @ganlab.hookimpl
    def loss_terms(self, turn: ganlab.Turn) -> None:
        if turn.role == "generator" and self.left.get(turn.step, 0) > 0:
            self.left[turn.step] -= 1
            turn.loss_terms["adversarial"] = turn.loss_terms["adversarial"] * math.nan

    @ganlab.hookimpl
    def after_step(self, run: Run, step: int) -> None:
        rates = [run.players[role].optimizer.param_groups[0]["lr"] for role in ("generator", "discriminator")]  # type: ignore[index]
        self.rates.append((step, *rates))


def spoiled(folder: Path, spoil: Spoil, *overrides: str, steps: int = 10, **options: Any) -> Run:
    given = [trick("restore_on_non_finite", **options), "train.checkpoint_every=3", "train.log_every=2", *overrides]
    return play(spoil, steps=steps, overrides=given, folder=folder)


def test_it_goes_back_to_the_last_checkpoint_and_on_with_half_the_learning_rate(tmp_path: Path) -> None:
    spoil = Spoil(8)
    run = spoiled(tmp_path, spoil)
    assert [step for step, _, _ in spoil.rates] == [1, 2, 3, 4, 5, 6, 7, 8, 7, 8, 9, 10]
    assert [rate for _, rate, _ in spoil.rates] == [rate for _, _, rate in spoil.rates] == [0.1] * 8 + [0.05] * 4
    assert (run.step, run.info["status"], run.info["failure"]) == (10, "finished", None)
    assert run.info["announcements"] == [
        "loss/generator is nan at step 8 (or up to 2 steps before). The run went back to step 6 and goes on with "
        "learning rates multiplied by 0.5 (restoration 1 of 3)."
    ]
    assert [line["step"] for line in lines(run)] == [2, 4, 6, 8, 8, 10]  # one of the 8 has the means of the first epoch
    assert all(value is not None for line in lines(run) for value in line["metrics"].values())
    assert all(p.isfinite().all() for player in run.players.values() for p in player.parameters)
    assert run.players["generator"].updates == 10


def test_learning_rates_fall_each_time_also_from_the_same_checkpoint(tmp_path: Path) -> None:
    spoil = Spoil(4, times=2)
    run = spoiled(tmp_path, spoil, learning_rate_factor=0.1)
    assert [rate for _, rate, _ in spoil.rates] == pytest.approx([0.1] * 4 + [0.01] + [0.001] * 7)
    assert len(run.info["announcements"]) == 2
    assert run.info["announcements"][1].endswith("(restoration 2 of 3).")


def test_learning_rates_fall_further_after_a_newer_checkpoint(tmp_path: Path) -> None:
    spoil = Spoil(4, 8)
    spoiled(tmp_path, spoil)
    assert {step: rate for step, rate, _ in spoil.rates} == pytest.approx(
        {1: 0.1, 2: 0.1, 3: 0.1, 4: 0.05, 5: 0.05, 6: 0.05, 7: 0.025, 8: 0.025, 9: 0.025, 10: 0.025}
    )


def test_it_gives_up_after_so_many_times(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError) as caught:
        spoiled(tmp_path, Spoil(6, times=99), times=2)
    assert str(caught.value) == (
        "loss/generator is nan at step 6 (or up to 2 steps before)\ntry a lower learning rate, or the tricks gradient_clipping and clamp"
    )
    (run,) = tmp_path.iterdir()
    info = json.loads((run / "run.json").read_text())
    assert (info["status"], len(info["announcements"])) == ("failed", 2)
    assert info["failure"].startswith("NonFiniteError: loss/generator is nan at step 6")


def test_without_a_checkpoint_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError):
        spoiled(tmp_path, Spoil(1))
    with pytest.raises(NonFiniteError):
        play(Spoil(7), steps=10, overrides=[trick("restore_on_non_finite")])  # a run without a folder


def test_other_errors_are_not_its_business(tmp_path: Path) -> None:
    class Wrong:
        @ganlab.hookimpl
        def after_step(self, step: int) -> None:
            if step == 5:
                raise ValueError("a mistake of its own")

    with pytest.raises(PluginError, match="a mistake of its own"):
        play(Wrong(), steps=10, overrides=[trick("restore_on_non_finite"), "train.checkpoint_every=2"], folder=tmp_path)


def test_without_it_a_run_that_is_no_longer_finite_fails_with_what_to_try() -> None:
    with pytest.raises(NonFiniteError, match="loss/generator is nan at step 4"):
        play(Spoil(4), steps=10)


def test_a_checkpoint_of_weights_that_are_not_finite_is_never_written(tmp_path: Path) -> None:
    """Logging is far off, and the checkpoint due: it must not be one that cannot be gone back to."""
    with pytest.raises(NonFiniteError) as caught:
        play(Spoil(4), steps=100, overrides=["train.checkpoint_every=3", "train.log_every=100"], folder=tmp_path)
    assert caught.value.message == "the generator's weights are not finite at step 6"
    (run,) = tmp_path.iterdir()
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step_000000003.safetensors"]
