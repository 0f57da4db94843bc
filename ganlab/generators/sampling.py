"""Samples of a generator for given latents, made some at a time so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ganlab.game.random_streams import default_generators_restored, derive, seed_default_generators

if TYPE_CHECKING:
    pass


CHUNK = 1000  # samples made at once


NUMBERS = 2**24  # in samples made at once, at most: images may be large


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
