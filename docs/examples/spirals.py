"""Two spirals in the plane, one inside the other (Lang and Witbrock 1988): curves, which a GAN must bend its noise along."""

from math import pi
from typing import Annotated

import torch
from pydantic import Field

import ganlab
from ganlab.components import ResidentDataset


def spirals(
    spec,
    *,
    turns: Annotated[float, Field(gt=0, le=10)] = 1.0,
    noise: Annotated[float, Field(ge=0)] = 0.05,
    samples: Annotated[int, Field(ge=1)] = 20_000,
):
    """Points on two spirals around the origin; the label says on which.

    Options:
        turns: how often each winds around.
        noise: standard deviation of the points around their curve.
        samples: how many points.
    """
    generator = torch.Generator().manual_seed(spec.seed)
    labels = torch.arange(samples) % 2  # (samples,)
    radius = torch.rand(samples, generator=generator).sqrt()  # (samples,); the root spreads them evenly along the curve
    angle = 2 * pi * turns * radius + pi * labels
    points = 2 * radius[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)  # (samples, 2)
    points += noise * torch.randn(samples, 2, generator=generator)
    return ResidentDataset(points, labels, class_names=("first", "second"))


@ganlab.hookimpl
def register_datasets(register):
    register("spirals", spirals)
