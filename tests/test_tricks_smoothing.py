"""Label smoothing: the discriminator's targets, and nobody else's."""

from __future__ import annotations

import pytest
import torch
from engine_support import Capture, trick
from torch.nn.functional import binary_cross_entropy_with_logits

import ganlab
from ganlab.errors import RecipeError, UsageError
from ganlab.testing import play, prepare


def entropy(scores: torch.Tensor, target: float) -> float:
    return binary_cross_entropy_with_logits(scores, torch.full_like(scores, target)).item()


@pytest.mark.parametrize("turn", ["two_passes", "one_pass", "two_updates"])
@pytest.mark.parametrize(("options", "real", "fake"), [({}, 0.9, 0.0), ({"real": 0.98, "fake": 0.02}, 0.98, 0.02)])
def test_it_sets_the_targets_of_the_discriminator(turn: str, options: dict[str, float], real: float, fake: float) -> None:
    capture = Capture()
    given = ['loss={use="bce"}', trick("label_smoothing", **options), f"schedule.discriminator_turn={turn}"]
    play(capture, steps=3, overrides=given)
    terms = {"real": 0, "fake": 0}
    for played in capture.of("discriminator"):
        for side, target in (("real", real), ("fake", fake)):
            if side in played["terms"]:
                terms[side] += 1
                assert played["terms"][side] == pytest.approx(entropy(played[f"{side}_scores"], target), rel=1e-6)
    assert terms == {"real": 3, "fake": 3}
    for played in capture.of("generator"):
        assert played["loss"] == pytest.approx(entropy(played["fake_scores"], 1.0), rel=1e-6)


def test_it_takes_the_place_of_the_losss_own_labels() -> None:
    capture = Capture()
    play(capture, steps=1, overrides=['loss={use="bce",real_label=0.7,fake_label=0.3}', trick("label_smoothing", real=0.8)])
    assert capture.turns[0]["terms"]["real"] == pytest.approx(entropy(capture.turns[0]["real_scores"], 0.8), rel=1e-6)


def test_it_is_refused_with_a_loss_that_has_no_labels() -> None:
    with pytest.raises(UsageError) as caught:
        prepare(overrides=['loss={use="relativistic_bce"}', trick("label_smoothing")])
    assert str(caught.value) == (
        f"label_smoothing has no effect on loss 'relativistic_bce' (plugin losses, ganlab {ganlab.__version__}), "
        "which has no label targets\nuse the loss bce, or remove label_smoothing"
    )


def test_targets_the_wrong_way_round_are_refused() -> None:
    override = trick("label_smoothing", real=0.1, fake=0.2)
    with pytest.raises(RecipeError) as caught:
        prepare(overrides=[override])
    assert caught.value.mistakes == [f"--set {override}: trick 'label_smoothing': real = 0.1 must be greater than fake = 0.2"]
