"""What the ports share: Adam in its two forms, and the logarithms of a sigmoid, written out in plain tensor operations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def leaves(parameters: Sequence[Tensor]) -> list[Tensor]:
    """Copies that gradients are taken with respect to."""
    return [parameter.detach().clone().requires_grad_(True) for parameter in parameters]


def minus_log_sigmoid(logits: Tensor) -> Tensor:
    """-log sigmoid(x) = log(1 + exp(-x)), exact for any x: BCE with label 1; of -x it is BCE with label 0."""
    return torch.logaddexp(torch.zeros_like(logits), -logits)


def cross_entropy(logits: Tensor, label: float) -> Tensor:
    """BCE of sigmoid(logits) with ``label``: -(y log p + (1 - y) log(1 - p)), mean over the rows."""
    return (label * minus_log_sigmoid(logits) + (1 - label) * minus_log_sigmoid(-logits)).mean()


def leaky_relu(x: Tensor, slope: float = 0.2) -> Tensor:
    """x where it is positive, else slope * x."""
    return torch.where(x > 0, x, slope * x)


class Adam:
    """w -= lr * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps), as PyTorch; or with eps added before the bias correction.

    Args:
        parameters: leaves, changed in place.
        epsilon_hat: w -= lr_t * m / (sqrt(v) + eps) with lr_t = lr * sqrt(1 - b2^t) / (1 - b1^t), as MATLAB's tutorial and Keras.
        decay: lr is divided by 1 + decay * steps already taken, as Keras did.
    """

    def __init__(
        self,
        parameters: list[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        *,
        epsilon_hat: bool = False,
        decay: float = 0.0,
    ) -> None:
        self.parameters, self.lr, self.betas, self.eps, self.epsilon_hat, self.decay = parameters, lr, betas, eps, epsilon_hat, decay
        self.means = [torch.zeros_like(p) for p in parameters]
        self.squares = [torch.zeros_like(p) for p in parameters]
        self.taken = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One update."""
        b1, b2 = self.betas
        lr = self.lr / (1 + self.decay * self.taken)
        self.taken += 1
        first, second = 1 - b1**self.taken, 1 - b2**self.taken
        for p, g, m, v in zip(self.parameters, gradients, self.means, self.squares, strict=True):
            m.mul_(b1).add_((1 - b1) * g)
            v.mul_(b2).add_((1 - b2) * g * g)
            if self.epsilon_hat:
                p -= lr * math.sqrt(second) / first * m / (v.sqrt() + self.eps)
            else:
                p -= lr * (m / first) / ((v / second).sqrt() + self.eps)
