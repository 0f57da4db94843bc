"""Gradient clipping: the exact rule, one player's gradients or both, and nothing below the threshold."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from engine_support import Capture, trick

import ganlab
from ganlab.testing import play

ROLES = ("discriminator", "generator")


def played(*overrides: str) -> Capture:
    capture = Capture()  # a watcher: it sees gradients after the recipe's tricks
    play(capture, steps=1, overrides=["train.dtype=float64", *overrides])
    return capture


def norm_of(gradients: list[torch.Tensor]) -> float:
    return float(sum(gradient.square().sum() for gradient in gradients)) ** 0.5


@pytest.mark.parametrize("player", ["both", "discriminator", "generator"])
def test_it_clips_one_player_or_both_by_exactly_the_rule(player: str) -> None:
    free, clipped = played(), played(trick("gradient_clipping", max_norm=0.05, player=player))
    for role in ROLES:
        before, after = free.of(role)[0]["gradients"], clipped.of(role)[0]["gradients"]
        if role == "generator" and player != "generator":  # the discriminator that it meets has learned otherwise
            before = played(trick("gradient_clipping", max_norm=0.05, player="discriminator")).of(role)[0]["gradients"]
        norm = norm_of(before)
        assert norm > 0.05
        factor = 0.05 / norm if player in ("both", role) else 1.0
        for b, a in zip(before, after, strict=True):
            torch.testing.assert_close(a, b * factor, rtol=1e-14, atol=0)
        assert norm_of(after) == pytest.approx(0.05 if player in ("both", role) else norm, rel=1e-14)


def test_gradients_below_the_threshold_are_left_as_they_are() -> None:
    free, clipped = played(), played(trick("gradient_clipping", max_norm=1e6))
    for role in ROLES:
        for before, after in zip(free.of(role)[0]["gradients"], clipped.of(role)[0]["gradients"], strict=True):
            assert before.equal(after)


def test_it_does_not_divide_by_a_little_more_as_pytorch_does() -> None:
    """clip_grad_norm_ divides by norm + 1e-6: at a norm of 1e-5 that is a tenth less."""
    clipped = played(trick("gradient_clipping", max_norm=1e-6, player="discriminator"))
    assert norm_of(clipped.of("discriminator")[0]["gradients"]) == pytest.approx(1e-6, rel=1e-12)


def test_two_clippings_may_have_their_own_thresholds() -> None:
    clipped = played(
        trick("gradient_clipping", "strict", max_norm=0.02, player="generator"), trick("gradient_clipping", "mild", max_norm=0.04)
    )
    assert norm_of(clipped.of("discriminator")[0]["gradients"]) == pytest.approx(0.04)
    assert norm_of(clipped.of("generator")[0]["gradients"]) == pytest.approx(0.02)


def test_no_gradient_is_no_trouble() -> None:
    """0 / 0 is not a number; a gradient of zero must stay zero."""

    class Nothing:
        @ganlab.hookimpl
        def after_scores(self, turn: Any) -> None:
            turn.fake_scores = turn.fake_scores * 0

    capture = Capture()
    play(Nothing(), capture, steps=1, overrides=['loss={use="bce"}', trick("gradient_clipping")])
    assert all(gradient.eq(0).all() for gradient in capture.of("generator")[0]["gradients"])


def test_the_norm_before_clipping_and_how_often_it_was_too_great_are_logged() -> None:
    free = played()
    norm = norm_of(free.of("discriminator")[0]["gradients"])
    for most, share in ((0.9 * norm, 1.0), (1.1 * norm, 0.0)):
        metrics = played(trick("gradient_clipping", max_norm=most)).metrics[0][1]
        assert metrics["gradient/discriminator_norm"] == pytest.approx(norm)
        assert metrics["gradient/discriminator_clipped"] == share
        assert metrics["gradient/generator_norm"] > 0
    only = played(trick("gradient_clipping", player="generator")).metrics[0][1]
    assert "gradient/discriminator_norm" not in only
