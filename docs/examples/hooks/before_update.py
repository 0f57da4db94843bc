"""Normalized gradients: every update is as long as the learning rate says, however flat or steep it is there (Hazan et al. 2015)."""

import ganlab


class NormalizedGradients:
    """For plain SGD; Adam forgets the scale anyway. The norm stays on the device."""

    @ganlab.hookimpl
    def before_update(self, turn):
        turn.player.scale_gradients(1 / (turn.player.gradient_norm() + 1e-8))
