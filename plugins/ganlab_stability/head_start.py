"""The discriminator alone, at first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ganlab.hookspecs import hookimpl

if TYPE_CHECKING:
    from ganlab import Group, Run


@dataclass
class DiscriminatorHeadStart:
    """Train the discriminator alone at first, so that it can teach when the generator begins.

    The Wasserstein GAN's own code does so with its critic (Arjovsky, Chintala and Bottou 2017, arXiv:1701.07875).

    Options:
        steps: the first steps, in which G has no turn.
    """

    steps: Annotated[int, Field(ge=1)] = 100

    @hookimpl
    def plan_step(self, run: Run, step: int) -> list[Group] | None:
        if step > self.steps:
            return None
        return [alone for group in run.groups if (alone := [part for part in group if part.player == "discriminator"])]
