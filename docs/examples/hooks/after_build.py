"""Orthogonal weights to begin with, which keep the length of signals and gradients (Brock et al. 2018, arXiv:1809.11096)."""

from torch import nn

import ganlab


class OrthogonalWeights:
    """Draw every weight matrix anew, from torch's default generator: it is seeded for this call."""

    @ganlab.hookimpl
    def after_build(self, player):
        for p in player.parameters:
            if p.dim() > 1:
                nn.init.orthogonal_(p)
