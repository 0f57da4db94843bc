"""What is drawn in a run: real batches, latents and labels, each a function of the seed and the moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ganlab.components import Batch, Noise
from ganlab.errors import PluginError
from ganlab.game.blame import blamed
from ganlab.game.data_order import Feed
from ganlab.game.turn import Turn
from ganlab.recipe import Choice

if TYPE_CHECKING:
    from ganlab.runs.run import Run


def draw_latent(run: Run, law: Noise, choice: Choice, count: int, generator: torch.Generator) -> Tensor:
    """``count`` latents of ``law``, which is the recipe's ``choice``: ``(count, *noise shape)``, on the run's device."""
    with blamed(f"noise '{choice.use}'"):
        latent = law.sample(count, generator, run.device, run.dtype)
    if latent.shape != (count, *law.shape):
        raise PluginError(f"noise '{choice.use}' gave shape {tuple(latent.shape)} where it promised {(count, *law.shape)}")
    return latent


class Draws:
    """The source of a run's batches and latents. Its whole state between steps is ``feed.drawn``."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.counts = {role: run.recipe.train.batch_of(role) for role in ("generator", "discriminator")}
        contiguous, pinned = run.schedule.real_batches == "contiguous", run.device.type == "cuda"
        self.feed = Feed(len(run.dataset), self.counts["discriminator"], run.seed, contiguous, pinned)
        self._batch: tuple[int, Batch, bool] | None = None  # of which step, the batch, whether the discriminator had it
        self._latent: tuple[int, Tensor] | None = None  # of which step, the latent

    @property
    def images(self) -> int:
        """How many real images have been drawn."""
        return self.feed.drawn * self.feed.batch_size

    def next_batch(self, step: int) -> Batch:
        """A new real batch for the discriminator; one that was drawn ahead, for the generator's turn, comes first."""
        if self._batch is not None and self._batch[0] == step and not self._batch[2]:
            self._batch = (step, self._batch[1], True)
        else:
            self._batch = (step, self._fetch(), True)
        return self._batch[1]

    def current_batch(self, step: int) -> Batch:
        """The step's last real batch; the coming one when none has been drawn yet."""
        if self._batch is None or self._batch[0] != step:
            self._batch = (step, self._fetch(), False)
        return self._batch[1]

    def latent(self, turn: Turn) -> Tensor:
        """The turn's latent, ``(batch, *noise shape)``; a repeat's is always fresh."""
        run = self.run
        if run.schedule.noise == "per_step" and turn.repeat == 0 and self._latent is not None and self._latent[0] == turn.step:
            return self._latent[1]
        latent = draw_latent(run, run.noise, run.recipe.noise, self.counts[turn.role], run.streams.generator("training noise"))
        self._latent = (turn.step, latent)
        return latent

    def labels(self, turn: Turn) -> Tensor | None:
        """Labels for the turn's fakes: the real batch's where there is one, else drawn evenly; None if the generator takes none."""
        run = self.run
        classes = len(run.dataset.class_names)
        if not classes or not run.players["generator"].takes_labels:
            return None
        if turn.real_labels is not None:
            return turn.real_labels
        count = self.counts[turn.role]
        return torch.randint(classes, (count,), generator=run.streams.generator("training labels"), device=run.device)

    def go_to(self, drawn: int) -> None:
        """Continue after so many batches."""
        self.feed.drawn = drawn
        self._batch = self._latent = None

    def _fetch(self) -> Batch:
        with blamed(f"dataset '{self.run.recipe.data.use}'"):
            batch = self.run.dataset.fetch(self.feed.next())
            self.run.dataset.prefetch(self.feed.peek())
        return batch
