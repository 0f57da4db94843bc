"""The Fréchet distance of fakes from real samples in a judge's features, and the floor under it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganlab.evaluation import Better, Evidence, Needs, NotMeasured

FEWEST = 4  # samples, so that each half of the real ones has a covariance


def frechet(first: Tensor, second: Tensor) -> float:
    """The squared Fréchet distance of two sets of features, ``(count, d)`` and ``(other count, d)``, each taken for a Gaussian; in float64.

    The trace of the root of C1 C2, which is not symmetric, is that of the root of the symmetric C1^(1/2) C2 C1^(1/2), whose eigenvalues
    are the same: so they are real, and covariances that are not of full rank do no harm.
    """
    (mean, covariance), (other_mean, other_covariance) = _gaussian(first), _gaussian(second)
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * _roots(values) @ vectors.T
    roots = _roots(torch.linalg.eigvalsh(root @ other_covariance @ root))
    apart = (mean - other_mean).square().sum()
    return float((apart + covariance.trace() + other_covariance.trace() - 2 * roots.sum()).clamp(min=0))


def _roots(eigenvalues: Tensor) -> Tensor:
    """Square roots; of what is no more than a rounding error 0, for its root would be a large one."""
    noise = eigenvalues.max() * len(eigenvalues) * torch.finfo(eigenvalues.dtype).eps
    return eigenvalues.where(eigenvalues > noise, 0.0).sqrt()


def _gaussian(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance (n - 1) of ``(count, d)``."""
    values = features.double()
    return values.mean(0), values.T.cov()


@dataclass
class FrechetDistance:
    """The squared Fréchet distance between Gaussians that are fitted to the judge's features of fakes and of training samples (the FID of
    Heusel et al. 2017, arXiv:1706.08500, computed in float64), the floor under it, and how many times the floor it is.

        |m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2)), with the means m and the covariances C of N samples in d dimensions

    It is biased upwards: two samples of N from one and the same Gaussian are about ``(2 d + d (d + 1) / 2) / N`` apart where all d
    directions are of unit variance. Distances are compared at equal N, equal d and with the same judge only: N is ``samples`` and d is
    ``feature_dimensions`` in what an evaluation says ``about`` itself.

    Gives ``frechet_distance`` at N; ``frechet_floor``, the distance of held-out samples from the same training samples, which a perfect
    generator has; and ``frechet_ratio``, how many times that the fakes' distance is. Where fewer than N samples are held out, the floor
    is of as many as there are, and the ratio compares it with the distance of equally many fakes. Where none are, the floor is between
    two random halves of the training samples, N/2 each, and the ratio compares N/2 fakes with the same half. ``frechet_floor`` in
    ``about`` says which it was.
    """

    results: ClassVar[Mapping[str, Better]] = {"frechet_distance": "lower", "frechet_floor": "neither", "frechet_ratio": "lower"}
    main_results: ClassVar[Sequence[str]] = ("frechet_ratio", "frechet_distance")
    needs: ClassVar[Needs] = "features"
    quick: ClassVar[bool] = True

    def measure(self, evidence: Evidence) -> dict[str, float]:
        fakes, real = evidence.fakes.features, evidence.real.features  # (N, d) each
        if min(len(fakes), len(real)) < FEWEST:
            raise NotMeasured(f"a covariance needs more than {min(len(fakes), len(real))} samples")
        distance = frechet(fakes, real)
        reference, others = self._floor(evidence)
        floor = frechet(others, reference)
        values = {"frechet_distance": distance, "frechet_floor": floor}
        if floor > 0:
            alike = len(others) == len(fakes) and reference is real
            values["frechet_ratio"] = (distance if alike else frechet(some(fakes, len(others)), reference)) / floor
        evidence.note("feature_dimensions", real.shape[1])
        return values

    def _floor(self, evidence: Evidence) -> tuple[Tensor, Tensor]:
        """The real samples that are held against each other: some that were trained on, and the others."""
        real, held_out = evidence.real.features, evidence.held_out
        if held_out is not None and len(held_out) >= FEWEST:
            evidence.note("frechet_floor", f"{len(held_out):,} held-out against {len(real):,} training samples")
            return real, held_out.features
        half = len(real) // 2
        mixed = some(real, 2 * half)
        evidence.note(
            "frechet_floor", f"{half:,} training samples against {half:,} others, for none are held out; the ratio is of {half:,} fakes"
        )
        return mixed[:half], mixed[half:]


def some(features: Tensor, count: int) -> Tensor:
    """``count`` of them at most, drawn from torch's default generator."""
    return features[torch.randperm(len(features))[:count]]
