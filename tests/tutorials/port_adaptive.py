"""T3, the tutorial of adaptive extra generator steps; it makes its own decisions: train, repeat, rest."""

from __future__ import annotations

import math
from typing import Any

import torch
from plain import Adam, leaky_relu, leaves, minus_log_sigmoid
from tape import Tape
from torch import Tensor


class AdaptivePort:
    """D on real, then D on fake, each with a step of its own; then G while the rule wants it, with the saturating loss.

    Choices where the tutorial is silent are ganlab's: PyTorch's Adam, ReLU and tanh in G, LeakyReLU(0.2) in D, and a cap.
    """

    def __init__(
        self,
        generator: list[Tensor],
        discriminator: list[Tensor],
        *,
        lr: float = 1e-4,
        clamp_margin: float = 1e-3,
        max_norm: float = 1.0,
        discriminator_loss_below: float = 1.75,
        generator_loss_below: float = 0.1,
        rest_per_loss: float = 6.0,
        max_updates: int = 50,
    ) -> None:
        self.generator, self.discriminator = leaves(generator), leaves(discriminator)
        self.generator_adam, self.discriminator_adam = Adam(self.generator, lr), Adam(self.discriminator, lr)
        self.bound = math.log((1 - clamp_margin) / clamp_margin)  # the margin of the probability, as a logit
        self.max_norm, self.max_updates, self.rest_per_loss = max_norm, max_updates, rest_per_loss
        self.discriminator_loss_below, self.generator_loss_below = discriminator_loss_below, generator_loss_below
        self.rest = 0
        self.clipped = 0

    def step(self, tape: Tape) -> dict[str, Any]:
        """One step, and all that was decided in it."""
        self.clipped = 0
        real_logits = self.judge(tape.real())
        real_loss = minus_log_sigmoid(self.from_below(real_logits)).mean()  # -log clamp(D(x), 1e-3, 1)
        self.learn(real_loss, self.discriminator, self.discriminator_adam)

        fake_logits = self.judge(self.make(tape.latent()).detach())
        fake_loss = minus_log_sigmoid(-self.from_above(fake_logits)).mean()  # -log(1 - clamp(D(G(z)), 0, 1 - 1e-3))
        self.learn(fake_loss, self.discriminator, self.discriminator_adam)

        total, size, updates, last = real_loss.item() + fake_loss.item(), 0.0, 0, None
        resting = self.rest > 0
        while self.wants(total, size) and updates < self.max_updates:
            loss = -minus_log_sigmoid(-self.from_above(self.judge(self.make(tape.latent())))).mean()  # log(1 - clamp(...)) < 0
            self.learn(loss, self.generator, self.generator_adam)
            last, size, updates = loss.item(), abs(loss.item()), updates + 1
        capped = updates == self.max_updates and self.wants(total, size)
        if updates:
            self.rest = int(1 + self.rest_per_loss * size)
        elif self.rest > 0:
            self.rest -= 1
        tape.finish()
        return {
            "real_loss": real_loss.item(),
            "fake_loss": fake_loss.item(),
            "generator_loss": last,
            "updates": updates,
            "rested": resting,
            "waited": not updates and not resting,
            "capped": capped,
            "rest": self.rest,
            "clamped_real": int((real_logits < -self.bound).sum()),
            "clamped_fake": int((fake_logits > self.bound).sum()),
            "clipped": self.clipped,
        }

    def wants(self, discriminator_loss: float, size: float) -> bool:
        """while l_r + l_f < 1.75 and rest <= 0 and |l| < 0.1."""
        return discriminator_loss < self.discriminator_loss_below and self.rest <= 0 and size < self.generator_loss_below

    def from_below(self, logits: Tensor) -> Tensor:
        """The logit of a probability held at 1e-3 or more; no gradient where it is held."""
        return torch.where(logits < -self.bound, torch.full_like(logits, -self.bound), logits)

    def from_above(self, logits: Tensor) -> Tensor:
        """The logit of a probability held at 1 - 1e-3 or less; no gradient where it is held."""
        return torch.where(logits > self.bound, torch.full_like(logits, self.bound), logits)

    def learn(self, loss: Tensor, parameters: list[Tensor], optimizer: Adam) -> None:
        """Backward, clip to a norm of 1 over all of the network, one step."""
        gradients = torch.autograd.grad(loss, parameters)
        norm = sum(float(g.square().sum()) for g in gradients) ** 0.5
        if norm > self.max_norm:
            gradients = tuple(g * (self.max_norm / norm) for g in gradients)
            self.clipped += 1
        optimizer.step(gradients)

    def make(self, latent: Tensor) -> Tensor:
        """G: linear layers with ReLU between, tanh at the end."""
        x = latent
        for place in range(0, len(self.generator), 2):
            x = x @ self.generator[place].T + self.generator[place + 1]
            x = torch.tanh(x) if place == len(self.generator) - 2 else torch.relu(x)
        return x

    def judge(self, x: Tensor) -> Tensor:
        """D's logits: linear layers with LeakyReLU(0.2) between."""
        for place in range(0, len(self.discriminator), 2):
            x = x @ self.discriminator[place].T + self.discriminator[place + 1]
            x = x if place == len(self.discriminator) - 2 else leaky_relu(x)
        return x[:, 0]

    @torch.no_grad()
    def samples(self, latent: Tensor) -> Tensor:
        """G of the latent: ``(rows, 784)``."""
        return self.make(latent)

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """D's logits: ``(rows,)``."""
        return self.judge(images)
