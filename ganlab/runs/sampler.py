"""Samples of a run while it trains. The noise of its sheets is the same at every step, and in every run with the same seed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ganlab.game.blame import blamed
from ganlab.game.game import Game
from ganlab.generators.sampling import SampleSource
from ganlab.numbers import round_down
from ganlab.pictures import are_images, save_png
from ganlab.recipe import Train

if TYPE_CHECKING:
    import numpy as np

POINTS = 1000  # on a sheet of points, unless train.samples is larger


def sheet_interval(train: Train, total_steps: int) -> int:
    """Steps between sheets with that budget: as the recipe says, else about forty in a run."""
    return train.sample_every or round_down(max(1, total_steps // 40))


class Sampler:
    """Draws samples of a game's generator as it is now, and sheets of them."""

    def __init__(self, game: Game) -> None:
        self.game = game

    @property
    def every(self) -> int:
        """Steps between sheets."""
        return sheet_interval(self.game.recipe.train, self.game.total_steps)

    @property
    def count(self) -> int:
        """How many samples are on a sheet."""
        samples = self.game.recipe.train.samples
        return samples if are_images(self.game.dataset.shape) else max(POINTS, samples)

    @property
    def source(self) -> SampleSource:
        """The generator as it is now, with what its samples depend on."""
        game, player = self.game, self.game.players["generator"]
        return SampleSource(
            player, player.takes_labels, game.recipe, game.sampling_noise, game.dataset.shape, game.device, game.dtype, player.evaluating
        )

    def generate(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples for ``latent``, on the CPU: ``(count, *data shape)``. The generator is in eval mode, and left as it was."""
        player, class_names = self.game.players["generator"], self.game.dataset.class_names
        if labels is None and player.takes_labels and class_names:
            labels = torch.arange(len(latent)) % len(class_names)
        return self.source.generate(latent, labels)

    def sheet(self, path: Path) -> np.ndarray:
        """Draw the sheet of the run's fixed noise, and save it as a PNG at ``path``: uint8, ``(height, width, 3)``."""
        samples = self.generate(self.source.fixed_latent(self.count, "sheet"))
        with blamed(f"dataset '{self.game.recipe.data.use}', in picture(),"):
            picture = self.game.dataset.picture(samples)
        save_png(picture, path)
        return picture
