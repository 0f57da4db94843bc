"""T3 as its tutorial writes it: D on real, D on fake, then G as long as D can teach and G is losing badly. Losses are host numbers.

What the published excerpt leaves open is as in the recipe: the cap of G's updates, and a rest that falls by one a step.
"""

from __future__ import annotations

import torch
from support.setting import Setting
from torch import nn

from loops.common import Account, adam, batches, begin, loader, perceptron


def clip(network: nn.Module, theta: float) -> None:
    """Shorten the gradient of all parameters as one vector to ``theta``."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    norm = torch.sqrt(torch.stack([(gradient**2).sum() for gradient in gradients]).sum())
    if norm > theta:
        for gradient in gradients:
            gradient *= theta / norm


def main() -> None:
    setting = begin()
    rule, margin = _trick(setting, "adaptive_generator_steps"), _trick(setting, "clamp")["margin"]
    theta = _trick(setting, "gradient_clipping")["max_norm"]
    generator, discriminator = perceptron(setting, "generator"), perceptron(setting, "discriminator", nn.Sigmoid)
    g_optimizer, d_optimizer = adam(setting, "generator", generator), adam(setting, "discriminator", discriminator)
    latent_size, rest = setting.document["noise"]["dimension"], 0
    source = loader(setting)
    account = Account(setting)

    def learn(network: nn.Module, optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> float:
        optimizer.zero_grad()
        loss.backward()
        clip(network, theta)
        optimizer.step()
        return float(loss.item())

    for images in batches(source, setting):
        account.due()
        images = images.reshape(len(images), -1)
        discriminator.train()
        discriminator.requires_grad_(True)
        generator.eval()
        generator.requires_grad_(False)
        real = discriminator(images)
        l_r = learn(discriminator, d_optimizer, -torch.log(torch.clamp(real, margin, 1)).mean())
        fake = discriminator(generator(torch.randn(len(images), latent_size, device=images.device)))
        l_f = learn(discriminator, d_optimizer, -torch.log(1 - torch.clamp(fake, 0, 1 - margin)).mean())
        account.updates["discriminator"] += 2
        account.losses(discriminator=l_r + l_f)

        generator.train()
        generator.requires_grad_(True)
        discriminator.eval()
        discriminator.requires_grad_(False)
        loss, played = 0.0, 0
        while (
            l_r + l_f < rule["discriminator_loss_below"]
            and rest <= 0
            and abs(loss) < rule["generator_loss_below"]
            and played < rule["max_updates"]
        ):
            fake = discriminator(generator(torch.randn(len(images), latent_size, device=images.device)))
            loss = learn(generator, g_optimizer, torch.log(1 - torch.clamp(fake, 0, 1 - margin)).mean())
            account.losses(generator=loss)
            played += 1
        account.updates["generator"] += played
        rest = int(1 + rule["rest_per_loss"] * abs(loss)) if played else max(rest - 1, 0)
    account.end()


def _trick(setting: Setting, name: str) -> dict[str, float]:
    return next(trick for trick in setting.document["tricks"] if trick["use"] == name)


if __name__ == "__main__":
    main()
