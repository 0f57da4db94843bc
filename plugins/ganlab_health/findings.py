"""Everything that the trick can find: the sign, what it usually means, and what to try. In the order in which it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ganlab.components import Role
from ganlab_health import signs
from ganlab_health.advice import DOWN, UP, Advice
from ganlab_health.seen import Seen

if TYPE_CHECKING:
    from ganlab_health.watch import Health


@dataclass(frozen=True)
class Finding:
    """Something that may be wrong with a run.

    Attributes:
        name: as it stands in ``ignore`` and in docs/health.md.
        sign: says of an interval whether it is there.
        means: what that usually means.
        tries: what to try, for the recipe at hand; may be empty.
        patience: for how many times the option ``patience`` it must be there before it is told.
        unless: names of findings that say the same and more: while one of them is told, this one is not.
        at_once: the sign itself looks back over a long time.
    """

    name: str
    sign: Callable[[Seen, Health], signs.Sign]
    means: str
    tries: Callable[[Advice], list[str]]
    patience: float = 1.0
    unless: tuple[str, ...] = ()
    at_once: bool = False


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
            "Gradients of this size usually explode: one update throws away what many have learned, and losses soon are no numbers.",
            lambda advice: [
                *advice.trick("gradient_clipping"),
                *advice.other_learning_rate("discriminator"),
                *advice.trick("spectral_normalization"),
            ],
        ),
        Finding(
            f"{role}_gradient_clipped",
            partial(signs.gradient_clipped, role),
            "All updates then have the same length whatever the loss says; the direction of such large gradients is mostly noise.",
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
        f"It stays as it is while the {other} trains on, or nobody trains at all.",
        lambda advice: advice.no_veto(role),
        unless=("both_losses_high",),
        at_once=True,
    )


FINDINGS: tuple[Finding, ...] = (
    Finding(
        "discriminator_at_zero",
        signs.discriminator_at_zero,
        "The discriminator has won: it learns nothing more, and has nothing left to teach. Training is dead.",
        _weaker_discriminator,
    ),
    Finding(
        "discriminator_always_right",
        signs.discriminator_always_right,
        "The discriminator learns faster than the generator; it is close to having won, and then training is dead.",
        _weaker_discriminator,
        patience=3.0,
        unless=("discriminator_at_zero",),
    ),
    Finding(
        "generator_stalled",
        signs.generator_stalled,
        "The discriminator is sure of every fake, and there this loss is flat: the generator gets hardly any gradient.",
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
        "The generator cannot catch up, however often it is updated; the tutorial's loop, which has no cap, would never end here.",
        lambda advice: [*advice.learning_rate("discriminator", DOWN), *advice.learning_rate("generator", UP), *advice.not_saturating()],
        at_once=True,
    ),
    Finding(
        "scores_clamped",
        signs.scores_clamped,
        "A score that is held passes no gradient: most samples of that side teach nobody anything.",
        lambda advice: [*advice.trick("clamp", "margin", 0.1), *advice.learning_rate("discriminator", DOWN), *advice.trick("r1_penalty")],
    ),
    *_gradient("discriminator"),
    *_gradient("generator"),
    Finding(
        "fakes_alike",
        signs.fakes_alike,
        "The generator has collapsed: it ignores its noise, and makes the one sample that the discriminator likes best.",
        lambda advice: [*advice.packing(), *advice.learning_rate("generator", DOWN), *advice.trick("r1_penalty")],
    ),
    Finding(
        "loss_falls_in_vain",
        signs.loss_falls_in_vain,
        "The generator's loss then says nothing about its samples: the discriminator has a blind spot that is being exploited, or has "
        "stopped learning.",
        lambda advice: [
            *advice.learning_rate("generator", DOWN),
            *advice.learning_rate("discriminator", UP),
            *advice.packing(),
            *advice.trick("r1_penalty"),
        ],
        unless=("fakes_alike",),
        at_once=True,
    ),
    Finding(
        "logarithm_of_nothing",
        signs.logarithm_of_nothing,
        "The discriminator jumps from one mistake to the next, mostly because its learning rate is too large. With probabilities in "
        "place of logits these would be logarithms of 0.",
        lambda advice: [*advice.learning_rate("discriminator", 0.1), *advice.clamp(), *advice.trick("gradient_clipping")],
    ),
    Finding(
        "both_losses_high",
        signs.both_losses_high,
        "The discriminator is too weak to teach, so the generator cannot learn: its learning rate is too small, or so large that it "
        "never settles.",
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
