"""Laws of independent numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

Dimension = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


@dataclass
class Normal:
    """Independent normal numbers: location + scale * N(0, 1).

    Options:
        dimension: of the latent.
        location: the mean.
        scale: the standard deviation.
    """

    dimension: Dimension = 64
    location: float = 0.0
    scale: Positive = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """``(dimension,)``."""
        return (self.dimension,)

    def sample(self, count: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> Tensor:
        """``(count, dimension)``."""
        z = torch.randn(count, self.dimension, generator=generator, device=device, dtype=dtype)
        return z if (self.location, self.scale) == (0.0, 1.0) else z.mul_(self.scale).add_(self.location)


@dataclass
class Uniform:
    """Independent uniform numbers between location - scale and location + scale.

    Options:
        dimension: of the latent.
        location: the middle of the interval.
        scale: half its width.
    """

    dimension: Dimension = 64
    location: float = 0.0
    scale: Positive = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """``(dimension,)``."""
        return (self.dimension,)

    def sample(self, count: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> Tensor:
        """``(count, dimension)``."""
        z = torch.rand(count, self.dimension, generator=generator, device=device, dtype=dtype)
        return z.mul_(2 * self.scale).add_(self.location - self.scale)
