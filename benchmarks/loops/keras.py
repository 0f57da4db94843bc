"""T4's loop, written in PyTorch: images in memory, contiguous half batches, G in inference mode for D's turn, Keras' Adam.

Batch normalization is torch's own, whose moving variance is fed 64/63 of what Keras feeds it: faster than an exact one.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from loops.bare_start import load
from loops.common import Account, adam, begin, perceptron


def set_rate(optimizer: torch.optim.Adam, table: dict[str, float], taken: int) -> None:
    """Keras' Adam by the stock one: eps before the bias correction, and a learning rate that decays with the steps taken."""
    for group in optimizer.param_groups:
        group["lr"] = table["lr"] / (1 + table["decay"] * taken)
        group["eps"] = table["eps"] / math.sqrt(1 - group["betas"][1] ** (taken + 1))


def main() -> None:
    setting = begin()
    device = setting.device
    images = (load(setting).to(device).float().flatten(1) - 127.5) / 127.5  # all of it, as the tutorial keeps it
    generator, discriminator = perceptron(setting, "generator"), perceptron(setting, "discriminator", nn.Sigmoid)
    g_optimizer, d_optimizer = adam(setting, "generator", generator), adam(setting, "discriminator", discriminator)
    g_table, d_table = (setting.document[role]["optimizer"] for role in ("generator", "discriminator"))
    criterion, noise, train = nn.BCELoss(), setting.document["noise"], setting.document["train"]
    size, half = train["batch_size"], train["discriminator_batch_size"]
    order = np.random.default_rng(setting.seed)

    def latents(rows: int) -> torch.Tensor:
        return noise["location"] + noise["scale"] * torch.randn(rows, noise["dimension"], device=device)

    account = Account(setting)
    for step in range(setting.steps):
        account.due()
        start = int(order.integers(0, len(images) - half))
        generator.eval()
        with torch.no_grad():
            fakes = generator(latents(half))
        shown = torch.cat([images[start : start + half], fakes])
        labels = torch.cat([torch.ones(half, 1, device=device), torch.zeros(half, 1, device=device)])
        discriminator.requires_grad_(True)
        set_rate(d_optimizer, d_table, step)
        d_optimizer.zero_grad()
        scores = discriminator(shown)
        d_loss = criterion(scores, labels)
        d_loss.backward()
        d_optimizer.step()
        accuracy = ((scores > 0.5) == (labels > 0.5)).float().mean()

        generator.train()
        discriminator.requires_grad_(False)
        set_rate(g_optimizer, g_table, step)
        g_optimizer.zero_grad()
        g_loss = criterion(discriminator(generator(latents(size))), torch.ones(size, 1, device=device))
        g_loss.backward()
        g_optimizer.step()
        account.losses(discriminator=d_loss.item(), generator=g_loss.item())  # the tutorial prints them in every step
        accuracy.item()
    account.updates = {"discriminator": setting.steps, "generator": setting.steps}
    account.end()


if __name__ == "__main__":
    main()
