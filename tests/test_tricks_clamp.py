"""The clamp: values, dead zones, and that it is the tutorial's clamp on probabilities."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from engine_support import Capture, Plugin, trick
from torch import Tensor

import ganlab
from ganlab.errors import UsageError
from ganlab.game.turn import Turn
from ganlab.testing import play, prepare
from ganlab_losses import BCE
from ganlab_stability.clamp import Clamp

BOUND = math.log(999)  # of the logit, at a margin of 1e-3
SCORES = torch.tensor([-80.0, -7.0, -6.8, -1.0, 0.0, 2.0, 6.8, 7.0, 30.0], dtype=torch.float64)


def held(clamp: Clamp, real: Tensor | None = None, fake: Tensor | None = None) -> tuple[Turn, dict[str, float]]:
    recorded: dict[str, float] = {}
    turn = Turn(None, ("real", "fake"), 1, real_scores=real, fake_scores=fake)  # type: ignore[arg-type]
    run: Any = SimpleNamespace(record=lambda name, value: recorded.update({name: value.item()}))
    clamp.after_scores(run, turn)
    return turn, recorded


def test_it_holds_real_scores_from_below_and_fake_ones_from_above() -> None:
    turn, recorded = held(Clamp(), SCORES, SCORES)
    assert turn.real_scores is not None
    assert turn.fake_scores is not None
    assert turn.real_scores.tolist() == [-BOUND, -BOUND, *SCORES.tolist()[2:]]
    assert turn.fake_scores.tolist() == [*SCORES.tolist()[:-2], BOUND, BOUND]
    assert recorded == {"clamp/real": pytest.approx(2 / 9), "clamp/fake": pytest.approx(2 / 9)}


def test_both_ends() -> None:
    turn, recorded = held(Clamp(both_ends=True), SCORES, SCORES)
    assert turn.real_scores is not None
    assert turn.fake_scores is not None
    assert turn.real_scores.tolist() == turn.fake_scores.tolist() == [-BOUND, -BOUND, *SCORES.tolist()[2:-2], BOUND, BOUND]
    assert recorded == {"clamp/real": pytest.approx(4 / 9), "clamp/fake": pytest.approx(4 / 9)}


def test_a_side_that_is_not_scored_is_left_alone() -> None:
    turn, recorded = held(Clamp(), fake=SCORES)
    assert turn.real_scores is None
    assert list(recorded) == ["clamp/fake"]


@pytest.mark.parametrize("margin", [1e-3, 1e-2, 0.3])
def test_it_is_the_tutorials_clamp_on_probabilities(margin: float) -> None:
    """T3: l_r = mean(-log clamp(D(x), c, 1)), l_f = mean(-log(1 - clamp(D(G(z)), 0, 1 - c))), and G's mean(log(1 - clamp(...)))."""
    scores = torch.linspace(-12, 12, 49, dtype=torch.float64)

    def ours(method: str, logits: Tensor) -> Tensor:
        turn, _ = held(Clamp(margin), real=logits) if method == "real" else held(Clamp(margin), fake=logits)
        value: Tensor = getattr(BCE(saturating=True), method)(turn)
        return value

    def tutorials(method: str, logits: Tensor) -> Tensor:
        if method == "real":
            return -torch.log(torch.clamp(logits.sigmoid(), margin, 1)).mean()
        value = torch.log(1 - torch.clamp(logits.sigmoid(), 0, 1 - margin)).mean()
        return value if method == "generator" else -value

    for method in ("real", "fake", "generator"):
        found = []
        for loss in (ours, tutorials):
            logits = scores.clone().requires_grad_(True)
            value = loss(method, logits)
            found.append((value, *torch.autograd.grad(value, logits)))
        torch.testing.assert_close(found[0], found[1], rtol=1e-11, atol=1e-13)
        dead = scores < math.log(margin / (1 - margin)) if method == "real" else scores > math.log((1 - margin) / margin)
        assert found[0][1][dead].eq(0).all()
        assert found[0][1][~dead].ne(0).all()
        assert dead.any()


def test_no_loss_can_exceed_the_logarithm_of_the_margin() -> None:
    huge = torch.full((4,), 1e30)
    turn, _ = held(Clamp(), -huge, huge)
    for method in ("real", "fake", "generator"):
        value = getattr(BCE(saturating=True), method)(turn)
        assert abs(value.item()) == pytest.approx(-math.log(1e-3), rel=1e-5)


class Push:
    """A discriminator that takes everything for real, or for fake."""

    def __init__(self, bias: float) -> None:
        self.bias = bias

    @ganlab.hookimpl
    def after_build(self, player: Any) -> None:
        if player.role == "discriminator":
            torch.nn.init.constant_(player.network.linear.bias, self.bias)
            torch.nn.init.constant_(player.network.linear.weight, 0.01)


def test_in_a_run_what_is_held_teaches_neither_player() -> None:
    capture = Capture()
    options = {"steps": 1, "overrides": ['loss={use="bce"}', trick("clamp"), "schedule.discriminator_turn=two_updates"]}
    play(Push(9.0), capture, **options)
    real, fake, generator = capture.turns
    assert all(gradient.abs().max() > 0 for gradient in real["gradients"])
    assert all(gradient.eq(0).all() for turn in (fake, generator) for gradient in turn["gradients"])
    metrics = capture.metrics[0][1]
    assert (metrics["clamp/real"], metrics["clamp/fake"]) == (0.0, 1.0)
    assert metrics["score/fake"] > 0.9998  # what is logged is what D gave, not what the clamp left of it
    free = Capture()
    play(Push(9.0), free, steps=1, overrides=['loss={use="bce"}', "schedule.discriminator_turn=two_updates"])
    assert all(gradient.abs().max() > 0 for turn in free.turns for gradient in turn["gradients"])


class Spread:
    """Scores from -3.5 to 3.5 in D's turn, and 3.5 throughout in G's."""

    @ganlab.hookimpl
    def after_scores(self, turn: Turn) -> None:
        spread = torch.arange(8) - 3.5
        if turn.real_scores is not None:
            turn.real_scores = turn.real_scores * 0 + spread
        if turn.fake_scores is not None:
            turn.fake_scores = turn.fake_scores * 0 + (spread if turn.role == "discriminator" else 3.5)


def test_the_share_that_is_held_is_logged_over_both_players_turns() -> None:
    capture = Capture()
    given = ['loss={use="bce"}', trick("spread"), trick("clamp", margin=0.1), "train.log_every=2"]  # held from 2.2 on
    play(capture, steps=2, overrides=given, plugins=[Plugin(tricks={"spread": Spread})])
    metrics = capture.metrics[0][1]
    assert metrics["clamp/real"] == 2 / 8
    assert metrics["clamp/fake"] == (2 / 8 + 1) / 2


def test_it_is_refused_where_scores_are_no_logits() -> None:
    with pytest.raises(UsageError) as caught:
        prepare(overrides=[trick("clamp"), 'loss={generator={use="relativistic_bce"},discriminator={use="bce"}}'])
    owner = f"loss 'relativistic_bce' (plugin losses, ganlab {ganlab.__version__})"
    assert str(caught.value) == f"clamp needs scores that are logits, and those of {owner} are not\nuse the loss bce, or remove clamp"


@pytest.mark.parametrize("margin", [0.0, 0.5, -0.1])
def test_a_margin_out_of_range_is_refused(margin: float) -> None:
    with pytest.raises(UsageError, match=r"tricks\.clamp\.margin"):
        prepare(overrides=[trick("clamp", margin=margin)])
