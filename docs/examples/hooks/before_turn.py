"""Wrong labels now and then: of one batch in twenty D is told that it is fake (Chintala et al. 2016, "How to Train a GAN?")."""

import torch

import ganlab


class NoisyLabels:
    """For losses with ``label_targets``; an unsure D teaches more."""

    @ganlab.hookimpl
    def before_turn(self, run, turn):
        if turn.role == "discriminator":
            turn.real_target = (torch.rand((), device=run.device) > 0.05).to(run.dtype)
