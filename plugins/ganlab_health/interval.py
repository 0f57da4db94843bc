"""The numbers of one logging interval, as the signs want them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganlab import Run

OWN = ("real", "fake", "adversarial")  # the loss's own terms, which penalties are not


@dataclass(frozen=True)
class Seen:
    """One interval.

    Attributes:
        begin, step: its first and its last step.
        metrics: all of them, by name.
        discriminator: D's loss without penalties, real and fake together; None where D was not updated, or its scores are no logits.
        generator: G's loss without penalties; None likewise.
        raw_discriminator: D's loss whatever its scores are; None where D was not updated.
        raw_generator: G's likewise.
        last: it ends with the run.
    """

    begin: int
    step: int
    metrics: dict[str, float]
    discriminator: float | None
    generator: float | None
    raw_discriminator: float | None
    raw_generator: float | None
    last: bool

    @classmethod
    def of(cls, run: Run, begin: int, step: int, metrics: dict[str, float]) -> Seen:
        """The numbers of ``metrics``, with a mean of both sides made a sum."""
        d, g = own_loss(metrics, "discriminator"), own_loss(metrics, "generator")
        if d is not None and run.schedule.discriminator_loss == "mean" and not run.losses["discriminator"].pairs:
            d *= 2
        logits = {role: loss.logits for role, loss in run.losses.items()}
        return cls(
            begin, step, metrics, d if logits["discriminator"] else None, g if logits["generator"] else None, d, g, step >= run.total_steps
        )

    def get(self, name: str) -> float | None:
        """A metric, or None where it was not measured."""
        return self.metrics.get(name)


def own_loss(metrics: dict[str, float], role: str) -> float | None:
    """A player's loss without what tricks add to it."""
    terms = [metrics[name] for name in (f"loss/{role}.{term}" for term in OWN) if name in metrics]
    return sum(terms) if terms else metrics.get(f"loss/{role}")
