"""The R1 penalty: against a linear discriminator's own, against autograd by hand, and as seldom as asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import Capture, StopAt, lines, resumed, same, trick, weights
from torch import Tensor, nn

import ganlab
from ganlab.testing import play

TURNS = ["two_passes", "one_pass", "two_updates"]
DEEP = 'discriminator={use="mlp",hidden=[6],activation="tanh",optimizer={use="sgd",lr=0.1}}'


class Before:
    """Keeps D's weights as they are before each of its updates."""

    def __init__(self) -> None:
        self.networks: list[dict[str, Tensor]] = []

    @ganlab.hookimpl
    def before_update(self, turn: ganlab.Turn) -> None:
        if turn.role == "discriminator":
            self.networks.append({name: p.detach().clone() for name, p in turn.player.network.named_parameters()})


def penalties(*overrides: str, steps: int = 3, **options: Any) -> tuple[Capture, list[dict[str, Tensor]]]:
    capture, before = Capture(), Before()
    play(capture, before, steps=steps, overrides=["train.dtype=float64", trick("r1_penalty", **options), *overrides])
    return capture, before.networks


@pytest.mark.parametrize("turn", TURNS)
def test_on_a_linear_discriminator_it_is_half_gamma_times_the_squared_weights(turn: str) -> None:
    capture, networks = penalties(f"schedule.discriminator_turn={turn}", gamma=4.0)
    turns = capture.of("discriminator")
    for played, network in zip(turns, networks, strict=True):
        weight = network["linear.weight"]
        if "real" in played["sides"]:
            assert played["terms"]["r1_penalty"] == pytest.approx(2.0 * weight.square().sum().item(), rel=1e-12)
            assert played["loss"] == pytest.approx(sum(played["terms"].values()), rel=1e-12)
        else:
            assert "r1_penalty" not in played["terms"]
    assert sum("r1_penalty" in played["terms"] for played in turns) == 3
    assert all(played["terms"].keys() == {"adversarial"} for played in capture.of("generator"))


def test_its_gradient_is_that_of_the_penalty() -> None:
    plain = Capture()
    play(plain, steps=1, overrides=["train.dtype=float64"])
    capture, (network,) = penalties(gamma=4.0, steps=1)
    added = capture.turns[0]["gradients"][0] - plain.turns[0]["gradients"][0]
    torch.testing.assert_close(added, 4.0 * network["linear.weight"])  # of 2 |w|^2
    assert capture.turns[0]["gradients"][1].equal(plain.turns[0]["gradients"][1])  # the bias has none


def by_hand(network: Callable[[Tensor], Tensor], real: Tensor, gamma: float) -> Tensor:
    squares = []
    for image in real:  # one at a time, so that no sample's gradient can be mixed with another's
        image = image.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(network(image[None]).sum(), image, create_graph=True)
        squares.append(gradient.square().sum())
    return gamma / 2 * torch.stack(squares).mean()


@pytest.mark.parametrize("turn", TURNS)
def test_on_a_deep_discriminator_it_is_autograds_sample_by_sample(turn: str) -> None:
    capture, networks = penalties(DEEP, f"schedule.discriminator_turn={turn}", gamma=10.0)
    judge = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 1)).double()
    checked = 0
    for played, network in zip(capture.of("discriminator"), networks, strict=True):
        if "real" in played["sides"]:
            judge.load_state_dict({name.removeprefix("layers."): value for name, value in network.items()})
            assert played["terms"]["r1_penalty"] == pytest.approx(by_hand(judge, played["real"], 10.0).item(), rel=1e-10)
            checked += 1
    assert checked == 3


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("every", [1, 2, 3])
def test_lazily_it_comes_every_so_many_updates_with_as_many_times_its_weight(turn: str, every: int) -> None:
    capture, networks = penalties(f"schedule.discriminator_turn={turn}", gamma=4.0, every=every, steps=7)
    real = [(t, n) for t, n in zip(capture.of("discriminator"), networks, strict=True) if "real" in t["sides"]]
    assert ["r1_penalty" in played["terms"] for played, _ in real] == [number % every == 0 for number in range(7)]
    for played, network in real[::every]:
        assert played["terms"]["r1_penalty"] == pytest.approx(every * 2.0 * network["linear.weight"].square().sum().item())


def test_how_often_it_came_survives_a_checkpoint(tmp_path: Path) -> None:
    overrides = [trick("r1_penalty", every=3), "schedule.discriminator_turn=two_updates"]
    never = play(steps=10, overrides=overrides, folder=tmp_path / "never")
    stopped = play(StopAt(4), steps=10, overrides=overrides, folder=tmp_path / "stopped")
    run = resumed(stopped.path)
    assert same(weights(never), weights(run))
    assert lines(never) == lines(run)


def test_it_is_of_the_scores_that_the_loss_sees() -> None:
    """Where the clamp holds a score there is no gradient, and so no penalty."""

    class Low:
        @ganlab.hookimpl
        def after_build(self, player: Any) -> None:
            if player.role == "discriminator":
                nn.init.constant_(player.network.linear.bias, -50.0)

    capture = Capture()
    play(Low(), capture, steps=1, overrides=['loss={use="bce"}', trick("clamp"), trick("r1_penalty")])
    assert capture.turns[0]["terms"]["r1_penalty"] == 0.0


def test_the_penalty_is_logged_under_its_own_name() -> None:
    capture, _ = penalties(steps=1)
    assert capture.metrics[0][1]["loss/discriminator.r1_penalty"] == pytest.approx(capture.turns[0]["terms"]["r1_penalty"])
