"""Everything that the trick can find: the sign, what it usually means, and what to try. Warnings appear in this order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ganlab.components import Role
from ganlab_health import signs
from ganlab_health.advice import DOWN, UP, Advice
from ganlab_health.history import History


@dataclass(frozen=True)
class Finding:
    """Something that may be wrong with a run.

    Attributes:
        name: as in the option ``ignore`` and in docs/health.md.
        sign: whether it is present in an interval.
        means: what that usually means.
        tries: what to try, for the recipe at hand; may return an empty list.
        patience: the sign must be present for this many times the option ``patience`` to cause a warning.
        unless: names of findings that say the same and more: after a warning of one of them, this one causes none.
        begin: for signs that themselves look back over a long time: the first step that a present sign is about. Such a finding
            causes a warning at once.
    """

    name: str
    sign: signs.Sign
    means: str
    tries: Callable[[Advice], list[str]]
    patience: float = 1.0
    unless: tuple[str, ...] = ()
    begin: Callable[[History], int] | None = None


def _weaker_discriminator(advice: Advice) -> list[str]:
    return [
        *advice.learning_rate("discriminator", DOWN),
        *advice.not_saturating(),
        *advice.smoothing(),
        *advice.dropout(),
        *advice.trick("r1_penalty"),
    ]


def _gradient(role: str) -> tuple[Finding, Finding]:
    return (
        Finding(
            f"{role}_gradient_large",
            partial(signs.gradient_large, role),
            "Gradients of this size usually explode: one update undoes what many updates have learned, and losses soon become NaN.",
            lambda advice: [
                *advice.trick("gradient_clipping"),
                *advice.other_learning_rate("discriminator"),
                *advice.trick("spectral_normalization"),
            ],
        ),
        Finding(
            f"{role}_gradient_clipped",
            partial(signs.gradient_clipped, role),
            "All updates then have the same length, whatever the loss is. The direction of such large gradients is mostly noise.",
            lambda advice: [
                *advice.other_learning_rate("discriminator"),
                *advice.trick("spectral_normalization"),
                *advice.trick("r1_penalty"),
            ],
            unless=(f"{role}_gradient_large",),
        ),
    )


def _not_trained(role: Role, other: Role) -> Finding:
    return Finding(
        f"{role}_not_trained",
        partial(signs.not_trained, role),
        f"Its weights stay the same while the {other} trains, or neither player trains.",
        lambda advice: advice.no_veto(role),
        unless=("both_losses_high",),
        begin=lambda history: history.updates[role].step + 1,
    )


FINDINGS: tuple[Finding, ...] = (
    Finding(
        "discriminator_at_zero",
        signs.discriminator_at_zero,
        "The discriminator has won: it no longer learns, and the generator can learn nothing from it. Training makes no progress.",
        _weaker_discriminator,
    ),
    Finding(
        "discriminator_always_right",
        signs.discriminator_always_right,
        "The discriminator learns faster than the generator and has nearly won. Once it has, training makes no progress.",
        _weaker_discriminator,
        patience=3.0,
        unless=("discriminator_at_zero",),
    ),
    Finding(
        "generator_stalled",
        signs.generator_stalled,
        "The discriminator recognizes every fake with certainty. There this loss is flat: the generator gets almost no gradient.",
        lambda advice: [
            *advice.not_saturating(),
            *advice.trick("adaptive_generator_steps", "max_updates", 2.0),
            *advice.learning_rate("discriminator", DOWN),
        ],
        patience=3.0,
    ),
    Finding(
        "adaptive_capped",
        signs.adaptive_capped,
        "The generator cannot catch up, however often it is updated. The tutorial's loop, which has no cap, would never end here.",
        lambda advice: [*advice.learning_rate("discriminator", DOWN), *advice.learning_rate("generator", UP), *advice.not_saturating()],
        begin=lambda history: history.cap_hits[0].step,
    ),
    Finding(
        "scores_clamped",
        signs.scores_clamped,
        "A clamped score passes no gradient: neither player learns from most samples of that side.",
        lambda advice: [*advice.trick("clamp", "margin", 0.1), *advice.learning_rate("discriminator", DOWN), *advice.trick("r1_penalty")],
    ),
    *_gradient("discriminator"),
    *_gradient("generator"),
    Finding(
        "fakes_alike",
        signs.fakes_alike,
        "The generator has collapsed: it ignores its noise and makes the one sample that the discriminator scores best.",
        lambda advice: [*advice.packing(), *advice.learning_rate("generator", DOWN), *advice.trick("r1_penalty")],
    ),
    Finding(
        "loss_falls_in_vain",
        signs.loss_falls_in_vain,
        "The generator's loss then says nothing about its samples: the generator exploits a weakness of the discriminator, or the "
        "discriminator has stopped learning.",
        lambda advice: [
            *advice.learning_rate("generator", DOWN),
            *advice.learning_rate("discriminator", UP),
            *advice.packing(),
            *advice.trick("r1_penalty"),
        ],
        unless=("fakes_alike",),
        begin=lambda history: history.past[0].step,
    ),
    Finding(
        "logarithm_of_nothing",
        signs.logarithm_of_nothing,
        "The discriminator jumps from one mistake to the next, usually because its learning rate is too large. With probabilities "
        "instead of logits the loss would be the logarithm of 0.",
        lambda advice: [*advice.learning_rate("discriminator", 0.1), *advice.clamp(), *advice.trick("gradient_clipping")],
    ),
    Finding(
        "both_losses_high",
        signs.both_losses_high,
        "The discriminator is too weak for the generator to learn from it: its learning rate is too small, or so large that it never "
        "converges.",
        lambda advice: [
            *advice.other_learning_rate("discriminator"),
            *advice.trick("gradient_clipping"),
        ],
        unless=("logarithm_of_nothing",),
    ),
    Finding(
        "never_started",
        signs.never_started,
        "Neither player learns: the learning rate is probably too small.",
        lambda advice: [*advice.learning_rate("discriminator", 10.0), *advice.learning_rate("generator", 10.0)],
        patience=2.0,
    ),
    _not_trained("generator", "discriminator"),
    _not_trained("discriminator", "generator"),
)
NAMES = tuple(finding.name for finding in FINDINGS)
