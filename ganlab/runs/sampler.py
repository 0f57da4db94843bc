"""Samples of a run while it trains. The noise of its sheets is the same at every step, and in every run with the same seed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ganlab.game.blame import blamed
from ganlab.game.draws import draw_latent
from ganlab.game.game import Game
from ganlab.game.precision import tf32
from ganlab.generators.sampling import fixed_noise, in_chunks
from ganlab.numbers import round_down
from ganlab.pictures import save_png
from ganlab.recipe import Train

if TYPE_CHECKING:
    import numpy as np

POINTS = 1000  # of a 2-D sheet, where an image sheet has train.samples images


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
        return samples if len(self.game.dataset.shape) > 1 else max(POINTS, samples)

    def fixed_latent(self, count: int, name: str = "sheet") -> Tensor:
        """``count`` latents of the law for sampling, ``(count, *noise shape)``, which depend on the seed and ``name`` alone.

        A longer draw does not begin like a shorter one.
        """
        game = self.game
        source = fixed_noise(game.seed, name, game.device)
        return draw_latent(game.sampling_noise, game.recipe.sampling_law.use, count, source, game.device, game.dtype)

    def generate(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples for ``latent``, on the CPU: ``(count, *data shape)``. The generator is in eval mode, and left as it was."""
        game, generator = self.game, self.game.players["generator"]
        if labels is None and generator.takes_labels and game.dataset.class_names:
            labels = torch.arange(len(latent)) % len(game.dataset.class_names)
        with generator.evaluating(), game.autocast(), tf32(game.recipe.train.tf32):
            return in_chunks(generator, latent, labels, game.seed, game.device, game.dtype, math.prod(game.dataset.shape))

    def sheet(self, path: Path) -> np.ndarray:
        """Draw the sheet of the run's fixed noise, and save it as a PNG at ``path``: uint8, ``(height, width, 3)``."""
        samples = self.generate(self.fixed_latent(self.count))
        with blamed(f"dataset '{self.game.recipe.data.use}', in picture(),"):
            picture = self.game.dataset.picture(samples)
        save_png(picture, path)
        return picture
