"""T2, "GANs from scratch", from the reading of the tutorial alone: plain tensor operations, nothing of ganlab or of T0's port."""

from __future__ import annotations

from typing import Literal

import torch
from tape import Tape
from torch import Tensor
from torch.nn.functional import leaky_relu

LR, BETA1, BETA2, EPS = 2e-4, 0.9, 0.999, 1e-8  # "Adam 2e-4, defaults": PyTorch's


def cross_entropy(logits: Tensor, label: float) -> Tensor:
    """The mean of -label log D - (1 - label) log(1 - D), D being the sigmoid of the logits: both logarithms exact for large logits."""
    zero = torch.zeros_like(logits)
    log_real, log_fake = -torch.logaddexp(zero, -logits), -torch.logaddexp(zero, logits)
    return -(label * log_real + (1 - label) * log_fake).mean()


class Learner:
    """One player's parameters with its Adam."""

    def __init__(self, initial: list[Tensor]) -> None:
        self.parameters = [tensor.detach().clone() for tensor in initial]
        self.moments = [(torch.zeros_like(tensor), torch.zeros_like(tensor)) for tensor in initial]
        self.updates = 0

    def leaves(self) -> list[Tensor]:
        """The parameters, for a pass that is to be differentiated."""
        return [tensor.detach().requires_grad_() for tensor in self.parameters]

    def descend(self, loss: Tensor, leaves: list[Tensor]) -> None:
        """One step down ``loss``, a function of ``leaves``."""
        self.updates += 1
        for i, slope in enumerate(torch.autograd.grad(loss, leaves)):
            m, v = self.moments[i]
            m, v = BETA1 * m + (1 - BETA1) * slope, BETA2 * v + (1 - BETA2) * slope * slope
            self.moments[i] = m, v
            size = torch.sqrt(v / (1 - BETA2**self.updates)) + EPS
            self.parameters[i] = self.parameters[i] - LR * (m / (1 - BETA1**self.updates)) / size


class ScratchPort:
    """T2. The tutorial names the networks' ends only; LeakyReLU(0.2) after each hidden layer of both is the project's choice.

    Its code: the defaults. Its list of best practices: labels 0.98 and 0.02 for D (G's target stays 1), output "tanh", dropout in D.
    """

    def __init__(
        self,
        generator: list[Tensor],
        discriminator: list[Tensor],
        *,
        real_label: float = 1.0,
        fake_label: float = 0.0,
        output: Literal["sigmoid", "tanh"] = "sigmoid",
        dropout: bool = False,
    ) -> None:
        self._g, self._d = Learner(generator), Learner(discriminator)
        self.real_label, self.fake_label, self.dropout = real_label, fake_label, dropout
        self.output = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}[output]

    @property
    def generator(self) -> list[Tensor]:
        return self._g.parameters

    @property
    def discriminator(self) -> list[Tensor]:
        return self._d.parameters

    def step(self, tape: Tape) -> dict[str, float]:
        """As T0: D first, on the sum of two passes' means, then G on a fresh latent."""
        masks = tape if self.dropout else None
        leaves = self._d.leaves()
        on_real = self._score(leaves, tape.real(), masks)
        on_fake = self._score(leaves, self.samples(tape.latent()), masks)
        d_loss = cross_entropy(on_real, self.real_label) + cross_entropy(on_fake, self.fake_label)
        self._d.descend(d_loss, leaves)

        leaves = self._g.leaves()
        g_loss = cross_entropy(self._score(self._d.parameters, self._draw(leaves, tape.latent()), masks), 1.0)
        self._g.descend(g_loss, leaves)
        tape.finish()
        return {
            "d_loss": d_loss.item(),
            "g_loss": g_loss.item(),
            # "D is right half of the time on both": a logit above 0 is a probability above one half.
            "real_accuracy": (on_real > 0).double().mean().item(),
            "fake_accuracy": (on_fake < 0).double().mean().item(),
        }

    def samples(self, latent: Tensor) -> Tensor:
        """G's images."""
        return self._draw(self._g.parameters, latent)

    def logits(self, images: Tensor) -> Tensor:
        """D's logits, without dropout."""
        return self._score(self._d.parameters, images, None)

    def _draw(self, parameters: list[Tensor], latent: Tensor) -> Tensor:
        return self.output(_layers(parameters, latent, None))

    def _score(self, parameters: list[Tensor], images: Tensor, masks: Tape | None) -> Tensor:
        return _layers(parameters, images, masks)[:, 0]


def _layers(parameters: list[Tensor], values: Tensor, masks: Tape | None) -> Tensor:
    """Linear layers with LeakyReLU(0.2) between them, and a dropout mask after each LeakyReLU where there are masks."""
    for i in range(0, len(parameters), 2):
        if i:
            values = leaky_relu(values, 0.2)
            values = values if masks is None else values * masks.mask()
        values = torch.addmm(parameters[i + 1], values, parameters[i].T)
    return values
