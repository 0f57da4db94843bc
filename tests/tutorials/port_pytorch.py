"""T0, the PyTorch MLP GAN, from the reading of the tutorial alone: plain tensor operations, nothing of ganlab."""

from __future__ import annotations

from collections.abc import Callable

import torch
from tape import Tape
from torch import Tensor


class Adam:
    """PyTorch's Adam ("Adam for each, lr 2e-4, betas (0.9, 0.999), eps 1e-8"): eps is added after the bias correction."""

    def __init__(self, parameters: list[Tensor], lr: float, betas: tuple[float, float], eps: float) -> None:
        self.parameters, self.lr, self.betas, self.eps, self.taken = parameters, lr, betas, eps, 0
        self.first = [torch.zeros_like(parameter) for parameter in parameters]
        self.second = [torch.zeros_like(parameter) for parameter in parameters]

    @torch.no_grad()
    def step(self, gradients: tuple[Tensor, ...]) -> None:
        """One update by these gradients."""
        self.taken += 1
        beta1, beta2 = self.betas
        for parameter, first, second, gradient in zip(self.parameters, self.first, self.second, gradients, strict=True):
            first.mul_(beta1).add_((1 - beta1) * gradient)
            second.mul_(beta2).add_((1 - beta2) * gradient**2)
            unbiased1 = first / (1 - beta1**self.taken)
            unbiased2 = second / (1 - beta2**self.taken)
            parameter.sub_(self.lr * unbiased1 / (unbiased2.sqrt() + self.eps))


def bce(logits: Tensor, label: int) -> Tensor:
    """The mean over the batch of BCE(sigmoid(logits), label): -log D where the label is 1, -log(1 - D) where it is 0."""
    return torch.logaddexp(torch.zeros_like(logits), -logits if label else logits).mean()


class PyTorchPort:
    """T0. G: Linear layers, ReLU between, tanh. D: Linear layers, LeakyReLU(0.2) and dropout after each hidden one, sigmoid."""

    def __init__(
        self,
        generator: list[Tensor],
        discriminator: list[Tensor],
        *,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.generator = [parameter.detach().clone().requires_grad_() for parameter in generator]
        self.discriminator = [parameter.detach().clone().requires_grad_() for parameter in discriminator]
        self._generator_adam = Adam(self.generator, lr, betas, eps)
        self._discriminator_adam = Adam(self.discriminator, lr, betas, eps)

    def step(self, tape: Tape) -> dict[str, float]:
        """(1) D on the sum of two means, from two passes; (2) G on a fresh latent, non-saturating."""
        real_logits = self._discriminate(tape.real(), tape.mask)
        with torch.no_grad():  # the tutorial does not detach, but zeroes what leaks into G before it is used
            fake = self._generate(tape.latent())
        fake_logits = self._discriminate(fake, tape.mask)
        d_loss = bce(real_logits, 1) + bce(fake_logits, 0)
        self._discriminator_adam.step(torch.autograd.grad(d_loss, self.discriminator))

        g_loss = bce(self._discriminate(self._generate(tape.latent()), tape.mask), 1)
        self._generator_adam.step(torch.autograd.grad(g_loss, self.generator))
        tape.finish()
        return {
            "d_loss": float(d_loss.detach()),
            "g_loss": float(g_loss.detach()),
            # Both from D's turn: before its update, with dropout on.
            "real_score": float(torch.sigmoid(real_logits.detach()).mean()),
            "fake_score": float(torch.sigmoid(fake_logits.detach()).mean()),
        }

    @torch.no_grad()
    def samples(self, latent: Tensor) -> Tensor:
        """G's images. G is never put in eval mode, and has nothing that would differ there."""
        return self._generate(latent)

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """D's logits, without dropout."""
        return self._discriminate(images, None)

    def _generate(self, latent: Tensor) -> Tensor:
        *hidden, last = zip(self.generator[::2], self.generator[1::2], strict=True)
        values = latent
        for weight, bias in hidden:
            values = torch.relu(values @ weight.T + bias)
        return torch.tanh(values @ last[0].T + last[1])

    def _discriminate(self, images: Tensor, mask: Callable[[], Tensor] | None) -> Tensor:
        *hidden, last = zip(self.discriminator[::2], self.discriminator[1::2], strict=True)
        values = images
        for weight, bias in hidden:
            values = values @ weight.T + bias
            values = torch.where(values > 0, values, 0.2 * values)
            if mask is not None:
                values = values * mask()
        return (values @ last[0].T + last[1]).squeeze(1)
