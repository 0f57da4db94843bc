"""Several samples shown at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field
from torch import Tensor

from ganlab.errors import UsageError
from ganlab.hookspecs import hookimpl

if TYPE_CHECKING:
    from ganlab import Run, Turn
    from ganlab.components import NetworkSpec


@dataclass
class Packing:
    """Show the discriminator several samples at once, so that it sees a lack of variety (PacGAN, Lin et al. 2018, arXiv:1712.04086).

    The samples of a pack are joined along their first dimension (channels, or coordinates), and D gives one score to a pack.

    Options:
        size: samples in a pack; must divide the batch size.
    """

    size: Annotated[int, Field(ge=2)] = 2

    @hookimpl
    def before_build(self, run: Run, spec: NetworkSpec) -> None:
        train = run.recipe.train
        for key, batch in (("batch_size", train.batch_size), ("discriminator_batch_size", train.discriminator_batch_size)):
            if batch is not None and batch % self.size:
                raise UsageError(f"packing.size = {self.size} does not divide train.{key} = {batch}", "change one of them")
        if spec.role == "discriminator":
            spec.input_shape = (self.size * spec.input_shape[0], *spec.input_shape[1:])

    @hookimpl
    def before_scores(self, turn: Turn) -> None:
        turn.real, turn.fake = self._pack(turn.real), self._pack(turn.fake)
        turn.real_labels = turn.fake_labels = None  # a pack has no one label

    def _pack(self, x: Tensor | None) -> Tensor | None:
        if x is None:
            return None
        return x.reshape(len(x) // self.size, self.size * x.shape[1], *x.shape[2:])  # (batch / size, size * channels, ...)
