"""Sampling from the generator: sheets from noise that is the same all through the run, and in every run of that seed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ganlab.game.blame import blamed
from ganlab.game.draws import draw_latent
from ganlab.game.precision import tf32
from ganlab.generators.sampling import fixed_noise, in_chunks
from ganlab.numbers import round_down
from ganlab.pictures import save_png

if TYPE_CHECKING:
    import numpy as np

    from ganlab.recipe import Train
    from ganlab.runs.run import Run

POINTS = 1000  # of a 2-D sheet, where an image sheet has train.samples images


def sheet_interval(train: Train, total_steps: int) -> int:
    """Steps between sheets with that budget: as the recipe says, else about forty in a run."""
    return train.sample_every or round_down(max(1, total_steps // 40))


class Sampler:
    """Makes samples of a run, and its sheets."""

    def __init__(self, run: Run) -> None:
        self.run = run
        train = run.recipe.train
        self.every = sheet_interval(train, run.total_steps)
        self.count = train.samples if len(run.dataset.shape) > 1 else max(POINTS, train.samples)

    def fixed_latent(self, count: int, name: str = "sheet") -> Tensor:
        """``count`` latents of the law for sampling, which depend on the seed and ``name`` alone.

        A longer draw does not begin like a shorter one.
        """
        run = self.run
        return draw_latent(run, run.sampling_noise, run.recipe.sampling_law, count, fixed_noise(run.seed, name, run.device))

    def generate(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples for ``latent``, on the CPU: ``(count, *data shape)``. The generator is in eval mode, and left as it was."""
        run, generator = self.run, self.run.players["generator"]
        if labels is None and generator.takes_labels and run.dataset.class_names:
            labels = torch.arange(len(latent)) % len(run.dataset.class_names)
        with generator.evaluating(), run.autocast(), tf32(run.recipe.train.tf32):
            return in_chunks(generator, latent, labels, run.seed, run.device, run.dtype, math.prod(run.dataset.shape))

    def sheet(self, path: Path) -> np.ndarray:
        """Draw the sheet of the run's fixed noise as it is now, and save it as a PNG at ``path``."""
        samples = self.generate(self.fixed_latent(self.count))
        with blamed(f"dataset '{self.run.recipe.data.use}', in picture(),"):
            picture = self.run.dataset.picture(samples)
        save_png(picture, path)
        return picture
