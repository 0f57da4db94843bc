"""Probabilities held away from 0 and 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from ganlab.errors import UsageError
from ganlab.hookspecs import hookimpl

if TYPE_CHECKING:
    from ganlab import Run, Turn


@dataclass
class Clamp:
    """Keep D's probabilities away from 0 and 1, so that no logarithm in the losses is of nearly nothing.

    Real scores are held at D(x) >= margin and fake scores at D(G(z)) <= 1 - margin, in both players' turns: log D(x) and
    log(1 - D(G(z))) then never fall below log(margin). Where a score is held there is no gradient. A clamp of the probability
    is the same function as a clamp of the logit at log((1 - margin) / margin), which is what is done here; it needs a loss on
    logits. Logged: the share of scores that are held, as ``clamp/real`` and ``clamp/fake``.

    Options:
        margin: distance of the probability from 0 or 1.
        both_ends: hold real scores at D(x) <= 1 - margin and fake scores at D(G(z)) >= margin as well.
    """

    margin: Annotated[float, Field(gt=0, lt=0.5)] = 1e-3
    both_ends: bool = False

    prevents_non_finite: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.bound = math.log((1 - self.margin) / self.margin)  # as a logit

    @hookimpl
    def after_build(self, run: Run) -> None:
        for loss in run.losses.values():
            if not loss.logits:
                raise UsageError(
                    f"clamp needs scores that are logits, and those of {loss.owner} are not", "use the loss bce, or remove clamp"
                )

    @hookimpl
    def after_scores(self, run: Run, turn: Turn) -> None:
        if turn.real_scores is not None:
            held = turn.real_scores.clamp(-self.bound, self.bound if self.both_ends else None)
            run.record("clamp/real", (held != turn.real_scores).to(held.dtype).mean())
            turn.real_scores = held
        if turn.fake_scores is not None:
            held = turn.fake_scores.clamp(-self.bound if self.both_ends else None, self.bound)
            run.record("clamp/fake", (held != turn.fake_scores).to(held.dtype).mean())
            turn.fake_scores = held
