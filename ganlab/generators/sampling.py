"""Make samples from latents in chunks of bounded memory, with reproducible random numbers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganlab.game.random_streams import default_generators_restored, derive, seed_default_generators

CHUNK = 1000  # samples made at once
NUMBERS = 2**24  # at most so many values made at once: images may be large


def fixed_noise(seed: int, name: str, device: torch.device) -> torch.Generator:
    """The random generator of latents for samples. It depends on the run's seed and ``name`` only."""
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
    """Make samples in chunks, and copy each chunk to the CPU.

    Args:
        generator: maps latents and labels (or None) to samples.
        latent: ``(count, *noise shape)``.
        labels: ``(count,)``, or None.
        seed: seeds torch's default generators for each chunk, for networks that draw random numbers.
        device: where the generator computes.
        dtype: of the result.
        size: values in one sample.

    Returns:
        ``(count, *data shape)``, on the CPU.
    """
    samples = []
    chunk_size = max(1, min(CHUNK, NUMBERS // size))
    with default_generators_restored(device):
        for start in range(0, len(latent), chunk_size):
            seed_default_generators(derive(seed, "sampling", start), device)
            chunk = slice(start, start + chunk_size)
            part = generator(latent[chunk].to(device), None if labels is None else labels[chunk].to(device))
            samples.append(part.to(dtype).cpu())
    return torch.cat(samples)
