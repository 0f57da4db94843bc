"""Batch normalization as Keras has it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BiasedBatchNorm1d(nn.BatchNorm1d):
    """Batch normalization whose running variance is fed the batch's biased variance (over n, not n - 1), as Keras' is.

    In a batch of 64 the unbiased variance, which PyTorch takes, is 64/63 of it. Inputs are ``(batch, features)``.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, features)`` to the same."""
        if not (self.training and self.track_running_stats):
            return super().forward(x)
        self.move(x)
        return nn.functional.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)

    @torch.no_grad()
    def move(self, x: Tensor) -> None:
        """Move the running statistics towards the batch's."""
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        assert self.momentum is not None
        variance, mean = torch.var_mean(x, 0, correction=0)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)
        self.num_batches_tracked.add_(1)
