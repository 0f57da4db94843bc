"""A turn: one player's update, with everything that is drawn, scored and computed for it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor

if TYPE_CHECKING:
    from ganlab.components import Role
    from ganlab.game.player import Player

Side = Literal["real", "fake"]


@dataclass(frozen=True)
class Part:
    """A planned turn: which player is updated, and on which sides the discriminator scores."""

    player: Role
    sides: tuple[Side, ...]


#: Planned turns that are all computed before any of them is applied. A step ``[[D], [G]]`` alternates, ``[[D, G]]`` is simultaneous.
Group = list[Part]


@dataclass
class Change:
    """A change of one of the turn's values, or of its gradients, by a hook.

    Attributes:
        hook: the hook and its owner, for messages.
        name: of the value, or "the gradients".
        before, after: the value itself; ``before`` is None for a new value and for a change in place. For gradients, the flags from
            :func:`ganlab.game.culprit.non_finite_flag`.
        trick: the trick's name in the recipe.
    """

    hook: str
    name: str
    before: Any
    after: Any
    trick: str

    def summarized(self) -> Change:
        """The change with the sum of each tensor in place of the tensor: a scalar on the device, finite if all numbers are."""
        return replace(self, before=_sum(self.before), after=_sum(self.after))


@dataclass
class Trace:
    """What hooks have changed in one turn, and the latest flag of its gradients."""

    changes: list[Change] = field(default_factory=list)
    flag: Tensor | None = None


def _sum(value: Any) -> Any:
    return value.detach().sum() if isinstance(value, Tensor) else value


@dataclass(eq=False, slots=True, weakref_slot=True)  # slots: assigning to a misspelt name must fail
class Turn:
    """One player's update. Hooks read its attributes and assign to them; it accepts no others.

    Attributes:
        player: the player that is updated.
        sides: ``("real", "fake")``, ``("real",)`` or ``("fake",)``. The generator's is ``("fake",)``.
        step: the step that the turn belongs to, from 1.
        index: its position among all turns of the step, from 0.
        repeat: how many times ``play_again`` has repeated the turn, from 0.
        latent: ``(batch, *noise shape)``; None if no fakes are made.
        real, fake: the discriminator's input, ``(batch, *data shape)``; None for a side that is not scored.
        real_labels, fake_labels: int64 ``(batch,)``, or None.
        real_scores, fake_scores: ``(batch,)``, as the losses get them.
        real_target, fake_target: a trick's label values in place of the loss's own; None keeps those.
        loss_terms: the loss's terms by name, each a scalar.
        loss: the sum of the terms, as soon as it is computed.
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
