"""The sliced Wasserstein distance (Rabin et al. 2012; of GANs, Deshpande et al. 2018, arXiv:1803.11188)."""

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field

import ganlab


@dataclass
class SlicedWasserstein:
    """How far fakes must be moved to lie as the real samples do, seen along random directions.

    Gives ``sliced_wasserstein``, in units of the data: 0 is perfect, and what chance makes of it is that of held-out samples.

    Options:
        directions: along how many.
    """

    directions: Annotated[int, Field(ge=1, le=10_000)] = 100

    results = {"sliced_wasserstein": "lower"}
    needs = "samples"
    quick = True

    def measure(self, evidence):
        real, held_out = evidence.real.values, evidence.held_out
        if held_out is not None and len(held_out) == len(real):
            evidence.note("sliced_wasserstein_of_held_out", distance(held_out.values, real, self.directions))
        return {"sliced_wasserstein": distance(evidence.fakes.values, real, self.directions)}


def distance(samples, others, directions):
    """The mean distance of two sets of samples, ``(count, *shape)`` both, along so many directions."""
    samples, others = samples.flatten(1), others.flatten(1)  # (count, d)
    along = torch.nn.functional.normalize(torch.randn(others.shape[1], directions), dim=0)  # (d, directions)
    moved = (samples @ along).sort(dim=0).values - (others @ along).sort(dim=0).values  # (count, directions): the least that will do
    return float(moved.abs().mean())


@ganlab.hookimpl
def register_metrics(register):
    register("sliced_wasserstein", SlicedWasserstein)
