"""The signs: predicates on the metrics of an interval. A sign reads; it never records anything.

A sign returns a sentence if it is present, ``""`` if it is not, and None if the metrics do not tell. Signs that make sense only if
sigmoid(score) is a probability return None for other losses.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ganlab.components import Role
from ganlab_health.context import Context
from ganlab_health.history import POOR_VARIETY, is_high
from ganlab_health.interval import Interval

SignText = str | None
Sign = Callable[[Interval, Context], SignText]

LARGEST_LOGARITHM = 16.64  # above this logit the sigmoid is 1 in float32, and log(1 - sigmoid) is infinite
VARIETY_FALLS = 0.7  # the variety has fallen if it is below this share of its earlier value


def not_trained(role: Role, interval: Interval, context: Context) -> SignText:
    """A player has not been updated for ``patience`` steps, or never by the end of the run."""
    updates = context.history.updates[role]
    steps_without, never_updated = interval.step - updates.step, not updates.total
    if not steps_without or (role == "generator" and context.facts.head_start and never_updated and not interval.ends_run):
        return ""
    if steps_without < context.thresholds.patience and not (interval.ends_run and never_updated):
        return ""
    return f"the {role} has not been updated: {context.facts.why_not_updated(role)}"


def discriminator_at_zero(interval: Interval, context: Context) -> SignText:
    """D's loss is nearly 0. For a loss that may be negative (a Wasserstein critic's) 0 is no bound, and the sign returns None."""
    loss = interval.raw_discriminator_loss
    if loss is None or not context.history.bounded:
        return None
    if loss >= context.thresholds.loss_zero:
        return ""
    never_updated = interval.metrics.get("updates/generator") == 0
    if never_updated and context.facts.head_start:
        return ""
    remark = "; the generator has never been updated" if never_updated else ""
    return f"the discriminator's loss is close to 0 ({loss:.2g} for real and fake together, without penalties{remark})"


def discriminator_always_right(interval: Interval, context: Context) -> SignText:
    """D classifies nearly all samples of both sides correctly."""
    real, fake = interval.metrics.get("accuracy/real"), interval.metrics.get("accuracy/fake")
    if real is None or fake is None:
        return None
    waiting = context.facts.head_start and interval.metrics.get("updates/generator") == 0
    if min(real, fake) >= context.thresholds.always_right and not waiting:
        return f"the discriminator classifies {real:.2%} of the real samples and {fake:.2%} of the fakes correctly"
    return ""


def generator_stalled(interval: Interval, context: Context) -> SignText:
    """The saturating loss, a negative number, is nearly 0, and so is its gradient."""
    loss = interval.generator_loss
    if loss is None or not context.history.saturating:
        return None
    stalled = abs(loss) < context.thresholds.stalled_below
    return f"the generator's saturating loss is close to 0: mean log(1 - D(G(z))) is {loss:.3g}" if stalled else ""


def adaptive_capped(interval: Interval, context: Context) -> SignText:
    """The adaptive rule needed more updates of G than its cap allows, several times."""
    if "adaptive/capped" not in interval.metrics:
        return None
    hits = sum(entry.hits for entry in context.history.cap_hits)
    if not hits >= context.thresholds.capped:
        return ""
    steps = min(context.thresholds.patience, interval.step)
    return f"the adaptive rule hit its cap of generator updates in {hits:.0f} of the last {steps:,} steps"


def scores_clamped(interval: Interval, context: Context) -> SignText:
    """The clamp limits many scores."""
    shares = {side: share for side in ("real", "fake") if (share := interval.metrics.get(f"clamp/{side}")) is not None}
    if not shares:
        return None
    side = max(shares, key=lambda side: shares[side])
    return "" if shares[side] <= context.thresholds.clamped else f"the clamp limits {shares[side]:.0%} of the {side} scores"


def gradient_large(role: str, interval: Interval, context: Context) -> SignText:
    """A player's gradient is large, before clipping by ``gradient_clipping``."""
    norm = interval.metrics.get(f"gradient/{role}_norm")
    norm = interval.metrics.get(f"health/{role}_gradient_norm") if norm is None else norm
    if norm is None:
        return None
    return f"the norm of the {role}'s gradient is {norm:.3g}" if norm > context.thresholds.gradient_norm else ""


def gradient_clipped(role: str, interval: Interval, context: Context) -> SignText:
    """Nearly all of a player's updates are clipped, and by a large factor.

    Adam tolerates frequent clipping. Clipping by a large factor means that the direction is noise.
    """
    share, norm = interval.metrics.get(f"gradient/{role}_clipped"), interval.metrics.get(f"gradient/{role}_norm")
    limit = context.facts.gradient_limits.get(role)
    if share is None or norm is None or limit is None:
        return None
    if share < context.thresholds.clip_rate or norm < context.thresholds.clipped_by * limit:
        return ""
    return f"{share:.0%} of the {role}'s updates are clipped, from a mean gradient norm of {norm:.3g} to {limit:g}"


def fakes_alike(interval: Interval, context: Context) -> SignText:
    """The fakes of a batch are nearly the same, though the generator has been updated."""
    variety = interval.metrics.get("health/variety")
    if variety is None or interval.metrics.get("updates/generator") == 0:
        return None
    greatest = context.history.greatest_variety
    lost = greatest >= POOR_VARIETY and variety < context.thresholds.variety_lost * greatest
    if variety >= context.thresholds.variety and not lost:
        return ""
    decline = f", down from {greatest:.0%}" if lost else ""
    return f"the fakes of a batch are nearly the same: their spread is {variety:.2%} of the real samples'{decline}"


def both_losses_high(interval: Interval, context: Context) -> SignText:
    """D is weak, and G does not profit: its loss is high too, or it is not updated at all."""
    d_loss, g_loss = interval.discriminator_loss, interval.generator_loss
    if d_loss is None:
        return None
    if d_loss <= context.thresholds.weak_above or (g_loss is not None and not is_high(g_loss, 1.0, context.history.saturating)):
        return ""
    generator = "the generator is not updated" if g_loss is None else f"the generator's is {g_loss:.3g}, no better than chance"
    return f"both losses are high: the discriminator's is {d_loss:.3g} (chance is log 4 = 1.39) and {generator}"


def never_started(interval: Interval, context: Context) -> SignText:
    """Both losses are where they began, and the fakes do not look like the data."""
    d_loss, g_loss, variety = interval.discriminator_loss, interval.generator_loss, interval.metrics.get("health/variety")
    if d_loss is None or context.history.started_before:
        return None
    if context.history.started:
        return ""
    if variety is None:
        return None
    losses = f"{d_loss:.3g}" if g_loss is None else f"{d_loss:.3g} and {g_loss:.3g}"
    return f"both losses are still as high as at the start ({losses}), and the spread of the fakes is {variety:.0%} of the real samples'"


def logarithm_of_nothing(interval: Interval, context: Context) -> SignText:
    """D's loss is larger than the logarithm of a float32 probability can be."""
    loss = interval.discriminator_loss
    if loss is None or "clamp/real" in interval.metrics or "clamp/fake" in interval.metrics:
        return None
    if loss <= LARGEST_LOGARITHM:
        return ""
    return f"the discriminator's loss is {loss:.3g}: it is certain and wrong, as if it took the logarithm of a probability close to 0"


def loss_falls_in_vain(interval: Interval, context: Context) -> SignText:
    """G's loss falls over a long time, and the samples do not improve."""
    past, thresholds = context.history.past, context.thresholds
    if interval.raw_generator_loss is None or not context.history.past_is_long(thresholds.patience):
        return None
    third = len(past) // 3
    early, middle, late = past[:third], past[third:-third], past[-third:]
    first_mean, middle_mean, last_mean = (mean([point.loss for point in points]) for points in (early, middle, late))
    falls_throughout = first_mean > middle_mean > last_mean
    if not (falls_throughout and first_mean - last_mean > thresholds.falling * max(abs(first_mean), 0.1)):
        return ""
    falls = f"the generator's loss fell from {first_mean:.3g} to {last_mean:.3g} while nothing improved: "
    if all(point.margin <= 0 for point in late):
        return falls + "the discriminator now gives fakes higher scores than real samples"
    before, now = (mean([point.variety for point in points if point.variety >= 0]) for points in (early, late))
    if now < POOR_VARIETY and now < VARIETY_FALLS * before:
        return falls + f"the spread of the fakes fell from {before:.0%} to {now:.0%} of the real samples'"
    return ""


def mean(values: list[float]) -> float:
    """The mean; NaN if there are no values. Comparisons with NaN are false."""
    return sum(values) / len(values) if values else math.nan
