"""Every option of [schedule] does what it says, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import Capture, Plugin, StopAt, resumed, same, weights
from torch import Tensor, nn

import ganlab
from ganlab.errors import RecipeError, UsageError
from ganlab.runs.run import Run
from ganlab.testing import play, prepare

DOUBLE = "train.dtype=float64"


def norm(role: str, more: str = "") -> str:
    return f'{role}={{use="mlp",hidden=[6],batch_norm="before_activation"{more},optimizer={{use="sgd",lr=0.1}}}}'


def played(*overrides: str, steps: int = 6) -> tuple[Run, Capture]:
    capture = Capture()
    return play(capture, steps=steps, overrides=[DOUBLE, *overrides]), capture


def close(first: Run, second: Run) -> None:
    a, b = weights(first), weights(second)
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], rtol=1e-12, atol=1e-14)


def test_one_pass_is_two_passes_where_nothing_looks_at_the_whole_batch() -> None:
    deep = 'discriminator={use="mlp",hidden=[6],optimizer={use="sgd",lr=0.1}}'
    two, one = played(deep)[0], played(deep, "schedule.discriminator_turn=one_pass")[0]
    close(two, one)
    with_norm = norm("discriminator")
    two, one = played(with_norm)[0], played(with_norm, "schedule.discriminator_turn=one_pass")[0]
    assert not torch.allclose(weights(two)["discriminator.layers.0.weight"], weights(one)["discriminator.layers.0.weight"], rtol=1e-3)


def test_two_updates_show_the_second_side_to_a_discriminator_that_has_learned_the_first() -> None:
    _, capture = played("schedule.discriminator_turn=two_updates", steps=1)
    _, alone = played(steps=1)
    real, fake = capture.of("discriminator")
    assert real["loss"] == alone.turns[0]["terms"]["real"]
    assert fake["loss"] != pytest.approx(alone.turns[0]["terms"]["fake"], rel=1e-6)
    weight, bias = (real["weights"][f"discriminator.linear.{name}"] for name in ("weight", "bias"))
    torch.testing.assert_close(fake["fake_scores"], (fake["fake"] @ weight.T + bias).squeeze(1))


@pytest.mark.parametrize("turn", ["two_passes", "one_pass"])
def test_the_mean_of_both_sides_is_half_their_sum(turn: str) -> None:
    (_, summed), (_, halved) = (
        played(f"schedule.discriminator_turn={turn}", f"schedule.discriminator_loss={rule}", steps=1) for rule in ("sum", "mean")
    )
    full, half = summed.turns[0], halved.turns[0]
    assert half["loss"] == pytest.approx(full["loss"] / 2, rel=1e-14)
    for a, b in zip(full["gradients"], half["gradients"], strict=True):
        torch.testing.assert_close(a / 2, b)
    assert half["terms"] == {side: pytest.approx(term / 2) for side, term in full["terms"].items()}
    assert halved.metrics[0][1]["loss/discriminator"] == pytest.approx(half["loss"])


def test_noise_per_step_is_shared_by_all_turns_of_a_step() -> None:
    for order in ("discriminator_first", "generator_first", "simultaneous"):
        _, shared = played("schedule.noise=per_step", f"schedule.order={order}", steps=3)
        _, fresh = played(f"schedule.order={order}", steps=3)
        for capture, count in ((shared, 3), (fresh, 6)):
            assert len({turn["latent"].sum().item() for turn in capture.turns}) == count
    _, steps = played("schedule.noise=per_step", "schedule.discriminator_turn=two_updates", "schedule.generator_steps=2", steps=2)
    assert len({turn["latent"].sum().item() for turn in steps.turns if turn["latent"] is not None}) == 2


def test_a_repeat_has_fresh_noise_also_where_a_step_shares_its_own() -> None:
    class Again:
        @ganlab.hookimpl
        def play_again(self, turn: ganlab.Turn) -> bool:
            return turn.role == "discriminator" and turn.repeat == 0

    capture = Capture()
    play(Again(), capture, steps=1, overrides=["schedule.noise=per_step"])
    first, again, generator = (turn["latent"] for turn in capture.turns)
    assert not first.equal(again)
    assert again.equal(generator)  # the step's latest


class Order(nn.Module):
    """A discriminator that writes down what it is shown: the means of the batches, one after the other."""

    def __init__(self, spec: ganlab.NetworkSpec) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 1)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        y: Tensor = self.linear(x)
        return y


@pytest.mark.parametrize("turn", ["two_passes", "one_pass", "two_updates"])
@pytest.mark.parametrize("first", ["real", "fake"])
def test_the_first_side_is_seen_first(turn: str, first: str) -> None:
    capture = Capture()
    overrides = ['discriminator={use="order",optimizer={use="sgd"}}', f"schedule.discriminator_turn={turn}", f"schedule.first_side={first}"]
    run = play(capture, steps=1, overrides=overrides, plugins=[Plugin(networks={"order": Order})])
    network: Any = run.players["discriminator"].network
    turns = capture.of("discriminator")
    sides = {side: t[side] for t in turns for side in ("real", "fake") if t[side] is not None}
    second = "fake" if first == "real" else "real"
    shown = torch.cat(network.seen[:-1])  # the last is the generator's turn
    assert shown.equal(torch.cat([sides[first], sides[second]]))
    assert len(network.seen) == (2 if turn == "one_pass" else 3)
    scores = {side: t[f"{side}_scores"] for t in turns for side in ("real", "fake") if t[f"{side}_scores"] is not None}
    assert (scores["real"].shape, scores["fake"].shape) == ((8,), (8,))
    if turn == "one_pass":
        other = Capture()
        play(other, steps=1, overrides=overrides[:1], plugins=[Plugin(networks={"order": Order})])
        for side in ("real", "fake"):
            torch.testing.assert_close(scores[side], other.turns[0][f"{side}_scores"])


class Modes:
    """Writes down in which mode each network is when it is called, by turn."""

    def __init__(self) -> None:
        self.seen: dict[str, set[tuple[str, bool]]] = {"generator": set(), "discriminator": set()}
        self.turn = ""

    @ganlab.hookimpl
    def after_build(self, player: Any) -> None:
        role = player.role
        player.network.register_forward_pre_hook(lambda module, inputs: self.seen[role].add((self.turn, module.training)))

    @ganlab.hookimpl
    def before_turn(self, turn: ganlab.Turn) -> None:
        self.turn = turn.role


@pytest.mark.parametrize("generator", ["train", "eval"])
@pytest.mark.parametrize("discriminator", ["train", "eval"])
@pytest.mark.parametrize("order", ["discriminator_first", "simultaneous"])
def test_the_mode_of_each_player_in_the_others_turn(generator: str, discriminator: str, order: str) -> None:
    modes = Modes()
    given = [f"schedule.generator_mode={generator}", f"schedule.discriminator_mode={discriminator}", f"schedule.order={order}"]
    play(modes, steps=2, overrides=given)
    assert modes.seen["generator"] == {("generator", True), ("discriminator", generator == "train")}
    assert modes.seen["discriminator"] == {("discriminator", True), ("generator", discriminator == "train")}


def statistics(turn: dict[str, Any], role: str) -> Tensor:
    return torch.cat([turn["weights"][f"{role}.layers.1.{name}"] for name in ("running_mean", "running_var")])


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("moving", [True, False])
def test_the_discriminators_statistics_in_the_generators_turn(mode: str, moving: bool) -> None:
    given = [norm("discriminator"), f"schedule.discriminator_mode={mode}", f"schedule.discriminator_statistics={str(moving).lower()}"]
    run, capture = played(*given, steps=1)
    d_turn, g_turn = capture.turns
    assert statistics(d_turn, "discriminator").ne(torch.tensor([0.0] * 6 + [1.0] * 6)).all()
    moved = not statistics(d_turn, "discriminator").equal(statistics(g_turn, "discriminator"))
    assert moved == (moving and mode == "train")
    batches = g_turn["weights"]["discriminator.layers.1.num_batches_tracked"].item()
    assert batches == (3 if moved else 2)
    assert run.players["discriminator"].network.layers[1].track_running_stats  # type: ignore[index, union-attr]


def test_fixed_statistics_change_what_is_remembered_and_not_what_is_computed() -> None:
    (_, moving), (_, fixed) = (
        played(norm("discriminator"), f"schedule.discriminator_statistics={flag}", steps=4) for flag in ("true", "false")
    )
    for a, b in zip(moving.turns, fixed.turns, strict=True):
        assert a["loss"] == b["loss"]
        for first, second in zip(a["gradients"], b["gradients"], strict=True):
            assert first.equal(second)


def test_the_generators_statistics_move_in_its_own_turn_and_in_the_discriminators_as_its_mode_says() -> None:
    for mode, moves in (("train", 2), ("eval", 1)):
        run, _ = played(norm("generator"), f"schedule.generator_mode={mode}", steps=1)
        assert weights(run)["generator.layers.1.num_batches_tracked"].item() == moves


def test_neither_player_moves_or_keeps_a_gradient_in_the_others_turn() -> None:
    class Watch:
        @ganlab.hookimpl
        def before_update(self, run: Run, turn: ganlab.Turn) -> None:
            for player in run.players.values():
                assert all(p.requires_grad == (player is turn.player) for p in player.parameters)
            if turn.step == 1 and turn.role == "discriminator":
                assert all(p.grad is None for p in run.players["generator"].parameters)

    _, capture = played()
    play(Watch(), steps=2)
    for before, after in zip(capture.turns, capture.turns[1:], strict=False):
        other = "generator" if after["role"] == "discriminator" else "discriminator"
        for name, value in before["weights"].items():
            if name.startswith(other):
                assert value.equal(after["weights"][name])


def test_simultaneous_is_not_alternating() -> None:
    simultaneous, alternating = played("schedule.order=simultaneous")[0], played()[0]
    assert not same(weights(simultaneous), weights(alternating))


def test_steps_of_each_player_count_their_own_updates() -> None:
    run, _ = played("schedule.discriminator_steps=3", "schedule.generator_steps=2", steps=4)
    assert run.counters == {"step": 4, "epoch": 1, "discriminator_updates": 12, "generator_updates": 8, "images_seen": 96}


def test_contiguous_batches_are_slices_of_the_data(tmp_path: Path) -> None:
    run, capture = played("schedule.real_batches=contiguous", steps=30)
    points = run.dataset.images  # type: ignore[attr-defined]
    starts = {int((points == turn["real"][0]).all(1).nonzero()) for turn in capture.of("discriminator")}
    assert len(starts) > 15
    for turn in capture.of("discriminator"):
        start = int((points == turn["real"][0]).all(1).nonzero())
        assert turn["real"].equal(points[start : start + 8])
        assert turn["real_labels"].equal(run.dataset.labels[start : start + 8])  # type: ignore[attr-defined]
    given = ["schedule.real_batches=contiguous"]
    never = play(steps=9, overrides=given, folder=tmp_path / "never")
    stopped = play(StopAt(5), steps=9, overrides=given, folder=tmp_path / "stopped")
    assert same(weights(never), weights(resumed(stopped.path)))


def test_the_discriminators_batches_may_have_a_size_of_their_own() -> None:
    run, capture = played("train.discriminator_batch_size=5", "schedule.discriminator_steps=2", steps=3)
    for turn in capture.turns:
        assert len(turn["latent"]) == (5 if turn["role"] == "discriminator" else 8)
        assert turn["role"] == "generator" or len(turn["real"]) == 5
    assert run.images_seen == 3 * 2 * 5
    assert run.steps_per_epoch == 64 // 5 // 2


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (
            ["train.discriminator_batch_size=4", "schedule.noise=per_step"],
            "--set train.discriminator_batch_size=4: train.discriminator_batch_size = 4 cannot go with schedule.noise = 'per_step': both "
            "players use the same latents, and the generator has 8; use noise = 'fresh', or batches of one size",
        ),
        (
            ["train.discriminator_batch_size=4", 'loss={use="relativistic_bce"}'],
            "compares each fake with a real sample of the discriminator's batch, but train.discriminator_batch_size is another "
            "size\nremove train.discriminator_batch_size",
        ),
        (
            ["train.discriminator_batch_size=65"],
            "train.discriminator_batch_size = 65 is more than dataset 'tiny' has: 64 samples\nuse a discriminator_batch_size of at most 64",
        ),
        (
            ["train.batch_size=64", "schedule.real_batches=contiguous"],
            "train.batch_size = 64 is as many as dataset 'tiny' has: 64 samples\nuse a batch_size of at most 63",
        ),
        (
            ["train.discriminator_batch_size=7", 'tricks.packing={use="packing"}'],
            "packing.size = 2 does not divide train.discriminator_batch_size = 7\nchange one of them",
        ),
    ],
)
def test_batches_that_cannot_be_are_refused(overrides: list[str], told: str) -> None:
    with pytest.raises((RecipeError, UsageError)) as caught:
        prepare(overrides=overrides)
    assert told in str(caught.value)


def test_a_discriminators_batch_as_large_as_the_generators_goes_with_shared_noise() -> None:
    _, capture = played("train.discriminator_batch_size=8", "schedule.noise=per_step", steps=2)
    for d_turn, g_turn in zip(capture.of("discriminator"), capture.of("generator"), strict=True):
        assert d_turn["latent"].equal(g_turn["latent"])


def test_samples_may_be_of_another_law_than_the_training(tmp_path: Path) -> None:
    """T4's pictures are of N(0, 1), and its training of N(-0.5, 0.5^2)."""
    more = ['noise={use="normal",dimension=3,location=5.0,scale=0.1}', 'generator={use="mlp",hidden=[],optimizer={use="tiny"}}']
    capture = Capture()
    run = play(capture, steps=2, folder=tmp_path, overrides=[*more, 'sampling_noise={use="uniform",dimension=3,location=-20.0}'])
    assert all((turn["latent"] - 5).abs().max() < 1 for turn in capture.turns)
    assert (run.timetable.sampler.source.fixed_latent(100, "x") + 20).abs().max() <= 1
    assert (ganlab.load_generator(run.path).noise.location, ganlab.load_generator(run.path).noise.scale) == (-20.0, 1.0)
    plain = play(steps=2, folder=tmp_path, overrides=more)
    assert same(weights(run), weights(plain))
    assert (plain.timetable.sampler.source.fixed_latent(100, "x") - 5).abs().max() < 1
    assert ganlab.load_generator(plain.path).noise.location == 5.0
    with pytest.raises(RecipeError) as caught:
        prepare(overrides=[*more, 'sampling_noise={use="normal",dimension=4}'])
    assert str(caught.value) == (
        '--set sampling_noise={use="normal",dimension=4}: [sampling_noise] has latents of shape (4,), and [noise] (3,)\n'
        "use the same dimension for both"
    )
