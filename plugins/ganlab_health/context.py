"""What a sign may read besides the interval: the thresholds, the history, and facts about the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ganlab.components import Role
from ganlab_health.history import History

if TYPE_CHECKING:
    from ganlab import Run


class Thresholds(Protocol):
    """The options of the trick that signs use; :class:`ganlab_health.watch.Health` describes each."""

    patience: int
    loss_zero: float
    always_right: float
    stalled_below: float
    capped: int
    clamped: float
    gradient_norm: float
    clip_rate: float
    clipped_by: float
    variety: float
    variety_lost: float
    falling: float
    weak_above: float


@dataclass
class RunFacts:
    """Facts about the run's tricks.

    Attributes:
        owners: the owner of each trick, by the trick's name.
        planners: the owners of the tricks that plan steps.
        vetoed_by: for each player, the tricks that have vetoed its turns; the run updates it.
        gradient_limits: the limit of ``gradient_clipping``, by player.
        head_start: whether the recipe gives D a head start, in which G is not updated.
    """

    owners: dict[str, str] = field(default_factory=dict)
    planners: list[str] = field(default_factory=list)
    vetoed_by: dict[Role, list[str]] = field(default_factory=dict)
    gradient_limits: dict[str, float] = field(default_factory=dict)
    head_start: bool = False

    @classmethod
    def of(cls, run: Run) -> RunFacts:
        """Read the facts from a run that is built."""
        limits: dict[str, float] = {}
        for trick in run.recipe.tricks:
            if trick.use == "gradient_clipping":
                player, limit = trick.options.get("player"), trick.options.get("max_norm")
                limits |= {role: float(limit) for role in run.players if player in ("both", role) and isinstance(limit, float | int)}
        return cls(
            owners={trick.name: trick.owner for trick in run.tricks},
            planners=[trick.owner for trick in run.tricks if "plan_step" in trick.methods()],
            vetoed_by=run.vetoed_by,
            gradient_limits=limits,
            head_start=any(trick.use == "discriminator_head_start" for trick in run.recipe.tricks),
        )

    def why_not_updated(self, role: Role) -> str:
        """Why a player is not updated, in half a sentence."""
        vetoing = [self.owners[name] for name in self.vetoed_by.get(role, [])]
        if vetoing:
            return f"{' and '.join(vetoing)} {'veto' if len(vetoing) > 1 else 'vetoes'} its turns (hook may_play)"
        if self.planners:
            return f"{self.planners[0]} plans no turn for it (hook plan_step)"
        return "none of its turns was completed"


@dataclass(frozen=True)
class Context:
    """What a sign may read besides the interval. Signs do not change it."""

    thresholds: Thresholds
    history: History
    facts: RunFacts
