"""T3's rule: when the generator trains, repeats and rests."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from torch.nn.functional import softplus

from ganlab.errors import UsageError
from ganlab.hookspecs import hookimpl

if TYPE_CHECKING:
    from ganlab import Run, Turn

Positive = Annotated[float, Field(gt=0)]


@dataclass
class AdaptiveGeneratorSteps:
    """Train the generator only while the discriminator can teach it, and again while it is losing badly.

    The rule of the "adaptive generator steps" tutorial. In each step, after D's turn, with l = mean log(1 - D(G(z))) of G's
    latest update in this step (0 before the first):

    - G is updated while D's loss < discriminator_loss_below, and |l| < generator_loss_below, and G does not rest;
    - if it was updated at all, it then rests for int(1 + rest_per_loss * |l|) steps;
    - a step that finds it resting leaves it alone and counts as one of these.

    The tutorial's loop has no bound: when D saturates it never ends. Here G has at most ``max_updates`` updates in a step.
    Logged: sums over the logging interval, ``adaptive/updates``, and of steps ``adaptive/trained``, ``adaptive/rested``,
    ``adaptive/waited`` (D too weak to teach) and ``adaptive/capped`` (the rule still wanted more when the cap was reached).

    Options:
        discriminator_loss_below: of D's loss, real and fake together; log 4 = 1.386 is the equilibrium of a summed loss.
        generator_loss_below: of |l|.
        rest_per_loss: steps of rest for each unit of |l|, after one.
        max_updates: of G in one step.
    """

    discriminator_loss_below: Positive = 1.75
    generator_loss_below: Positive = 0.1
    rest_per_loss: Annotated[float, Field(ge=0)] = 6.0
    max_updates: Annotated[int, Field(ge=1)] = 50

    host_sync: ClassVar[str] = "it decides on the losses of each turn whether the generator plays"
    display_lines: ClassVar[dict[str, str]] = {
        "G steps": "{adaptive/updates}, rested {adaptive/rested}, waited {adaptive/waited}, capped {adaptive/capped}"
    }

    rest: int = field(default=0, init=False)
    losses: dict[str, float] = field(default_factory=dict, init=False)  # D's latest loss terms
    updates: int = field(default=0, init=False)  # of G in this step
    loss: float = field(default=0.0, init=False)  # |l|

    @hookimpl
    def after_build(self, run: Run) -> None:
        for loss in run.losses.values():
            if not loss.logits:
                raise UsageError(
                    f"adaptive_generator_steps needs scores that are logits, and those of {loss.owner} are not",
                    "use the loss bce, or remove adaptive_generator_steps",
                )

    @property
    def wants_more(self) -> bool:
        """Whether the rule, without its cap, asks for one more update after those of this step."""
        can_teach = sum(self.losses.values()) < self.discriminator_loss_below
        return can_teach and self.rest <= 0 and self.loss < self.generator_loss_below

    @property
    def ready(self) -> bool:
        """Whether G may be updated now: the rule asks for it, and the cap allows it."""
        return self.wants_more and self.updates < self.max_updates

    @hookimpl
    def may_play(self, turn: Turn) -> bool:
        return turn.role != "generator" or self.ready

    @hookimpl
    def after_update(self, turn: Turn) -> None:
        if turn.role == "discriminator":  # .item() waits for the device: the rule decides on values
            terms = {name: term.item() for name, term in turn.loss_terms.items() if name in ("real", "fake", "adversarial")}
            if all(map(math.isfinite, terms.values())):  # otherwise the update has been withheld, and the rule goes by the last one
                self.losses |= terms
        else:
            assert turn.fake_scores is not None
            self.updates += 1
            loss = softplus(turn.fake_scores.detach()).mean(0).item()  # |mean log(1 - D(G(z)))|
            self.loss = loss if math.isfinite(loss) else self.loss

    @hookimpl
    def play_again(self, turn: Turn) -> bool:
        return turn.role == "generator" and self.ready

    @hookimpl
    def after_step(self, run: Run) -> None:
        run.count("adaptive/updates", self.updates)
        run.count("adaptive/trained", self.updates > 0)
        run.count("adaptive/rested", self.updates == 0 and self.rest > 0)
        run.count("adaptive/waited", self.updates == 0 and self.rest <= 0)
        run.count("adaptive/capped", self.updates >= self.max_updates and self.wants_more)
        if self.updates:
            self.rest = int(1 + self.rest_per_loss * self.loss)
        elif self.rest > 0:
            self.rest -= 1
        self.updates, self.loss = 0, 0.0

    def state_dict(self) -> dict[str, Any]:
        """The rest that is left, and D's latest loss (for schedules in which G plays first)."""
        return {"rest": self.rest, "losses": dict(self.losses)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what ``state_dict`` gave."""
        self.rest, self.losses = state["rest"], dict(state["losses"])
        self.updates, self.loss = 0, 0.0
