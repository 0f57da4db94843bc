"""Wrong labels now and then: D is told of one real image in twenty that it is a fake (Chintala et al. 2016, "How to Train a GAN?")."""

import torch

import ganlab


class NoisyLabels:
    """For losses with ``label_targets``; an unsure D teaches more."""

    @ganlab.hookimpl
    def before_turn(self, run, turn):
        if turn.role == "discriminator":
            turn.real_target = (torch.rand(run.recipe.train.batch_size, device=run.device) > 0.05).to(run.dtype)
