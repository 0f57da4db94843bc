"""The metrics of one logging interval, in the form that signs use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganlab import Run

OWN_TERMS = ("real", "fake", "adversarial")  # the loss's own terms; penalties have other names


@dataclass(frozen=True)
class Interval:
    """One interval: the steps from one evaluation of the signs to the next.

    Attributes:
        begin, step: its first and its last step.
        metrics: all metrics, by name.
        discriminator_loss: D's loss without penalties, real and fake together; None if D was not updated, or its scores are no logits.
        generator_loss: G's loss without penalties; None likewise.
        raw_discriminator_loss: D's loss whatever its scores are; None if D was not updated.
        raw_generator_loss: G's likewise.
        ends_run: whether the run ends with it.
    """

    begin: int
    step: int
    metrics: dict[str, float]
    discriminator_loss: float | None
    generator_loss: float | None
    raw_discriminator_loss: float | None
    raw_generator_loss: float | None
    ends_run: bool

    @classmethod
    def of(cls, run: Run, begin: int, step: int, metrics: dict[str, float]) -> Interval:
        """The interval from ``begin`` to ``step``. If D's loss is the mean of both sides, it is doubled to be their sum."""
        d_loss, g_loss = own_loss(metrics, "discriminator"), own_loss(metrics, "generator")
        if d_loss is not None and run.schedule.discriminator_loss == "mean" and not run.losses["discriminator"].pairs:
            d_loss *= 2
        logits = {role: loss.logits for role, loss in run.losses.items()}
        return cls(
            begin,
            step,
            metrics,
            discriminator_loss=d_loss if logits["discriminator"] else None,
            generator_loss=g_loss if logits["generator"] else None,
            raw_discriminator_loss=d_loss,
            raw_generator_loss=g_loss,
            ends_run=step >= run.total_steps,
        )


def own_loss(metrics: dict[str, float], role: str) -> float | None:
    """A player's loss without the terms that tricks add; None if the player was not updated."""
    terms = [metrics[name] for name in (f"loss/{role}.{term}" for term in OWN_TERMS) if name in metrics]
    return sum(terms) if terms else metrics.get(f"loss/{role}")
