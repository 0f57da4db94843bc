"""What can be seen in an interval's numbers. A sign is a sentence where it is there, "" where it is not, None where nothing can be said.

Signs that make sense only where sigmoid(score) is a probability are None for other losses.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ganlab.components import Role
from ganlab_health.seen import Seen

if TYPE_CHECKING:
    from ganlab_health.watch import Health

Sign = str | None
LOG_OF_NOTHING = 16.64  # a logit above: in float32 its sigmoid is 1, and log(1 - 1) would be of 0
WEAK = 0.9  # of the loss of a coin's toss: a player whose loss never fell below it has learned nothing yet
POOR = 0.5  # of the real spread: fakes that vary less have not become what the data are
LOST = 0.7  # of what the variety was: it falls


def not_trained(role: Role, seen: Seen, health: Health) -> Sign:
    """A player has had no update for long, or none at all by the end of the run."""
    updates, since = health.idle[role]
    idle = seen.step - since
    if not idle or (role == "generator" and health.head_start and not updates and not seen.last):
        return ""
    if idle < health.patience and not (seen.last and not updates):
        return ""
    return f"the {role} has had no update: {health.why_idle(role)}"


def discriminator_at_zero(seen: Seen, health: Health) -> Sign:
    """D's loss is nearly 0. Of a loss that may be negative (a Wasserstein critic's) 0 is no bound, and nothing is said."""
    loss = seen.raw_discriminator
    if loss is None:
        return None
    health.bounded = health.bounded and loss >= 0
    if not health.bounded or loss >= health.loss_zero:
        return "" if health.bounded else None
    never = seen.get("updates/generator") == 0
    if never and health.head_start:
        return ""
    alone = "; the generator has never been updated" if never else ""
    return f"the discriminator's loss is at 0 ({loss:.2g}, real and fake together, without penalties{alone})"


def discriminator_always_right(seen: Seen, health: Health) -> Sign:
    """D is right on both sides, always."""
    real, fake = seen.get("accuracy/real"), seen.get("accuracy/fake")
    if real is None or fake is None:
        return None
    right = min(real, fake) >= health.always_right and not (health.head_start and seen.get("updates/generator") == 0)
    return f"the discriminator is right on {real:.2%} of the real samples and {fake:.2%} of the fakes" if right else ""


def generator_stalled(seen: Seen, health: Health) -> Sign:
    """The saturating loss, a negative number, is nearly 0: so is its gradient."""
    loss = seen.generator
    if loss is None or not health.saturating:
        return None
    stalled = abs(loss) < health.stalled_below
    return f"the generator's saturating loss is nearly 0: mean log(1 - D(G(z))) is {loss:.3g}" if stalled else ""


def adaptive_capped(seen: Seen, health: Health) -> Sign:
    """The adaptive rule wanted more updates of G than it may have, again and again."""
    if "adaptive/capped" not in seen.metrics:
        return None
    hits = sum(count for _, count in health.hits)
    steps = min(health.patience, seen.step)
    return f"the adaptive rule hit its cap of generator updates in {hits:.0f} of the last {steps:,} steps" * (hits >= health.capped)


def scores_clamped(seen: Seen, health: Health) -> Sign:
    """Many scores are held by the clamp."""
    shares = {side: share for side in ("real", "fake") if (share := seen.get(f"clamp/{side}")) is not None}
    if not shares:
        return None
    side = max(shares, key=lambda side: shares[side])
    if shares[side] <= health.clamped:
        return ""
    return f"the clamp holds {shares[side]:.0%} of the {'real' if side == 'real' else 'fake'} scores"


def gradient_large(role: str, seen: Seen, health: Health) -> Sign:
    """A player's gradient is large, before any clipping by gradient_clipping."""
    norm = seen.get(f"gradient/{role}_norm")
    norm = seen.get(f"health/{role}_gradient_norm") if norm is None else norm
    if norm is None:
        return None
    return f"the {role}'s gradient has a norm of {norm:.3g}" if norm > health.gradient_norm else ""


def gradient_clipped(role: str, seen: Seen, health: Health) -> Sign:
    """Nearly all of a player's updates are clipped, and by much: Adam does not mind the one, but the direction of the other is noise."""
    share, norm, most = seen.get(f"gradient/{role}_clipped"), seen.get(f"gradient/{role}_norm"), health.limits.get(role)
    if share is None or norm is None or most is None:
        return None
    if share < health.clip_rate or norm < health.clipped_by * most:
        return ""
    return f"{share:.0%} of the {role}'s updates are clipped, from a mean gradient norm of {norm:.3g} to {most:g}"


def fakes_alike(seen: Seen, health: Health) -> Sign:
    """The fakes of a batch are nearly the same, though the generator has been trained."""
    variety = seen.get("health/variety")
    if variety is None or seen.get("updates/generator") == 0:
        return None
    health.varied = max(health.varied, min(variety, 1.0))
    lost = health.varied >= POOR and variety < health.variety_lost * health.varied
    if variety >= health.variety and not lost:
        return ""
    return f"the fakes of a batch are nearly the same: their spread is {variety:.2%} of the real samples'" + (
        f", and has been {health.varied:.0%}" if lost else ""
    )


def both_losses_high(seen: Seen, health: Health) -> Sign:
    """D is too weak to teach, and G does not profit: it loses too, or is not updated at all."""
    d, g = seen.discriminator, seen.generator
    if d is None:
        return None
    if d <= health.weak_above or (g is not None and not high(g, 1.0, health.saturating)):
        return ""
    rest = "the generator is not updated" if g is None else f"the generator's is {g:.3g}, no better than chance"
    return f"both losses are high: the discriminator's is {d:.3g} (a coin's toss has log 4 = 1.39) and {rest}"


def never_started(seen: Seen, health: Health) -> Sign:
    """Both losses are where they began, and the fakes are not like the data."""
    d, g, variety = seen.discriminator, seen.generator, seen.get("health/variety")
    if d is None or health.started:
        return None
    if d < WEAK * math.log(4) or (g is not None and not high(g, WEAK, health.saturating)) or (variety is not None and variety >= POOR):
        health.started = True
        return ""
    if variety is None:
        return None
    losses = f"{d:.3g}" if g is None else f"{d:.3g} and {g:.3g}"
    return f"both losses are still as high as at the start ({losses}), and the spread of the fakes is {variety:.0%} of the real samples'"


def logarithm_of_nothing(seen: Seen, health: Health) -> Sign:
    """D's loss is larger than the logarithm of a float32 probability can be."""
    d = seen.discriminator
    if d is None or "clamp/real" in seen.metrics or "clamp/fake" in seen.metrics:
        return None
    if d <= LOG_OF_NOTHING:
        return ""
    return f"the discriminator's loss is {d:.3g}: it is sure of what is wrong, as if it took the logarithm of nearly nothing"


def loss_falls_in_vain(seen: Seen, health: Health) -> Sign:
    """G's loss falls over a long time, and what should get better does not."""
    if seen.raw_generator is None or not health.past_is_long:
        return None
    third = len(health.past) // 3
    early, middle, late = (health.past[:third], health.past[third:-third], health.past[-third:])
    before, between, now = (mean([point[1] for point in points]) for points in (early, middle, late))
    if not (before > between > now and before - now > health.falling * max(abs(before), 0.1)):
        return ""
    falls = f"the generator's loss fell from {before:.3g} to {now:.3g} while nothing improved: "
    if all(margin <= 0 for _, _, margin, _ in late):
        return falls + "the discriminator now gives fakes higher scores than real samples"
    then, variety = (mean([point[3] for point in points if point[3] >= 0]) for points in (early, late))
    if variety < POOR and variety < LOST * then:
        return falls + f"the spread of the fakes fell from {then:.0%} to {variety:.0%} of the real samples'"
    return ""


def high(loss: float, share: float, saturating: bool) -> bool:
    """Whether a generator's loss on logits is above (a share of) that of a coin's toss: log 2, or -log 2 if it is the saturating one."""
    return loss >= -math.log(2) / share if saturating else loss >= share * math.log(2)


def mean(values: list[float]) -> float:
    """The mean; not a number where there is none, which compares as false."""
    return sum(values) / len(values) if values else math.nan
