"""Draws of a game: real batches, latents and labels. Each is a function of the seed and the moment."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.components import Batch, Dataset, Noise
from ganlab.errors import PluginError
from ganlab.game.blame import blamed
from ganlab.game.data_order import DataOrder
from ganlab.game.random_streams import Streams
from ganlab.game.turn import Turn
from ganlab.recipe import Recipe
from ganlab.roles import ROLES


def draw_latent(law: Noise, use: str, count: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Draw ``count`` latents, ``(count, *noise shape)``, on ``device``.

    Args:
        law: the noise that they are drawn from.
        use: the noise's name in recipes, for error messages.

    Raises:
        PluginError: the latents have another shape than ``law.shape``.
    """
    with blamed(f"noise '{use}'"):
        latent = law.sample(count, generator, device, dtype)
    if latent.shape != (count, *law.shape):
        raise PluginError(
            f"noise '{use}' returned latents of shape {tuple(latent.shape)}; its shape attribute asks for {(count, *law.shape)}"
        )
    return latent


class Draws:
    """The source of a game's batches, latents and labels.

    Between steps, its only state is the number of batches drawn.
    """

    def __init__(self, recipe: Recipe, dataset: Dataset, noise: Noise, streams: Streams, dtype: torch.dtype) -> None:
        self.recipe, self.dataset, self.noise, self.streams, self.dtype = recipe, dataset, noise, streams, dtype
        self.counts = {role: recipe.train.batch_of(role) for role in ROLES}
        contiguous, pinned = recipe.schedule.real_batches == "contiguous", streams.device.type == "cuda"
        self.order = DataOrder(len(dataset), self.counts["discriminator"], streams.seed, contiguous, pinned)
        self._batch: tuple[int, Batch, bool] | None = None  # step, batch, whether the discriminator has used it
        self._latent: tuple[int, Tensor] | None = None  # step, latent

    @property
    def images(self) -> int:
        """The number of real images drawn."""
        return self.order.drawn * self.order.batch_size

    def next_batch(self, step: int) -> Batch:
        """The next real batch for the discriminator. If the generator's turn has drawn one in advance, it is that one."""
        if self._batch is not None and self._batch[0] == step and not self._batch[2]:
            self._batch = (step, self._batch[1], True)
        else:
            self._batch = (step, self._fetch(), True)
        return self._batch[1]

    def current_batch(self, step: int) -> Batch:
        """The step's latest real batch. If there is none yet, the next one is drawn in advance."""
        if self._batch is None or self._batch[0] != step:
            self._batch = (step, self._fetch(), False)
        return self._batch[1]

    def latent(self, turn: Turn) -> Tensor:
        """The turn's latent, ``(batch, *noise shape)``. A repeat always gets a new one."""
        if self.recipe.schedule.noise == "per_step" and turn.repeat == 0 and self._latent is not None and self._latent[0] == turn.step:
            return self._latent[1]
        source, streams = self.streams.generator("training noise"), self.streams
        latent = draw_latent(self.noise, self.recipe.noise.use, self.counts[turn.role], source, streams.device, self.dtype)
        self._latent = (turn.step, latent)
        return latent

    def labels(self, turn: Turn) -> Tensor | None:
        """Labels for the turn's fakes, ``(batch,)``: those of its real batch, or uniform ones if it has none. None without classes."""
        classes = len(self.dataset.class_names)
        if not classes:
            return None
        if turn.real_labels is not None:
            return turn.real_labels
        source = self.streams.generator("training labels")
        return torch.randint(classes, (self.counts[turn.role],), generator=source, device=self.streams.device)

    def go_to(self, drawn: int) -> None:
        """Continue after ``drawn`` batches."""
        self.order.drawn = drawn
        self._batch = self._latent = None

    def state_dict(self) -> int:
        """The number of batches drawn."""
        return self.order.drawn

    def load_state_dict(self, state: int) -> None:
        """Continue after ``state`` batches."""
        self.go_to(state)

    def _fetch(self) -> Batch:
        with blamed(f"dataset '{self.recipe.data.use}'"):
            batch = self.dataset.fetch(self.order.next())
            self.dataset.prefetch(self.order.peek())
        return batch
