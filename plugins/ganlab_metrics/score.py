"""The classifier score: are single samples clear, and all of them together diverse?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganlab.evaluation import Better, Evidence, Needs


def classifier_score(probabilities: Tensor) -> float:
    """``exp(mean KL(p(class | sample) || p(class)))`` of ``(count, classes)``; between 1 and the number of classes."""
    each = probabilities.double()
    together = each.mean(0)
    entropy_together = -torch.special.xlogy(together, together).sum()
    entropy_each = -torch.special.xlogy(each, each).sum(1).mean()
    return float((entropy_together - entropy_each).exp())


@dataclass
class ClassifierScore:
    """The score that Salimans et al. (2016, arXiv:1606.03498) compute with Inception, here with the judge's probabilities:

        exp(mean over the fakes of KL(p(class | fake) || p(class)))

    It is 1 when all fakes are alike to the judge, or none is clear, and the number of classes when each is clear and all are equally
    frequent. Real samples are not looked at, and one clear image of each class is enough to score best: see ``classifier_score_of_real`` in
    what the evaluation says ``about`` itself for what the training samples score, and never trust it alone (Barratt and Sharma 2018,
    arXiv:1801.01973). All samples are used at once, not ten parts as in the paper.
    """

    results: ClassVar[Mapping[str, Better]] = {"classifier_score": "higher"}
    needs: ClassVar[Needs] = "probabilities"
    quick: ClassVar[bool] = True

    def measure(self, evidence: Evidence) -> dict[str, float]:
        evidence.note("classifier_score_of_real", classifier_score(evidence.real.probabilities))
        return {"classifier_score": classifier_score(evidence.fakes.probabilities)}
