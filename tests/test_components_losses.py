"""The losses: values and gradients against PyTorch's own, targets, and what is refused."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from engine_support import Capture
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits, logsigmoid

import ganlab
from ganlab.errors import RecipeError
from ganlab.game.turn import Turn
from ganlab.testing import play, prepare
from ganlab_losses import BCE, RelativisticBCE
from ganlab_losses.cross_entropy import softplus

LOGITS = torch.tensor([-60.0, -21.0, -3.0, -0.1, 0.0, 0.4, 2.5, 19.9, 20.1, 36.0, 700.0], dtype=torch.float64)


def turn(real: Tensor | None = None, fake: Tensor | None = None, **more: Any) -> Turn:
    return Turn(None, ("real", "fake"), 1, real_scores=real, fake_scores=fake, **more)  # type: ignore[arg-type]


def with_gradient(loss: Callable[[Tensor], Tensor], scores: Tensor) -> tuple[Tensor, Tensor]:
    scores = scores.clone().requires_grad_(True)
    value = loss(scores)
    assert value.shape == ()
    (gradient,) = torch.autograd.grad(value, scores)
    return value.detach(), gradient


def agree(ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor], scores: Tensor = LOGITS) -> None:
    for mine, other in zip(with_gradient(ours, scores), with_gradient(theirs, scores), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-13, atol=1e-15)


def entropy(target: float) -> Callable[[Tensor], Tensor]:
    return lambda scores: binary_cross_entropy_with_logits(scores, torch.full_like(scores, target))


@pytest.mark.parametrize(("real", "fake", "generator"), [*itertools.product([1.0, 0.9], [0.0, 0.15], [1.0, 0.98, 0.0])])
def test_bce_is_pytorchs_in_value_and_gradient(real: float, fake: float, generator: float) -> None:
    loss = BCE(real_label=real, fake_label=fake, generator_label=generator)
    agree(lambda scores: loss.real(turn(real=scores)), entropy(real))
    agree(lambda scores: loss.fake(turn(fake=scores)), entropy(fake))
    agree(lambda scores: loss.generator(turn(fake=scores)), entropy(generator))


def test_bce_of_logits_is_bce_of_their_probabilities() -> None:
    scores = torch.linspace(-12, 12, 49, dtype=torch.float64)
    for label in (0.0, 0.3, 1.0):
        ours, theirs = BCE(generator_label=label), torch.full_like(scores, label)
        mine = with_gradient(lambda s, loss=ours: loss.generator(turn(fake=s)), scores)  # type: ignore[misc]
        other = with_gradient(lambda s, target=theirs: binary_cross_entropy(s.sigmoid(), target), scores)  # type: ignore[misc]
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-12)


def test_the_saturating_generator_minimises_log_one_minus_d() -> None:
    loss = BCE(saturating=True)
    agree(lambda scores: loss.generator(turn(fake=scores)), lambda scores: logsigmoid(-scores).mean())
    value, gradient = with_gradient(lambda scores: loss.generator(turn(fake=scores)), torch.tensor([-40.0]))
    assert value == pytest.approx(0, abs=1e-12)
    assert gradient.abs().max() < 1e-12  # where D is sure of a fake, it teaches nothing: hence the name
    strong = with_gradient(lambda scores: BCE().generator(turn(fake=scores)), torch.tensor([-40.0]))
    assert strong[1].item() == pytest.approx(-1)


def test_saturating_changes_the_generator_alone() -> None:
    for method in ("real", "fake"):
        first, second = getattr(BCE(), method)(turn(LOGITS, LOGITS)), getattr(BCE(saturating=True), method)(turn(LOGITS, LOGITS))
        assert first.equal(second)


def test_bce_in_float32_keeps_gradients_where_probabilities_lose_them() -> None:
    logits = torch.tensor([30.0])
    _, ours = with_gradient(lambda scores: BCE().fake(turn(fake=scores)), logits)
    _, theirs = with_gradient(lambda scores: binary_cross_entropy(scores.sigmoid(), torch.zeros(1)), logits)
    assert ours.item() == 1.0
    assert theirs.item() == 0.0


def test_targets_of_the_turn_take_the_place_of_the_losss_own() -> None:
    loss, scores = BCE(real_label=0.9, fake_label=0.1), LOGITS
    for target in (0.0, 0.25, 1.0, torch.linspace(0, 1, len(scores), dtype=torch.float64)):
        wanted = binary_cross_entropy_with_logits(scores, torch.as_tensor(target, dtype=torch.float64).expand_as(scores))
        torch.testing.assert_close(loss.real(turn(real=scores, real_target=target)), wanted, rtol=1e-13, atol=0)
        torch.testing.assert_close(loss.fake(turn(fake=scores, fake_target=target)), wanted, rtol=1e-13, atol=0)
    generator = loss.generator(turn(fake=scores, fake_target=0.3, real_target=0.3))
    assert generator.equal(loss.generator(turn(fake=scores)))


def test_relativistic_bce_compares_pair_by_pair() -> None:
    real, fake = LOGITS, LOGITS.flip(0) / 3
    loss, zeros, ones = RelativisticBCE(), torch.zeros_like(real), torch.ones_like(real)
    torch.testing.assert_close(
        loss.discriminator(turn(real, fake)), binary_cross_entropy_with_logits(real - fake, ones), rtol=1e-13, atol=0
    )
    torch.testing.assert_close(loss.generator(turn(real, fake)), binary_cross_entropy_with_logits(real - fake, zeros), rtol=1e-13, atol=0)
    agree(lambda s: loss.generator(turn(real, s)), lambda s: binary_cross_entropy_with_logits(s - real, ones))
    shifted = loss.discriminator(turn(real + 5, fake + 5))
    torch.testing.assert_close(shifted, loss.discriminator(turn(real, fake)))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("saturating=true,generator_label=0.9", "generator_label has no effect when saturating = true; remove one of them"),
        (
            'saturating=true,derivative="matlab_published"',
            'derivative = "matlab_published" is that of the non-saturating loss; remove saturating = true',
        ),
        ("real_label=0.5,fake_label=0.5", "real_label = 0.5 must be greater than fake_label = 0.5"),
    ],
)
def test_impossible_options_are_refused_with_their_place(options: str, why: str) -> None:
    with pytest.raises(RecipeError) as caught:
        prepare(overrides=[f'loss={{use="bce",{options}}}'])
    (mistake,) = caught.value.mistakes
    assert mistake == f"--set loss={{use=\"bce\",{options}}}: loss 'bce': {why}"


def test_a_loss_on_pairs_is_refused_where_both_sides_never_meet() -> None:
    version = ganlab.__version__
    for key, reason, hint in (
        (
            'discriminator_turn="two_updates"',
            'compares real with fake scores; schedule.discriminator_turn = "two_updates" never computes both in one turn',
            'use discriminator_turn = "two_passes"',
        ),
        (
            'discriminator_loss="mean"',
            'has one term for both sides; schedule.discriminator_loss = "mean" needs one for each side',
            'use discriminator_loss = "sum"',
        ),
    ):
        with pytest.raises(RecipeError) as caught:
            prepare(overrides=['loss={use="relativistic_bce"}', f"schedule.{key}"])
        owner = f"loss 'relativistic_bce' (plugin losses, ganlab {version})"
        assert str(caught.value) == f'--set loss={{use="relativistic_bce"}}: {owner} {reason}\n{hint}'


def test_the_players_may_have_different_losses() -> None:
    capture = Capture()
    play(capture, steps=1, overrides=['loss={generator={use="relativistic_bce"},discriminator={use="bce",real_label=0.9}}'])
    discriminator, generator = capture.turns
    real, fake = discriminator["real_scores"], discriminator["fake_scores"]
    assert discriminator["loss"] == pytest.approx((entropy(0.9)(real) + entropy(0.0)(fake)).item())
    wanted = RelativisticBCE().generator(turn(generator["real_scores"], generator["fake_scores"]))
    assert generator["loss"] == pytest.approx(wanted.item())
    assert generator["real"].equal(discriminator["real"])


def test_raw_scores_are_logged_where_they_are_no_logits() -> None:
    capture = Capture()
    play(capture, steps=1, overrides=['loss={use="relativistic_bce"}'])
    assert capture.metrics[0][1]["score/real"] == pytest.approx(capture.turns[0]["real_scores"].mean().item())
    capture = Capture()
    play(capture, steps=1, overrides=['loss={use="bce"}'])
    assert capture.metrics[0][1]["score/real"] == pytest.approx(capture.turns[0]["real_scores"].sigmoid().mean().item())


def published(logit: float, target: float) -> float:
    """The derivative in the published code of the MATLAB tutorial (T1), as its reading has it."""
    sigma = 1 / (1 + math.exp(-logit))
    return 2 - sigma - target if logit > 0 else sigma - target if logit < 0 else -target


@pytest.mark.parametrize(("method", "target"), [("real", 1.0), ("fake", 0.0), ("generator", 1.0), ("real", 0.9), ("fake", 0.2)])
def test_the_published_derivative_with_the_true_losses(method: str, target: float) -> None:
    options = {} if method == "generator" else {f"{method}_label": target}
    ours, exact = BCE(derivative="matlab_published", **options), BCE(**options)
    value, gradient = with_gradient(lambda s: getattr(ours, method)(turn(s, s)), LOGITS)
    torch.testing.assert_close(value, getattr(exact, method)(turn(LOGITS, LOGITS)), rtol=1e-14, atol=0)
    wanted = torch.tensor([published(logit, target) / len(LOGITS) for logit in LOGITS.tolist()], dtype=torch.float64)
    torch.testing.assert_close(gradient, wanted, rtol=1e-13, atol=1e-15)


def test_the_published_derivative_is_that_of_the_functions_the_reading_names() -> None:
    """y = 1: softplus(-x) for x <= 0, 2 ln 2 - softplus(-x) for x > 0; y = 0: softplus(x), 2x - softplus(x) + 2 ln 2."""
    away = LOGITS[LOGITS != 0]
    ours = BCE(derivative="matlab_published")
    for method, above in (("real", lambda x: -softplus(-x)), ("fake", lambda x: 2 * x - softplus(x))):
        below = (lambda x: softplus(-x)) if method == "real" else softplus
        _, gradient = with_gradient(lambda s, m=method: getattr(ours, m)(turn(s, s)), away)
        _, wanted = with_gradient(lambda s, a=above, b=below: torch.where(s > 0, a(s), b(s)).mean(), away)
        torch.testing.assert_close(gradient, wanted, rtol=1e-13, atol=1e-15)


def test_the_published_derivative_takes_the_targets_of_a_trick() -> None:
    soft = torch.full_like(LOGITS, 0.7)
    gradients = []
    for target in (0.7, soft):
        loss = BCE(derivative="matlab_published")
        gradients.append(with_gradient(lambda s, t=target, one=loss: one.real(turn(s, s, real_target=t)), LOGITS)[1])
    assert gradients[0].equal(gradients[1])
    assert gradients[0][-1].item() == pytest.approx((2 - 1 - 0.7) / len(LOGITS))
