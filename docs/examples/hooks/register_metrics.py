"""Hours of training say nothing if all samples are alike: the mean distance between two fakes, as a share of that between two real ones."""

import torch

import ganlab


class Diversity:
    """Mean pairwise distance of fakes over that of real samples; 1 is as diverse as the data, 0 is one sample again and again."""

    results = {"diversity": "higher"}
    needs = "samples"
    quick = True

    def measure(self, evidence):
        fakes, real = (torch.pdist(side.values.flatten(1)).mean() for side in (evidence.fakes, evidence.real))
        return {"diversity": float(fakes / real)}


@ganlab.hookimpl
def register_metrics(register):
    register("diversity", Diversity)
