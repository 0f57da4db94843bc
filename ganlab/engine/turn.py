"""A turn: one player's update, and everything that is drawn, scored and lost in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from ganlab.engine.trace import Trace

if TYPE_CHECKING:
    from ganlab.components import Role
    from ganlab.engine.player import Player

Side = Literal["real", "fake"]


@dataclass(frozen=True)
class Part:
    """A turn as the plan has it: who plays, and on which sides the discriminator's scores count."""

    player: Role
    sides: tuple[Side, ...]


#: Parts that are all computed before any of them is applied. ``[[D], [G]]`` alternates, ``[[D, G]]`` is simultaneous.
Group = list[Part]


@dataclass(eq=False, slots=True, weakref_slot=True)  # slots: what a hook assigns to a name that is none must not go unseen
class Turn:
    """One player's update. Hooks read it, and change the game by assigning to it; it has no other attributes than these.

    Attributes:
        player: who is updated.
        sides: ``("real", "fake")``, ``("real",)`` or ``("fake",)``; the generator's is ``("fake",)``.
        step: the step it belongs to, from 1.
        index: its place among all turns played in this step, from 0.
        repeat: 0, or how many times ``play_again`` has repeated it.
        latent: ``(batch, *noise shape)``; None where no fakes are made.
        real, fake: what the discriminator is shown, ``(batch, *data shape)``; None for a side that is not scored.
        real_labels, fake_labels: int64 ``(batch,)``, or None.
        real_scores, fake_scores: ``(batch,)``, as the losses will see them.
        real_target, fake_target: label values that a trick wants in place of the loss's own; None leaves them.
        loss_terms: the loss, term by term (scalars); the turn's loss is their sum.
        loss: that sum, once it is made.
        trace: what hooks have changed, for the report of a number that is not finite.
    """

    player: Player
    sides: tuple[Side, ...]
    step: int
    index: int = 0
    repeat: int = 0
    latent: Tensor | None = None
    real: Tensor | None = None
    fake: Tensor | None = None
    real_labels: Tensor | None = None
    fake_labels: Tensor | None = None
    real_scores: Tensor | None = None
    fake_scores: Tensor | None = None
    real_target: float | Tensor | None = None
    fake_target: float | Tensor | None = None
    loss_terms: dict[str, Tensor] = field(default_factory=dict)
    loss: Tensor | None = None
    trace: Trace = field(default_factory=Trace, repr=False)

    @property
    def role(self) -> Role:
        """``"generator"`` or ``"discriminator"``: whose turn it is."""
        return self.player.role
