"""Noise on all that the discriminator sees, less and less of it (Sønderby et al. 2017, arXiv:1610.04490)."""

from dataclasses import dataclass

import torch

import ganlab


@dataclass
class InstanceNoise:
    """Blur what is real and what is fake, so that they overlap at first.

    Options:
        scale: standard deviation of the noise at the first step.
        steps: after so many steps there is none any more.
    """

    scale: float = 0.1
    steps: int = 1000

    @ganlab.hookimpl
    def before_scores(self, turn):
        scale = self.scale * max(0.0, 1 - turn.step / self.steps)
        turn.real, turn.fake = (x if x is None else x + scale * torch.randn_like(x) for x in (turn.real, turn.fake))


@ganlab.hookimpl
def register_tricks(register):
    register("instance_noise", InstanceNoise)
