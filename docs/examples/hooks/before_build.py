"""Show D how varied the batch is, so that a generator with few modes gives itself away (Karras et al. 2017, arXiv:1710.10196)."""

import torch

import ganlab


class BatchDeviation:
    """One more channel of what D sees: the standard deviation over the batch, its mean over all features."""

    @ganlab.hookimpl
    def before_build(self, spec):
        if spec.role == "discriminator":
            spec.input_shape = (spec.input_shape[0] + 1, *spec.input_shape[1:])

    @ganlab.hookimpl
    def before_scores(self, turn):
        turn.real, turn.fake = (x if x is None else self.widened(x) for x in (turn.real, turn.fake))

    def widened(self, x):
        return torch.cat([x, x.std(0).mean().expand(len(x), 1, *x.shape[2:])], dim=1)  # (batch, channels + 1, ...)
