"""The Swiss roll, on which WGAN-GP showed what its critics learn (Gulrajani et al. 2017, arXiv:1704.00028)."""

import torch

import ganlab


def swiss_roll(spec, *, samples: int = 10_000):
    """Points of a spiral in the plane, with a little noise."""
    generator = torch.Generator().manual_seed(spec.seed)
    angle = 4.5 + 9.5 * torch.rand(samples, generator=generator)
    points = torch.stack([angle * angle.cos(), angle * angle.sin()], dim=1) / 7
    return ganlab.ResidentDataset(points + 0.03 * torch.randn(samples, 2, generator=generator))


@ganlab.hookimpl
def register_datasets(register):
    register("swiss_roll", swiss_roll)
