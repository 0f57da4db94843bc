"""The trick ``health`` in runs that are really sick, and in one that is well; and what it measures itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import Capture, Plugin, StopAt, hooked, lines, reopened, same, trick, weights

from ganlab.runs.training import execute
from ganlab.testing import play
from ganlab_health.measure import spread, variety

#: A recipe's own data, and a health that has little patience.
RING = ["data={use='ring'}", "train.batch_size=64", "train.log_every=20", trick("health", patience=100, measure_every=20)]
TWO = "schedule.discriminator_turn=two_updates"


def told(*watchers: object, steps: int = 250, overrides: tuple[str, ...] = ()) -> dict[str, str]:
    """What health told in a run of ``ring``, by the finding's name."""
    texts: list[str] = play(*watchers, recipe="ring", steps=steps, overrides=[*RING, *overrides]).info["announcements"]
    return {text.partition("(")[2].partition(")")[0]: text for text in texts}


def no_latent(player: Any) -> None:
    """G's last layer is a bias and nothing else."""
    if player.role == "generator":
        last = [layer for layer in player.network.modules() if isinstance(layer, torch.nn.Linear)][-1]
        last.weight.data.zero_()
        last.weight.requires_grad_(False)
        player.refresh()


def test_a_run_that_is_well_hears_nothing() -> None:
    assert told(steps=600) == {}


@pytest.mark.parametrize("loss", ["bce", "relativistic_bce"])
def test_a_discriminator_that_trains_alone(loss: str) -> None:
    alone = hooked(may_play=lambda turn: turn.role != "generator")
    found = told(alone, overrides=(f"loss.use={loss}",))
    assert found.keys() - {"discriminator_always_right"} == {"discriminator_at_zero", "generator_not_trained"}
    assert "the generator has never been updated" in found["discriminator_at_zero"]


def test_what_is_wrong_at_the_end_stands_in_run_json() -> None:
    alone = hooked(may_play=lambda turn: turn.role != "generator")
    assert "discriminator_at_zero" in play(alone, recipe="ring", steps=250, overrides=RING).info["findings"]
    assert play(recipe="ring", steps=250, overrides=RING).info["findings"] == []


def test_softened_labels_do_not_hide_a_discriminator_that_is_always_right() -> None:
    alone = hooked(may_play=lambda turn: turn.role != "generator")
    assert set(told(alone, steps=500, overrides=("loss.real_label=0.9",))) == {"discriminator_always_right", "generator_not_trained"}


def test_a_generator_that_ignores_the_latent() -> None:
    found = told(hooked(after_build=no_latent))
    assert "their spread is 0.00% of the real samples'" in found["fakes_alike"]


def test_a_discriminator_with_a_huge_learning_rate() -> None:
    found = told(overrides=("discriminator.optimizer.lr=1.0",), steps=600)
    assert {"both_losses_high", "logarithm_of_nothing"} & found.keys()
    assert "--set discriminator.optimizer.lr=0." in " ".join(found.values())


def test_a_saturating_generator_that_cannot_follow() -> None:
    found = told(overrides=("loss.saturating=true", "generator.optimizer.lr=1e-6", "discriminator.optimizer.lr=0.01"), steps=400)
    assert "`--set loss.saturating=false`" in found["generator_stalled"]


def test_an_adaptive_rule_at_its_cap() -> None:
    rule = trick("adaptive_generator_steps", max_updates=3)
    found = told(overrides=("loss.saturating=true", "generator.optimizer.lr=1e-6", TWO, rule), steps=200)
    assert "hit its cap of generator updates in" in found["adaptive_capped"]


def test_scores_that_are_held() -> None:
    found = told(overrides=("generator.optimizer.lr=1e-6", trick("clamp", both_ends=True, margin=0.01)))
    assert "`--set tricks.clamp.margin=0.001` (now 0.01)" in found["scores_clamped"]


def test_gradients_that_are_clipped_to_nothing() -> None:
    found = told(overrides=(trick("gradient_clipping", max_norm=0.001),), steps=200)
    assert {"discriminator_gradient_clipped", "generator_gradient_clipped"} <= found.keys()


def test_gradients_that_explode() -> None:
    def steepen(turn: Any) -> None:
        turn.fake_scores = turn.fake_scores * 1000

    steep = hooked(after_scores=steepen)
    assert "discriminator_gradient_large" in told(steep, overrides=("discriminator.optimizer.lr=1e-12",))


def test_a_discriminator_that_has_stopped_learning() -> None:
    found = told(overrides=("discriminator.optimizer.lr=1e-12",))
    assert "higher scores than real samples" in found["loss_falls_in_vain"]


def test_learning_rates_that_are_too_small() -> None:
    found = told(overrides=("discriminator.optimizer.lr=1e-7", "generator.optimizer.lr=1e-7"))
    assert set(found) == {"never_started"}
    assert "`--set generator.optimizer.lr=1e-06` (now 1e-07)" in found["never_started"]


def veto(role: str) -> Any:
    return hooked(may_play=lambda turn: turn.role != role)


@pytest.mark.parametrize("role", ["generator", "discriminator"])
def test_a_player_whose_turns_are_all_vetoed(role: str) -> None:
    found = told(hooked(may_play=lambda: True), veto(role), steps=200)
    text = found[f"{role}_not_trained"]
    other = "generator" if role == "discriminator" else "discriminator"
    assert text == (
        f"Health, at step 100 ({role}_not_trained): the {role} has not been updated: Mine 2 vetoes its turns (hook may_play), "
        f"since step 1. Its weights stay the same while the {other} trains, or neither player trains."
    )
    assert f"{other}_not_trained" not in found


def test_the_trick_that_vetoes_is_named_with_its_switch() -> None:
    plugin = Plugin(tricks={"lazy": lambda: veto("generator")})
    run = play(recipe="ring", steps=200, overrides=[*RING, 'tricks.mine={use="lazy"}'], plugins=[plugin])
    (text,) = [text for text in run.info["announcements"] if "generator_not_trained" in text]
    assert (
        "has not been updated: trick 'lazy' named 'mine' (plugin plugin0, the test) vetoes its turns (hook may_play), since step 1." in text
    )
    assert text.endswith("Try one of: `--set tricks.mine.enabled=false`.")


def test_two_tricks_that_veto_are_both_named() -> None:
    found = told(veto("discriminator"), veto("discriminator"), veto("generator"), steps=200)
    assert "has not been updated: Mine and Mine 2 veto its turns" in found["discriminator_not_trained"]
    assert "has not been updated: Mine 3 vetoes its turns" in found["generator_not_trained"]


def test_a_short_run_without_a_player_is_told_of_at_its_end() -> None:
    assert set(told(veto("generator"), steps=60)) == {"generator_not_trained"}
    assert told(hooked(may_play=lambda turn: turn.role != "generator" or turn.step == 1), steps=60) == {}


def test_a_plan_without_a_player_and_one_that_stops() -> None:
    plan = hooked(plan_step=lambda run, step: run.groups if step <= 100 else run.groups[:1])
    text = told(plan, steps=300)["generator_not_trained"]
    assert "has not been updated: Mine plans no turn for it (hook plan_step), since step 101." in text


def test_a_head_start_is_meant_but_not_a_whole_run() -> None:
    start = trick("discriminator_head_start", steps=250)
    assert "generator_not_trained" not in told(overrides=(start, "discriminator.optimizer.lr=1e-4"), steps=300)
    assert "generator_not_trained" in told(overrides=(start, "discriminator.optimizer.lr=1e-4"), steps=240)


def test_a_player_that_is_trained_again_and_again_is_well() -> None:
    rarely = hooked(may_play=lambda turn: turn.role != "generator" or turn.step % 60 == 0)
    assert "generator_not_trained" not in told(rarely, steps=400)


@pytest.mark.slow
def test_a_stopped_run_tells_what_one_that_never_stopped_tells(tmp_path: Path) -> None:
    game = [*RING, "discriminator.optimizer.lr=1.0"]
    never = play(recipe="ring", steps=250, overrides=game, folder=tmp_path / "never")
    assert len(never.info["announcements"]) > 1
    for step in (51, 151):
        stopped = play(StopAt(step), recipe="ring", steps=250, overrides=game, folder=tmp_path / f"stopped{step}")
        run, again = reopened(stopped.path), list[str]()
        run.tell = again.append
        execute(run)
        assert bool(again) == (step == 51)
        assert stopped.info["announcements"] + again == never.info["announcements"]
        assert same(weights(never), weights(run)) and lines(never) == lines(run)


def test_it_changes_nothing_in_the_training(tmp_path: Path) -> None:
    without, watched = (play(steps=30, overrides=more, folder=tmp_path) for more in ([], [trick("health", measure_every=1)]))
    assert same(weights(without), weights(watched))


def measured(*overrides: str, **options: Any) -> tuple[Capture, list[dict[str, float]]]:
    capture = Capture()
    play(capture, overrides=[trick("health", **options), *overrides], steps=7)
    return capture, [{name: value for name, value in metrics.items() if name.startswith("health/")} for _, metrics in capture.metrics]


@pytest.mark.parametrize("schedule", ["two_passes", "one_pass", "two_updates"])
def test_variety_is_the_spread_of_fakes_by_that_of_real_samples(schedule: str) -> None:
    capture, metrics = measured(f"schedule.discriminator_turn={schedule}", measure_every=3)
    assert [step for step, found in enumerate(metrics, 1) if "health/variety" in found] == [1, 4, 7]
    for step in (1, 4, 7):
        turns = [turn for turn in capture.of("discriminator") if turn["step"] == step]
        sides = {side: next(turn[side] for turn in turns if turn[side] is not None) for side in ("real", "fake")}
        real, fake = (float(torch.pdist(samples).square().sum()) ** 0.5 for samples in sides.values())
        assert metrics[step - 1]["health/variety"] == pytest.approx(fake / real, rel=1e-5)


def test_each_gradient_is_measured_once_and_not_where_clipping_does() -> None:
    capture, metrics = measured("schedule.generator_steps=3", measure_every=7)
    first = next(turn for turn in capture.of("generator"))
    norm = float(sum(gradient.square().sum() for gradient in first["gradients"])) ** 0.5
    assert metrics[0]["health/generator_gradient_norm"] == pytest.approx(norm, rel=1e-5)
    assert "health/discriminator_gradient_norm" in metrics[0] and metrics[1:] == [{}] * 6
    _, metrics = measured(trick("gradient_clipping", player="generator"))
    assert set(metrics[0]) == {"health/variety", "health/discriminator_gradient_norm"}


def test_numbers_that_are_not_finite_do_not_end_the_run() -> None:
    def infinite(value: float) -> Callable[..., None]:
        return lambda turn: turn.player.parameters[0].grad.fill_(value) if turn.step == 1 else None

    for value in (torch.inf, torch.nan):
        spoilt = hooked(before_update=infinite(value))
        mended = hooked(before_update=lambda turn: turn.player.parameters[0].grad.nan_to_num_(0, 0, 0))
        capture = Capture()
        run = play(spoilt, _Health(), mended, capture, steps=3)
        assert capture.metrics[0][1]["health/generator_gradient_norm"] == 1e6
        assert run.info["status"] == "finished"
    assert variety(torch.tensor(0.0), torch.tensor(0.0)) == 1 and variety(torch.tensor(0.0), torch.tensor(2.0)) == 1e6


def _Health() -> Any:
    from ganlab_health.watch import Health

    return Health(measure_every=1)


def test_the_spread_of_a_large_batch_is_that_of_its_beginning() -> None:
    samples = torch.randn(1000, 2, 3)
    assert spread(samples).equal(spread(samples[:256])) and not spread(samples).equal(spread(samples[:255]))
    assert spread(torch.ones(5, 4)) == 0


def test_a_batch_of_one_has_no_variety() -> None:
    _, metrics = measured("train.batch_size=1")
    assert all("health/variety" not in found for found in metrics)
