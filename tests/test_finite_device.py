"""The way that an accelerator goes: updates are withheld by the optimizer, on the device, and flags are read with the metrics.

Here the CPU plays the accelerator: it has the same fused optimizers. What is left for a real one is in test_gpu.py.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import RICH, StopAt, hooked, lines, resumed, same, trick, weights
from torch import Tensor

import ganlab
from ganlab.errors import NonFiniteError
from ganlab.game.guard import Guard
from ganlab.game.player import Player
from ganlab.runs.run import Run
from ganlab.storage.checkpoint import load
from ganlab.testing import play


@pytest.fixture(autouse=True)
def accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is on the host."""
    made = Guard.__init__

    def init(self: Guard, *given: Any) -> None:
        made(self, *given)
        self.on_cpu = False

    monkeypatch.setattr(Guard, "__init__", init)


class Spoil:
    """A trick that makes the generator's scores a NaN at these steps."""

    def __init__(self, *steps: int, role: str = "generator") -> None:
        self.steps, self.role = steps, role

    @ganlab.hookimpl
    def after_scores(self, turn: ganlab.Turn) -> None:
        if turn.step in self.steps and turn.role == self.role:
            assert turn.fake_scores is not None
            turn.fake_scores = turn.fake_scores * math.nan


def networks(use: str, **more: Any) -> list[str]:
    options = "".join(f",{name}={value}" for name, value in more.items())
    return [f'{role}={{use="tiny",batch_norm=true,optimizer={{use="{use}",lr=0.01{options}}}}}' for role in ("generator", "discriminator")]


OPTIMIZERS = [networks("adam"), networks("adam", epsilon_hat="true"), networks("adamw"), networks("sgd"), networks("sgd", momentum=0.9)]
OPTIMIZERS += [networks("adagrad"), networks("rmsprop")]


@pytest.mark.parametrize("optimizers", OPTIMIZERS)
@pytest.mark.parametrize("steps", [(5,), (1, 2)])
def test_skipping_there_is_skipping_here(monkeypatch: pytest.MonkeyPatch, optimizers: list[str], steps: tuple[int, ...]) -> None:
    options: dict[str, Any] = {"steps": 9, "overrides": ["train.non_finite=skip", *optimizers, "train.log_every=3"]}
    there = play(Spoil(*steps), **options)
    monkeypatch.undo()
    here = play(Spoil(*steps), **options)
    assert same(weights(here), weights(there))
    assert here.counters == there.counters
    assert here.info["announcements"] == there.info["announcements"]
    assert all(value.isfinite().all() for value in weights(there).values())


@pytest.mark.parametrize("role", ["generator", "discriminator"])
def test_momentum_never_begins_with_memory_that_nobody_has_written(role: str) -> None:
    torch.use_deterministic_algorithms(True)  # fills such memory with NaN
    try:
        late = [f"train.{what}_every=9" for what in ("log", "sample", "checkpoint")]  # flags are read at the end alone
        run = play(Spoil(1, 2, role=role), steps=5, overrides=["train.non_finite=skip", *networks("sgd", momentum=0.9), *late])
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(value.isfinite().all() for value in weights(run).values())
    assert run.players[role].updates == 3  # type: ignore[index]


@pytest.mark.parametrize("optimizers", OPTIMIZERS)
def test_finite_numbers_are_the_same_bit_for_bit(monkeypatch: pytest.MonkeyPatch, optimizers: list[str]) -> None:
    more = [*optimizers, trick("clamp"), trick("gradient_clipping")]
    there = play(steps=9, overrides=more)
    monkeypatch.undo()
    assert same(weights(play(steps=9, overrides=more)), weights(there))


@pytest.mark.parametrize("optimizers", OPTIMIZERS)
def test_nothing_moves_after_the_first_bad_turn_and_that_is_saved(tmp_path: Path, optimizers: list[str]) -> None:
    seen: list[dict[str, Tensor]] = []
    watch = hooked(before_turn=lambda run, turn: seen.append(parameters(run)) if (turn.step, turn.role) == (5, "generator") else None)
    overrides = [*optimizers, "train.log_every=4", "train.checkpoint_every=3", "train.sample_every=99"]
    with pytest.raises(NonFiniteError) as caught:
        play(Spoil(5), watch, steps=20, overrides=overrides, folder=tmp_path)
    assert caught.value.message == (
        "the generator's loss term 'adversarial' is nan in step 5: Spoil, in its hook after_scores, has changed turn.fake_scores"
    )
    (path,) = tmp_path.iterdir()
    state = load(path / "checkpoints/step_000000006.safetensors")  # where it was read: a checkpoint was due
    kept = {f"{role}.{name}": value for role in ("generator", "discriminator") for name, value in state[role]["network"].items()}
    assert all(kept[name].equal(value) for name, value in seen[0].items())
    assert all(value.isfinite().all() for value in kept.values())
    assert (state["generator"]["updates"], state["discriminator"]["updates"]) == (4, 5)
    assert resumed(path).info["status"] == "finished"


def parameters(run: Run) -> dict[str, Tensor]:
    return {name: value for name, value in weights(run).items() if "linear" in name}


def test_it_is_read_with_the_metrics_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    reads: list[int] = []
    read = Guard.read
    watcher = hooked(before_turn=lambda turn: steps.append(turn.step))

    def counted(self: Guard) -> None:
        reads.append(steps[-1])
        read(self)

    monkeypatch.setattr(Guard, "read", counted)
    play(watcher, steps=10, overrides=["train.log_every=4", "train.sample_every=99", *networks("adam")])
    assert sorted(set(reads)) == [4, 8, 10]
    monkeypatch.setattr("ganlab.game.guard.READ_AT", 3)
    reads.clear()
    run = play(watcher, steps=6, overrides=["train.log_every=100", "train.sample_every=99", *networks("adam")])
    assert reads == [2, 3, 5, 6, 6, 6, 6]  # the last ones: metrics, the end of the step, the end of the run
    assert run.game.guard.unread == []


def test_a_fused_optimizer_is_asked_and_another_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    apply = Player.apply

    def noted(self: Player, found: Tensor | None = None) -> None:
        asked.append(found is not None)
        apply(self, found)

    monkeypatch.setattr(Player, "apply", noted)
    play(steps=3, overrides=networks("adam"))
    assert asked == [False, False, True, True, True, True]  # in the first step of each the host decides
    asked.clear()
    play(steps=3, overrides=networks("rmsprop"))
    assert asked == [False] * 6


def test_rolling_back(tmp_path: Path) -> None:
    left = [1]

    def spoil(turn: ganlab.Turn) -> None:
        if turn.step == 7 and turn.role == "discriminator" and left.pop():
            turn.loss_terms["real"] = turn.loss_terms["real"] * math.inf
            left.append(0)
        left[:] = left or [0]

    overrides = ["train.non_finite=rollback", "train.log_every=4", "train.checkpoint_every=3", *RICH]
    run = play(hooked(loss_terms=spoil), steps=12, overrides=overrides, folder=tmp_path)
    assert run.info["status"] == "finished"
    assert run.info["announcements"][0].endswith(
        "has changed the loss term 'real'. "
        "The run went back to step 6 and continues with learning rates multiplied by 0.5 (1 of at most 10 times)."
    )
    assert run.players["generator"].optimizer.param_groups[0]["lr"] == 0.005
    assert run.counters["discriminator_updates"] == 12


def test_a_resumed_run_has_skipped_as_one_that_was_never_stopped(tmp_path: Path) -> None:
    options: dict[str, Any] = {"steps": 12, "overrides": ["train.non_finite=skip", "train.log_every=5", *networks("adam")]}
    spoil = Spoil(4, 7, 9)
    never = play(spoil, folder=tmp_path / "never", **options)
    run = resumed(play(spoil, StopAt(8), folder=tmp_path / "stopped", **options).path, spoil)
    assert same(weights(never), weights(run))
    assert lines(never) == lines(run)
    assert never.game.guard.times == run.game.guard.times == 3
    assert [line["metrics"]["skipped/generator"] for line in lines(run) if "skipped/generator" in line["metrics"]] == [1, 2, 0]


def test_gradients_of_several_types_are_looked_at() -> None:
    run = play(steps=1)
    turn = ganlab.Turn(run.players["generator"], ("fake",), 1, loss=torch.zeros((), dtype=torch.float64))
    from ganlab.game.culprit import non_finite_flag

    assert non_finite_flag(turn).item() == 0
    gradient = turn.player.parameters[0].grad
    assert gradient is not None
    for bad in (math.nan, math.inf, -math.inf):
        before = gradient.clone()
        gradient[0, 0] = bad
        assert non_finite_flag(turn).item() == 1
        gradient.copy_(before)
    assert non_finite_flag(turn).item() == 0
