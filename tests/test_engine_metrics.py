"""What is logged: means and sums over the interval and the epoch, by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import Capture, lines, resumed, trick

import ganlab
from ganlab.errors import PluginError
from ganlab.game import metrics as module
from ganlab.game.metrics import Metrics
from ganlab.runs.run import Run
from ganlab.testing import play


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def expected(turns: list[dict[str, Any]]) -> dict[str, float]:
    """What a person with paper and pencil gets for these turns."""
    found = {f"loss/{role}": mean([t["loss"] for t in turns if t["role"] == role]) for role in ("generator", "discriminator")}
    own = [t for t in turns if t["role"] == "discriminator"]
    for side in ("real", "fake"):
        found[f"loss/discriminator.{side}"] = mean([t["terms"][side] for t in own])
        scores = torch.cat([t[f"{side}_scores"] for t in own]).double()
        found[f"score/{side}"] = scores.sigmoid().mean().item()
        found[f"logit/{side}"] = scores.mean().item()
        found[f"accuracy/{side}"] = (scores > 0 if side == "real" else scores < 0).double().mean().item()
    return found


def test_an_interval_and_an_epoch_are_the_means_of_their_turns() -> None:
    capture = Capture()
    play(capture, steps=20, overrides=["train.log_every=3"])
    assert [step for step, _ in capture.metrics] == [3, 6, 9, 12, 15, 18, 20]
    for step, metrics in capture.metrics:
        span = [turn for turn in capture.turns if step - (3 if step < 20 else 2) < turn["step"] <= step]
        wanted = expected(span)
        assert {name: metrics[name] for name in wanted} == pytest.approx(wanted, rel=1e-6)
        rest = {name: value for name, value in metrics.items() if name not in wanted}
        assert rest == {
            "updates/generator": step,
            "updates/discriminator": step,
            "progress/epoch": step // 8,
            "progress/images_seen": 8 * step,
        }
    assert [epoch for epoch, _ in capture.epochs] == [1, 2]
    for epoch, means in capture.epochs:
        assert means == pytest.approx(expected([t for t in capture.turns if 8 * (epoch - 1) < t["step"] <= 8 * epoch]), rel=1e-6)


def test_the_means_of_an_epochs_losses_are_written_down(tmp_path: Path) -> None:
    capture = Capture()
    run = play(capture, steps=17, overrides=["train.log_every=100"], folder=tmp_path)
    written = [(line["step"], line["metrics"]) for line in lines(run)]
    assert [step for step, _ in written] == [8, 16, 17]
    for (_, metrics), (_, means) in zip(written, capture.epochs, strict=False):
        assert metrics == {f"epoch/{role}_loss": means[f"loss/{role}"] for role in ("generator", "discriminator")}


def test_scores_that_are_no_logits_have_no_accuracy() -> None:
    capture = Capture()
    play(capture, steps=1, overrides=['loss={use="relativistic_bce"}'])
    assert not any(name.startswith("accuracy") for name in capture.metrics[0][1])


def test_two_updates_are_logged_as_one_loss_of_both_sides() -> None:
    capture = Capture()
    play(capture, steps=4, overrides=["schedule.discriminator_turn=two_updates", "train.log_every=4"])
    metrics, turns = capture.metrics[0][1], capture.of("discriminator")
    real, fake = (mean([t["terms"][side] for t in turns if side in t["terms"]]) for side in ("real", "fake"))
    assert metrics["loss/discriminator.real"] == pytest.approx(real)
    assert metrics["loss/discriminator.fake"] == pytest.approx(fake)
    assert metrics["loss/discriminator"] == pytest.approx(real + fake)
    assert metrics["updates/discriminator"] == 8


def test_repeats_count_in_the_mean_of_the_generators_loss() -> None:
    class Twice:
        @ganlab.hookimpl
        def play_again(self, turn: ganlab.Turn) -> bool:
            return turn.role == "generator" and turn.repeat == 0 and turn.step == 2

    capture = Capture()
    play(Twice(), capture, steps=2, overrides=["train.log_every=2"])
    assert capture.metrics[0][1]["loss/generator"] == pytest.approx(mean([t["loss"] for t in capture.of("generator")]))
    assert len(capture.of("generator")) == 3


def test_an_interval_in_which_a_player_rests_has_no_loss_of_it() -> None:
    capture = Capture()
    play(capture, steps=4, overrides=[trick("discriminator_head_start", steps=2), "train.log_every=2"])
    assert "loss/generator" not in capture.metrics[0][1]
    assert "loss/generator" in capture.metrics[1][1]


class Recording:
    """Records a mean and a sum in each turn, as numbers and as tensors."""

    @ganlab.hookimpl
    def before_update(self, run: Run, turn: ganlab.Turn) -> None:
        run.record("mine/number", turn.step)
        run.record("mine/tensor", torch.tensor(float(turn.step), requires_grad=True))
        run.count("mine/count")
        run.count("mine/sum", turn.step)


def test_record_is_a_mean_and_count_is_a_sum() -> None:
    capture = Capture()
    play(Recording(), capture, steps=8, overrides=["train.log_every=4"])
    (_, first), (_, second) = capture.metrics
    assert [first[f"mine/{name}"] for name in ("number", "tensor", "count", "sum")] == [2.5, 2.5, 8, 20]
    assert [second[f"mine/{name}"] for name in ("number", "tensor", "count", "sum")] == [6.5, 6.5, 8, 52]
    assert [capture.epochs[0][1][f"mine/{name}"] for name in ("number", "tensor", "count", "sum")] == [4.5, 4.5, 16, 72]


def test_recording_more_than_one_number_is_the_tricks_error() -> None:
    class Wrong:
        @ganlab.hookimpl
        def before_update(self, run: Run, turn: ganlab.Turn) -> None:
            run.record("mine/scores", turn.fake_scores)  # type: ignore[arg-type]

    with pytest.raises(PluginError) as caught:
        play(Wrong())
    assert caught.value.message == (
        "Wrong, in its hook before_update in step 1, raised ValueError: run.record('mine/scores', ...) takes one number, "
        "not a tensor of shape (8,); take its mean()"
    )


def test_recording_no_number_is_the_tricks_error() -> None:
    class Wrong:
        @ganlab.hookimpl
        def after_step(self, run: Run) -> None:
            run.record("mine/word", "high")  # type: ignore[arg-type]

    with pytest.raises(
        PluginError, match=r"^Wrong, in its hook after_step in step 1, raised ValueError: could not convert string to float: 'high'\n"
    ):
        play(Wrong())


def test_values_may_wait_longer_than_the_buffer() -> None:
    metrics = Metrics(torch.device("cpu"))
    values = [float(i % 7) for i in range(3 * module.FOLD_AT + 5)]
    for value in values:
        metrics.add("a", value)
        metrics.add("b", torch.tensor(value))
        metrics.add_scores("real", torch.tensor([value, -value]))
    assert len(metrics._pending["a"]) < module.FOLD_AT
    found = metrics.interval()
    assert found["a"] == found["b"] == pytest.approx(mean(values))
    assert found["score/real"] == pytest.approx(0.5)
    assert metrics.interval() == {}
    assert metrics.epoch()["a"] == pytest.approx(mean(values))


@pytest.mark.parametrize("cut", [1, 300, 301, 700])
def test_saving_in_the_middle_moves_no_bit(cut: int) -> None:
    dice = torch.Generator().manual_seed(1)
    values = torch.rand(800, generator=dice, dtype=torch.float64).exp()
    scores = 9 * torch.randn(800, 5, generator=dice)

    def feed(metrics: Metrics, start: int, end: int) -> None:
        for i in range(start, end):
            metrics.add("tensor", values[i])
            metrics.add("number", values[i].item(), weight=0.5)
            metrics.add("count", i, weight=0.0)
            metrics.add_scores("fake", scores[i])
            if i == 250:
                metrics.interval()

    whole, first, second = (Metrics(torch.device("cpu")) for _ in range(3))
    feed(whole, 0, 800)
    feed(first, 0, cut)
    second.add("tensor", 5.0)
    second.load_state_dict(first.state_dict())
    feed(second, cut, 800)
    assert whole.interval() == second.interval()
    assert whole.epoch() == second.epoch()


def test_lines_are_what_hooks_are_given_with_null_for_what_json_has_no_word_for(tmp_path: Path) -> None:
    class Endless:
        @ganlab.hookimpl
        def after_step(self, run: Run, step: int) -> None:
            if step == 4:
                run.record("mine/endless", float("inf"))

    capture = Capture()
    run = play(Endless(), capture, steps=6, overrides=["train.log_every=2"], folder=tmp_path)
    assert run.info["announcements"] == ["mine/endless had values that are not finite, up to step 4; its means are of the others."]
    (path,) = tmp_path.iterdir()
    text = (path / "metrics.jsonl").read_text().splitlines()
    written = [json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON")) for line in text]
    assert [line["step"] for line in written] == [2, 4, 6]
    assert written[1]["metrics"].pop("mine/endless") is None
    capture.metrics[1][1].pop("mine/endless")
    assert [line["metrics"] for line in written] == [metrics for _, metrics in capture.metrics]


def test_what_depends_on_the_clock_is_kept_apart(tmp_path: Path) -> None:
    run = play(steps=4, overrides=["train.log_every=2"], folder=tmp_path)
    run.record_clock({"system/mine": 1.5})
    system = [json.loads(line) for line in (run.path / "system.jsonl").read_text().splitlines()]
    assert [(line["step"], list(line["metrics"])) for line in system] == [
        (2, ["speed/steps_per_second"]),
        (4, ["speed/steps_per_second"]),
        (4, ["system/mine"]),
    ]
    assert system[0]["metrics"]["speed/steps_per_second"] > 0
    assert all("speed/steps_per_second" not in line["metrics"] for line in lines(run))


def test_logging_seldom_or_often_changes_no_weight() -> None:
    often, seldom = Capture(), Capture()
    play(often, steps=9, overrides=["train.log_every=1"])
    play(seldom, steps=9, overrides=["train.log_every=100"])
    assert len(often.metrics) == 9
    assert [step for step, _ in seldom.metrics] == [9]
    assert often.turns[-1]["loss"] == seldom.turns[-1]["loss"]


def test_an_epoch_writes_the_means_of_both_losses(tmp_path: Path) -> None:
    run = play(steps=17, overrides=["train.log_every=4"], folder=tmp_path)  # 64 samples in batches of 8: 8 steps an epoch
    found = [(line["step"], line["metrics"]) for line in lines(run)]
    epochs = [(step, metrics) for step, metrics in found if "epoch/generator_loss" in metrics]
    assert [(step, set(metrics)) for step, metrics in epochs] == [
        (step, {"epoch/discriminator_loss", "epoch/generator_loss"}) for step in (8, 16)
    ]
    intervals = {step: metrics["loss/generator"] for step, metrics in found if "loss/generator" in metrics}
    assert epochs[0][1]["epoch/generator_loss"] == pytest.approx((intervals[4] + intervals[8]) / 2)


def test_a_random_plan_is_the_same_after_a_resume(tmp_path: Path) -> None:
    class Drawing:
        def __init__(self) -> None:
            self.drawn: dict[int, float] = {}

        @ganlab.hookimpl
        def plan_step(self, step: int) -> None:
            self.drawn[step] = float(torch.rand(()))

    whole, part = Drawing(), Drawing()
    play(whole, steps=6, folder=tmp_path / "whole")

    class Stop:
        @ganlab.hookimpl
        def after_step(self, run: Run, step: int) -> None:
            if step == 3:
                run.stop()

    play(part, Stop(), steps=6, folder=tmp_path / "part")
    (path,) = (tmp_path / "part").iterdir()
    resumed(path, part)
    assert part.drawn == whole.drawn


def test_values_of_several_kinds_keep_all_their_digits() -> None:
    metrics = Metrics(torch.device("cpu"))
    for value in (torch.tensor(2**24 + 1), torch.tensor(0.5)):
        metrics.add("a/sum", value, weight=0.0)
    assert metrics.interval() == {"a/sum": 2**24 + 1.5}
