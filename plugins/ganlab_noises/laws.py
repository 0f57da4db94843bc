"""Laws of independent numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

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
    way: ClassVar[str] = "spherical"  # of `between`

    @property
    def shape(self) -> tuple[int, ...]:
        """``(dimension,)``."""
        return (self.dimension,)

    def sample(self, count: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> Tensor:
        """``(count, dimension)``."""
        z = torch.randn(count, self.dimension, generator=generator, device=device, dtype=dtype)
        return z if (self.location, self.scale) == (0.0, 1.0) else z.mul_(self.scale).add_(self.location)

    def truncated(self, count: int, threshold: float, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> Tensor:
        """``(count, dimension)``: of the law of numbers that are drawn again while they are more than ``threshold`` standard deviations
        from the mean (the truncation trick of Brock et al. 2019, arXiv:1809.11096).

        They are what :meth:`sample` draws, moved inwards by quantiles: the same generator gives the same samples, truncated more or less.
        """
        z = torch.randn(count, self.dimension, generator=generator, device=device, dtype=dtype).to("cpu", torch.float64) / math.sqrt(2)
        z = math.sqrt(2) * torch.erfinv(torch.erf(z) * math.erf(threshold / math.sqrt(2)))
        return z.clamp(-threshold, threshold).to(device, dtype).mul_(self.scale).add_(self.location)

    def between(self, start: Tensor, end: Tensor, share: Tensor) -> Tensor:
        """Latents on the great circle from ``start`` to ``end``, ``(count, dimension)``, after a ``share`` of the way, ``(count,)``.

        Nearly all mass of a normal law in many dimensions lies near a sphere, which a straight line leaves (Shoemake 1985;
        White 2016, arXiv:1609.04468). The length goes evenly from that of the one to that of the other.
        """
        ends = [(latent - self.location).to("cpu", torch.float64) for latent in (start, end)]
        share = share.to("cpu", torch.float64).unsqueeze(1)  # (count, 1)
        near, far = (torch.linalg.vector_norm(latent, dim=1, keepdim=True) for latent in ends)
        a, b = (nn.functional.normalize(latent, dim=1) for latent in ends)
        angle = torch.acos((a * b).sum(1, keepdim=True).clamp(-1, 1))  # (count, 1)
        sine = torch.sin(angle)
        straight = sine < 1e-6  # the same direction, or the opposite one, between which no circle is the great one
        sine = torch.where(straight, 1.0, sine)
        first = torch.where(straight, 1 - share, torch.sin((1 - share) * angle) / sine)
        second = torch.where(straight, share, torch.sin(share * angle) / sine)
        latent: Tensor = torch.lerp(near, far, share) * (first * a + second * b)
        return latent.to(start).add_(self.location)


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
