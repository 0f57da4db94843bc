"""Weight clipping, as the first Wasserstein GAN kept its critic Lipschitz (Arjovsky et al. 2017, arXiv:1701.07875)."""

import torch

import ganlab


class WeightClipping:
    """After each of its updates, no weight of D is outside [-0.01, 0.01]."""

    @ganlab.hookimpl
    def after_update(self, turn):
        if turn.role == "discriminator":
            with torch.no_grad():
                for p in turn.player.parameters:
                    p.clamp_(-0.01, 0.01)
