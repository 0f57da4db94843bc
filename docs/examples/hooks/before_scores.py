"""Brightness of DiffAugment: what D sees is lighter or darker, real or fake, and G feels it (Zhao et al. 2020, arXiv:2006.10738)."""

import torch

import ganlab


class Brightness:
    """For few data: D cannot learn them by heart. Gradients flow through, so G learns no shifted images."""

    @ganlab.hookimpl
    def before_scores(self, turn):
        turn.real, turn.fake = (x if x is None else self.shifted(x) for x in (turn.real, turn.fake))

    def shifted(self, x):
        return x + torch.rand(len(x), *[1] * (x.dim() - 1), device=x.device, dtype=x.dtype) - 0.5  # one shift a sample
