"""A turn: one player's update, and everything that is drawn, scored and lost in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor

if TYPE_CHECKING:
    from ganlab.components import Role
    from ganlab.game.player import Player

Side = Literal["real", "fake"]


@dataclass(frozen=True)
class Part:
    """A turn as the plan has it: who plays, and on which sides the discriminator's scores count."""

    player: Role
    sides: tuple[Side, ...]


#: Parts that are all computed before any of them is applied. ``[[D], [G]]`` alternates, ``[[D, G]]`` is simultaneous.
Group = list[Part]


@dataclass
class Change:
    """A hook has changed a value of the turn, or its gradients: of these, ``before`` and ``after`` are what :func:`look_at` gave.

    ``how``: another value is there now; or the same was changed ``in place``, and what it was before is gone; or there was none.
    ``trick``: the name in the recipe of the hook's trick.
    """

    hook: str
    name: str
    before: Any
    after: Any
    how: Literal["changed", "in place", "set"] = "changed"
    trick: str = ""

    def to_be_read_later(self) -> Change:
        """The same with sums in place of tensors, which are finite if all numbers are: a scalar each, left on the device."""
        return Change(self.hook, self.name, _sum(self.before), _sum(self.after), self.how, self.trick)


@dataclass
class Trace:
    """What hooks have changed in one turn, and the latest look at its gradients among them."""

    changes: list[Change] = field(default_factory=list)
    flag: Tensor | None = None


def _sum(value: Any) -> Any:
    return value.detach().sum() if isinstance(value, Tensor) else value


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
