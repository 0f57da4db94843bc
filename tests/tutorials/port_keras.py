"""T4, the Keras tutorial's GAN with batch normalization, in Keras' conventions."""

from __future__ import annotations

import torch
from plain import Adam, cross_entropy, leaky_relu, leaves
from tape import Tape
from torch import Tensor

LAYER = 4  # tensors of a hidden layer of G: weight, bias, gamma, beta


class KerasPort:
    """D once on [32 real; 32 fakes of G in inference mode], mean over 64 rows; then G on 64 fresh latents, in training mode.

    Attributes:
        moving: of each hidden layer of G, the moving mean and variance.
    """

    def __init__(
        self,
        generator: list[Tensor],
        discriminator: list[Tensor],
        *,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        eps: float = 1e-7,
        decay: float = 8e-8,
        momentum: float = 0.8,
        norm_eps: float = 1e-3,
    ) -> None:
        self.generator, self.discriminator = leaves(generator), leaves(discriminator)
        self.generator_adam, self.discriminator_adam = (
            Adam(parameters, lr, betas, eps, epsilon_hat=True, decay=decay) for parameters in (self.generator, self.discriminator)
        )
        self.momentum, self.norm_eps = momentum, norm_eps
        gammas = [p.detach() for p in self.generator[2:-2:LAYER]]
        self.moving = [(torch.zeros_like(gamma), torch.ones_like(gamma)) for gamma in gammas]

    def step(self, tape: Tape) -> dict[str, float]:
        """One step: both losses, and D's accuracy."""
        real = tape.real()
        fake = self.samples(tape.latent())
        labels = torch.cat([torch.ones(len(real)), torch.zeros(len(fake))]).to(real.dtype)
        logits = self.judge(torch.cat([real, fake]))
        zero = torch.zeros_like(logits)
        discriminator_loss = (labels * torch.logaddexp(zero, -logits) + (1 - labels) * torch.logaddexp(zero, logits)).mean()
        self.discriminator_adam.step(torch.autograd.grad(discriminator_loss, self.discriminator))

        generator_loss = cross_entropy(self.judge(self.make(tape.latent(), training=True)), 1.0)
        self.generator_adam.step(torch.autograd.grad(generator_loss, self.generator))
        tape.finish()
        accuracy = ((logits > 0) == (labels > 0.5)).double().mean().item()
        return {"discriminator_loss": discriminator_loss.item(), "generator_loss": generator_loss.item(), "accuracy": accuracy}

    def make(self, x: Tensor, training: bool) -> Tensor:
        """G: linear, LeakyReLU(0.2), batch normalization; and a linear layer with tanh at the end."""
        for layer, (mean, variance) in enumerate(self.moving):
            weight, bias, gamma, beta = self.generator[LAYER * layer : LAYER * (layer + 1)]
            x = leaky_relu(x @ weight.T + bias)
            if training:
                centre = x.sum(0) / len(x)
                spread = (x - centre).square().sum(0) / len(x)  # the biased variance, which the moving one is fed, too
                with torch.no_grad():
                    mean.copy_(self.momentum * mean + (1 - self.momentum) * centre)
                    variance.copy_(self.momentum * variance + (1 - self.momentum) * spread)
            else:
                centre, spread = mean, variance
            x = gamma * (x - centre) / (spread + self.norm_eps).sqrt() + beta
        return torch.tanh(x @ self.generator[-2].T + self.generator[-1])

    def judge(self, x: Tensor) -> Tensor:
        """D's logits: linear layers with LeakyReLU(0.2) between."""
        *hidden, last = zip(self.discriminator[::2], self.discriminator[1::2], strict=True)
        for weight, bias in hidden:
            x = leaky_relu(x @ weight.T + bias)
        return (x @ last[0].T + last[1])[:, 0]

    @torch.no_grad()
    def samples(self, latent: Tensor) -> Tensor:
        """G of the latent in inference mode: ``(rows, 784)``."""
        return self.make(latent, training=False)

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """D's logits: ``(rows,)``."""
        return self.judge(images)
