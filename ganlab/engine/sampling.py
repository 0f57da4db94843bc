"""Sampling from the generator: sheets from noise that is the same all through the run, and in every run of that seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ganlab.engine.draws import draw_latent
from ganlab.engine.faults import blamed
from ganlab.engine.precision import tf32
from ganlab.engine.seeding import default_generators_restored, derive, seed_default_generators
from ganlab.pictures import save_png

if TYPE_CHECKING:
    import numpy as np

    from ganlab.engine.run import Run
    from ganlab.recipe import Train

CHUNK = 1000  # samples made at once
NUMBERS = 2**24  # in samples made at once, at most: images may be large
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


def fixed_noise(seed: int, name: str, device: torch.device) -> torch.Generator:
    """The source of latents for samples, which depend on the run's seed and ``name`` alone."""
    return torch.Generator(device).manual_seed(derive(seed, "sampling noise", name))


def in_chunks(
    generator: Callable[[Tensor, Tensor | None], Tensor],
    latent: Tensor,
    labels: Tensor | None,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    size: int,
) -> Tensor:
    """Samples for ``latent``, made some at a time and brought to the CPU: ``(count, *data shape)``; ``size`` is the numbers in one."""
    made = []
    at_once = max(1, min(CHUNK, NUMBERS // size))
    with default_generators_restored(device):
        for start in range(0, len(latent), at_once):
            seed_default_generators(derive(seed, "sampling", start), device)
            chunk = slice(start, start + at_once)
            part = generator(latent[chunk].to(device), None if labels is None else labels[chunk].to(device))
            made.append(part.to(dtype).cpu())
    return torch.cat(made)


def round_down(number: int) -> int:
    """To one leading digit of 1, 2 or 5: 590 becomes 500.

    >>> [round_down(n) for n in (1, 3, 9, 49, 590, 1999)]
    [1, 2, 5, 20, 500, 1000]
    """
    power = 10 ** math.floor(math.log10(number))
    return int(max(lead * power for lead in (1, 2, 5) if lead * power <= number))


def round_up(number: int) -> int:
    """To one leading digit of 1, 2 or 5: 590 becomes 1000.

    >>> [round_up(n) for n in (1, 3, 9, 49, 590, 2000)]
    [1, 5, 10, 50, 1000, 2000]
    """
    power = 10 ** math.floor(math.log10(number))
    return int(min(lead * power for lead in (1, 2, 5, 10) if lead * power >= number))
