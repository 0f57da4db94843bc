"""T0 and T2 as their tutorials write them in PyTorch: D on real and on fake, then G on fresh noise; probabilities and BCELoss.

As published, the fakes are not detached from G in D's turn, gradients are zeroed for both before each backward pass, Adam is the
stock one, and losses are looked at every so many steps.
"""

from __future__ import annotations

import torch
from torch import nn

from loops.common import Account, adam, batches, begin, loader, perceptron


def main() -> None:
    setting = begin()
    generator, discriminator = perceptron(setting, "generator"), perceptron(setting, "discriminator", nn.Sigmoid)
    g_optimizer, d_optimizer = adam(setting, "generator", generator), adam(setting, "discriminator", discriminator)
    criterion = nn.BCELoss()
    latent_size, device = setting.document["noise"]["dimension"], setting.device
    source = loader(setting)
    account = Account(setting)
    for images in batches(source, setting):
        due = account.due()
        images = images.reshape(len(images), -1)
        real_labels, fake_labels = torch.ones(len(images), 1, device=device), torch.zeros(len(images), 1, device=device)

        d_loss_real = criterion(discriminator(images), real_labels)
        fakes = generator(torch.randn(len(images), latent_size, device=device))
        d_loss = d_loss_real + criterion(discriminator(fakes), fake_labels)
        d_optimizer.zero_grad()
        g_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()
        account.updates["discriminator"] += 1

        fakes = generator(torch.randn(len(images), latent_size, device=device))
        g_loss = criterion(discriminator(fakes), real_labels)
        d_optimizer.zero_grad()
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        account.updates["generator"] += 1
        if due:
            account.losses(discriminator=d_loss.item(), generator=g_loss.item())
    account.end()


if __name__ == "__main__":
    main()
