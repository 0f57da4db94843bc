"""Modes of a mixture of Gaussians: which of them a generator has found, and how well it hits them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from ganlab.components import Dataset
from ganlab.evaluation import Better, Evidence, Needs


@dataclass
class Modes:
    """Count the modes of a mixture that samples reach, as is done since Metz et al. (2017, arXiv:1611.02163) and Srivastava et al.
    (2017, arXiv:1705.07761).

    A sample is of high quality when it lies within some standard deviations of a mode's centre; it then belongs to the nearest one. A
    mode is found when enough samples belong to it. For data sets that know their ``centres`` and their ``standard_deviation``.

    Gives ``modes`` (found), ``high_quality`` (the share of such samples, 0 to 1; of the real ones 0.9889 lie within three standard
    deviations in the plane) and ``reverse_kl``, the divergence in nats of the shares in which they fall on the modes from equal shares:
    0 is perfect, ``log(modes)`` one mode alone. Without a sample of high quality there is no ``reverse_kl``.

    Fewer than half of the modes count as a collapse.

    Options:
        within: standard deviations around a centre in which a sample is of high quality.
        found_by: the share of all samples, of those that each mode should have, from which on a mode counts as found.
    """

    within: Annotated[float, Field(gt=0)] = 3.0
    found_by: Annotated[float, Field(gt=0, le=1)] = 0.1

    results: ClassVar[Mapping[str, Better]] = {"modes": "higher", "high_quality": "higher", "reverse_kl": "lower"}
    main_results: ClassVar[Sequence[str]] = ("reverse_kl", "high_quality")
    needs: ClassVar[Needs] = "samples"
    quick: ClassVar[bool] = True

    def unfit(self, dataset: Dataset) -> str:
        known = hasattr(dataset, "centres") and hasattr(dataset, "standard_deviation")
        return "" if known else "the data set does not know its modes"

    def collapsed(self, values: Mapping[str, float], dataset: Dataset) -> str:
        there = len(dataset.centres)  # type: ignore[attr-defined]
        return f"{values['modes']:.0f} of {there} modes" if values["modes"] < there / 2 else ""

    def measure(self, evidence: Evidence) -> dict[str, float]:
        centres: Tensor = evidence.dataset.centres.double().cpu()  # type: ignore[attr-defined]  # (modes, 2)
        deviation: float = evidence.dataset.standard_deviation  # type: ignore[attr-defined]
        points = evidence.fakes.values  # (count, 2)
        exact = "donot_use_mm_for_euclid_dist"  # products lose digits where the modes are far from the origin
        parts = [torch.cdist(part.double(), centres, compute_mode=exact).min(dim=1) for part in torch.split(points, 1000)]
        distance, nearest = torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])
        good = nearest[distance <= self.within * deviation]
        hits = torch.bincount(good, minlength=len(centres)).double()  # (modes,)
        found = int((hits >= max(1.0, self.found_by * len(points) / len(centres))).sum())
        values = {"modes": float(found), "high_quality": len(good) / len(points)}
        if len(good):
            shares = hits / hits.sum()
            values["reverse_kl"] = float(torch.special.xlogy(shares, shares * len(centres)).sum())
        return values
