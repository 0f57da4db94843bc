"""Make samples from latents in chunks of bounded memory, with reproducible random numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from ganlab.components import Noise
from ganlab.game.draws import draw_latent
from ganlab.game.precision import tf32
from ganlab.game.random_streams import default_generators_restored, derive, seed_default_generators
from ganlab.recipe import Recipe

CHUNK = 1000  # samples made at once
NUMBERS = 2**24  # at most so many values made at once: images may be large

#: Maps latents, ``(batch, *noise shape)``, and labels, ``(batch,)`` or None, to samples, ``(batch, *data shape)``.
SampleFunction = Callable[[Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class SampleSource:
    """A run's generator, with everything else that its samples depend on.

    Attributes:
        recipe: of the run; says seed and precision.
        noise: the noise law for samples.
        device: where the generator computes.
        dtype: of latents and samples.
        evaluating: returns a context in which the generator is in eval mode; without one, it already is.
    """

    generator: SampleFunction
    takes_labels: bool
    recipe: Recipe
    noise: Noise
    shape: tuple[int, ...]
    device: torch.device
    dtype: torch.dtype
    evaluating: Callable[[], AbstractContextManager[None]] = nullcontext

    def fixed_latent(self, count: int, name: str) -> Tensor:
        """``count`` latents, ``(count, *noise shape)``. They depend on the run's seed and ``name`` only.

        The first latents of a longer draw differ from those of a shorter one.
        """
        generator = torch.Generator(self.device).manual_seed(derive(self.recipe.train.seed, "sampling noise", name))
        return draw_latent(self.noise, self.recipe.sampling_law.use, count, generator, self.device, self.dtype)

    @torch.no_grad()
    def generate(self, latent: Tensor, labels: Tensor | None) -> Tensor:
        """Samples for ``latent``, on the CPU: ``(count, *data shape)``."""
        train = self.recipe.train
        autocast = torch.autocast(self.device.type, torch.bfloat16) if train.autocast != "off" else nullcontext()
        with self.evaluating(), autocast, tf32(train.tf32):
            return in_chunks(
                self.generator, latent, labels, train.seed, self.device, self.shape, keep=lambda chunk: chunk.to(self.dtype).cpu()
            )


def chunk_size(shape: Sequence[int]) -> int:
    """How many samples of this shape are made at once."""
    return max(1, min(CHUNK, NUMBERS // prod(shape)))


def in_chunks(
    generator: SampleFunction,
    latent: Tensor,
    labels: Tensor | None,
    seed: int,
    device: torch.device,
    shape: Sequence[int],
    keep: Callable[[Tensor], Tensor] = lambda chunk: chunk,
) -> Tensor:
    """Make samples in chunks.

    Args:
        latent: ``(count, *noise shape)``.
        seed: seeds torch's default generators for each chunk, for networks that draw random numbers.
        keep: called with each chunk; returns it as it is kept, for instance on the CPU.

    Returns:
        ``(count, *data shape)``.
    """
    samples, size = [], chunk_size(shape)
    with default_generators_restored(device):
        for start in range(0, len(latent), size):
            seed_default_generators(derive(seed, "sampling", start), device)
            chunk = slice(start, start + size)
            samples.append(keep(generator(latent[chunk].to(device), None if labels is None else labels[chunk].to(device))))
    return torch.cat(samples)
