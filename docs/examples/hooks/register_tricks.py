"""Gradient noise, less and less of it (Neelakantan et al. 2015, arXiv:1511.06807): a whole plugin, with options."""

from dataclasses import dataclass

import torch

import ganlab


@dataclass
class GradientNoise:
    """Shake both players out of a rut.

    Options:
        scale: standard deviation of the noise in the first step; its square falls with step ** -0.55, as in the paper.
    """

    scale: float = 0.1

    @ganlab.hookimpl
    def before_update(self, turn):
        for p in turn.player.parameters:
            p.grad += self.scale * turn.step ** (-0.55 / 2) * torch.randn_like(p)


@ganlab.hookimpl
def register_tricks(register):
    register("gradient_noise", GradientNoise)
