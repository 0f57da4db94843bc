"""Mixtures of Gaussians in the plane, whose lost modes can be seen and counted."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ganlab.components import DatasetSpec, ResidentDataset

Positive = Annotated[float, Field(gt=0, le=1e6)]
Samples = Annotated[int, Field(ge=1, le=10_000_000)]
Deviation = Annotated[float, Field(ge=0, le=1e6)]


class Mixture(ResidentDataset):
    """Points drawn from Gaussians of equal weight, with the mode as the label.

    Attributes:
        centres: float32 ``(modes, 2)``.
        standard_deviation: of every mode, in both directions.
    """

    def __init__(self, centres: Tensor, standard_deviation: float, samples: int, seed: int) -> None:
        modes = len(centres)
        labels = torch.arange(samples) % modes  # evenly; the engine shuffles
        noise = torch.randn(samples, 2, generator=torch.Generator().manual_seed(seed))
        self.centres, self.standard_deviation = centres, standard_deviation
        super().__init__(centres[labels] + standard_deviation * noise, labels, class_names=[f"mode {mode}" for mode in range(modes)])
        self.held_out = lambda: Mixture(centres, standard_deviation, samples, seed ^ 1)


def ring(
    spec: DatasetSpec,
    *,
    modes: Annotated[int, Field(ge=1, le=1000)] = 8,
    radius: Positive = 2.0,
    standard_deviation: Deviation = 0.02,
    samples: Samples = 100_000,
) -> Mixture:
    """A ring of Gaussians in the plane (the toy problem of Metz et al., 2017, arXiv:1611.02163, whose numbers are the defaults).

    Options:
        modes: number of Gaussians, evenly spaced on a circle around the origin; mode 0 is on the first axis.
        radius: of the circle.
        standard_deviation: of each Gaussian, in both directions.
        samples: number of points; mode i has the points i, i + modes, i + 2 modes ...
    """
    angles = torch.arange(modes, dtype=torch.float64) * (2 * math.pi / modes)
    centres = radius * torch.stack((angles.cos(), angles.sin()), dim=1)  # (modes, 2)
    return Mixture(centres.float(), standard_deviation, samples, spec.seed)


def grid(
    spec: DatasetSpec,
    *,
    side: Annotated[int, Field(ge=1, le=100)] = 5,
    spacing: Positive = 2.0,
    standard_deviation: Deviation = 0.05,
    samples: Samples = 100_000,
) -> Mixture:
    """A square grid of Gaussians in the plane (the toy problem of Srivastava et al., 2017, arXiv:1705.07761, with 25 modes).

    Options:
        side: Gaussians in a row, and rows; ``side * side`` modes around the origin, row by row.
        spacing: distance between neighbours.
        standard_deviation: of each Gaussian, in both directions.
        samples: number of points; mode i has the points i, i + modes, i + 2 modes ...
    """
    places = (torch.arange(side, dtype=torch.float32) - (side - 1) / 2) * spacing
    return Mixture(torch.cartesian_prod(places, places), standard_deviation, samples, spec.seed)
