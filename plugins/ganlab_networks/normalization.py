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
        mean, variance = self.of_batch()
        y = nn.functional.batch_norm(x, mean, variance, self.weight, self.bias, training=True, momentum=1.0, eps=self.eps)
        self.move(mean, variance, len(x))
        return y

    def of_batch(self) -> tuple[Tensor, Tensor]:
        """Where torch is to leave a batch's mean and unbiased variance: it replaces running ones by them at a momentum of 1."""
        assert self.running_mean is not None and self.running_var is not None
        return torch.zeros_like(self.running_mean), torch.zeros_like(self.running_var)

    @torch.no_grad()
    def move(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics towards a batch's.

        Args:
            mean, variance: the batch's, the variance unbiased: ``(features,)``.
            count: samples in the batch.
        """
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * ((count - 1) / count), self.momentum)
        self.num_batches_tracked.add_(1)
