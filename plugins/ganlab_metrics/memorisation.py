"""Memorisation: are fakes nearer to training images than images that were never trained on?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from ganlab.evaluation import Better, Evidence, Needs, NotMeasured
from ganlab_metrics.blocks import squared_distances


def nearest(samples: Tensor, others: Tensor) -> Tensor:
    """The distance of each sample from the nearest of the others, ``(count,)``."""
    found = torch.full((len(samples),), torch.inf, dtype=torch.float64)
    for _, distances in squared_distances(others, samples):
        torch.minimum(found, distances.min(dim=0).values, out=found)
    return found.sqrt()


@dataclass
class Memorisation:
    """The mean distance of fakes from the nearest training image, divided by that of held-out images, in the judge's features.

    Gives ``memorisation``: about 1 for new images of the same law, 0 for copies of training images, and the share of new ones where the
    others are copies. Below 1 is suspicious, but a generator that makes only images of the most frequent kinds, whose neighbours are
    near, is below 1 as well: look at ``coverage``, too. Far above 1 the fakes are not like the data at all. Such a test is that of Meehan
    et al. (2020, arXiv:2004.05675), who compare ranks where this compares means. Left out where the data have no held-out samples.

    Options:
        samples: how many fakes, and how many held-out images, at most. All training data are searched, up to 100,000.
    """

    samples: Annotated[int, Field(ge=10)] = 2000

    results: ClassVar[Mapping[str, Better]] = {"memorisation": "neither"}
    needs: ClassVar[Needs] = "features"
    quick: ClassVar[bool] = False

    def measure(self, evidence: Evidence) -> dict[str, float]:
        if evidence.held_out is None or not len(evidence.held_out):
            raise NotMeasured("the data have no held-out samples")
        training = evidence.training.features
        usual = float(nearest(evidence.held_out.features[: self.samples], training).mean())
        if usual == 0:
            raise NotMeasured("all held-out samples are among those that are trained on")
        evidence.note("memorisation_training", len(training))
        return {"memorisation": float(nearest(evidence.fakes.features[: self.samples], training).mean()) / usual}
