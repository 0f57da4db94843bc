"""Precision, recall, density and coverage: which samples lie among the nearest neighbours of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from ganlab.evaluation import Better, Evidence, Needs, NotMeasured
from ganlab_metrics.blocks import squared_distances


def squared_radii(features: Tensor, k: int) -> Tensor:
    """Of each sample the squared distance to its k-th nearest neighbour among the others, ``(count,)``."""
    found = torch.empty(len(features), dtype=torch.float64)
    for rows, distances in squared_distances(features, features):
        found[rows] = distances.topk(k + 1, dim=1, largest=False).values[:, k]  # itself is the nearest
    return found


def prdc(fakes: Tensor, real: Tensor, k: int) -> dict[str, float]:
    """Precision, recall, density and coverage of fakes, ``(m, d)``, and real samples, ``(n, d)``."""
    real_radii, fake_radii = squared_radii(real, k), squared_radii(fakes, k)
    in_any = torch.zeros(len(fakes), dtype=torch.bool)  # fakes that lie in the ball of a real sample
    inside, covered, recalled = 0, 0, 0
    for rows, distances in squared_distances(real, fakes):
        hits = distances <= real_radii[rows, None]  # (rows, m): fakes in these real samples' balls
        in_any |= hits.any(0)
        inside += int(hits.sum())
        covered += int(hits.any(1).sum())
        recalled += int((distances <= fake_radii).any(1).sum())
    return {
        "precision": float(in_any.double().mean()),
        "recall": recalled / len(real),
        "density": inside / (k * len(fakes)),
        "coverage": covered / len(real),
    }


@dataclass
class Neighbours:
    """How well the fakes lie among the training samples, and these among the fakes, in the judge's features.

    Around each sample there is a ball that reaches to its k-th nearest neighbour of its own kind.

    Gives ``precision``, the share of fakes in the ball of any real sample, and ``recall``, the share of real samples in the ball of any
    fake (Kynkäänniemi et al. 2019, arXiv:1904.06991); ``density``, in how many real balls a fake lies on average, divided by k, and
    ``coverage``, the share of real samples with a fake in their ball (Naeem et al. 2020, arXiv:2002.09797). For two samples of one law
    ``density`` is 1 on average and may be more, and ``coverage`` is about ``1 - 2^-k``, which is 0.97 for 5: what precision and recall
    are then depends on d.

    A single outlier has a large ball: precision and recall suffer from that, density and coverage hardly.

    Options:
        k: which neighbour the balls reach to.
    """

    k: Annotated[int, Field(ge=1, le=1000)] = 5

    results: ClassVar[Mapping[str, Better]] = {"precision": "higher", "recall": "higher", "density": "higher", "coverage": "higher"}
    main_results: ClassVar[Sequence[str]] = ("coverage",)
    needs: ClassVar[Needs] = "features"
    quick: ClassVar[bool] = True

    def measure(self, evidence: Evidence) -> dict[str, float]:
        fakes, real = evidence.fakes.features, evidence.real.features
        if min(len(fakes), len(real)) <= self.k:
            raise NotMeasured(f"a sample's {self.k}th neighbour is among more than {min(len(fakes), len(real))} samples")
        evidence.note("feature_dimensions", real.shape[1])
        return prdc(fakes, real, self.k)
