"""What the loops share: their setting, the data as the tutorials load them, the networks, and what they tell at the end."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from support.products import Role, widths
from support.setting import Setting
from torch import Tensor, nn


def begin() -> Setting:
    """This process's setting; threads and seed are set."""
    setting = Setting.load(sys.argv[1])
    torch.set_num_threads(setting.threads)
    torch.manual_seed(setting.seed)
    return setting


def perceptron(setting: Setting, role: Role, output: type[nn.Module] | None = None) -> nn.Sequential:
    """The recipe's network, of torch's stock modules, as the tutorials write it.

    ``output`` is what comes last in place of the recipe's own activation: a discriminator's sigmoid.
    """
    table = setting.document[role]
    activations = {"relu": nn.ReLU, "leaky_relu": lambda: nn.LeakyReLU(table["negative_slope"]), "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths(setting, role)):
        layers.append(nn.Linear(inputs, outputs))
        if table["init"] == "xavier_uniform":
            nn.init.xavier_uniform_(layers[-1].weight)
        if table["bias_init"] == "zeros":
            nn.init.zeros_(layers[-1].bias)
        layers.append(activations[table["activation"]]())
        if table["batch_norm"] == "after_activation":
            layers.append(nn.BatchNorm1d(outputs, eps=table["batch_norm_eps"], momentum=table["batch_norm_momentum"]))
        if table["dropout"]:
            layers.append(nn.Dropout(table["dropout"]))
    while not isinstance(layers[-1], nn.Linear):  # what comes after a hidden layer
        layers.pop()
    if output is not None:
        layers.append(output())
    elif table["output_activation"] != "none":
        layers.append(activations[table["output_activation"]]())
    return nn.Sequential(*layers).to(setting.device)


def adam(setting: Setting, role: Role, network: nn.Module) -> torch.optim.Adam:
    """The recipe's optimizer, as it stands in PyTorch."""
    table = setting.document[role]["optimizer"]
    return torch.optim.Adam(network.parameters(), lr=table["lr"], betas=tuple(table["betas"]), eps=table["eps"])


def loader(setting: Setting) -> torch.utils.data.DataLoader[Any]:
    """MNIST as the tutorials load it: torchvision's data set, transformed image by image, in a shuffled DataLoader without workers."""
    from torchvision import transforms
    from torchvision.datasets import MNIST

    low, high = setting.document["data"]["range"]
    steps: list[Any] = [transforms.ToTensor()]
    if (low, high) == (-1.0, 1.0):
        steps.append(transforms.Normalize(mean=(0.5,), std=(0.5,)))
    data = MNIST(setting.data_root, train=True, transform=transforms.Compose(steps))
    # a last batch that is not full would be another batch size than ganlab's; there is none in the tutorials' own numbers
    return torch.utils.data.DataLoader(
        data, batch_size=setting.document["train"]["batch_size"], shuffle=True, num_workers=0, drop_last=True
    )


def batches(source: torch.utils.data.DataLoader[Any], setting: Setting) -> Iterator[Tensor]:
    """The images of one step after another, ``(batch, 1, 28, 28)``, on the device, epoch after epoch, until the steps are over."""
    left = setting.steps
    while True:
        for images, _labels in source:
            if not left:
                return
            left -= 1
            yield images.to(setting.device)


def pixels(setting: Setting) -> int:
    """Numbers of one image."""
    return math.prod(setting.shape)


class Account:
    """What a loop tells of itself: how long its steps took, both players' losses, and how often each was updated.

    Losses are looked at as often as the tutorial prints them, or in every step where they are to be compared.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.every = 1 if setting.losses else setting.document["train"]["log_every"]
        self.sums = {"discriminator": [0.0, 0], "generator": [0.0, 0]}
        self.updates = {"discriminator": 0, "generator": 0}
        self.step = 0
        self.seconds = 0.0
        self.began = time.perf_counter()  # once more where steps to warm up are over

    def due(self) -> bool:
        """Whether the losses of the step that begins now are looked at."""
        if self.step == self.setting.warm_up > 0:
            self.began = self._now()
        self.step += 1
        return self.step % self.every == 0

    def losses(self, **found: Tensor | float) -> None:
        """Take losses of this step; the means are over the second half of the steps."""
        for role, loss in found.items():
            value = float(loss)
            if self.step > self.setting.steps // 2:
                self.sums[role][0] += value
                self.sums[role][1] += 1

    def stop(self) -> None:
        """The last step is over."""
        self.seconds = self._now() - self.began

    def _now(self) -> float:
        """The time, once all steps up to here are over, on a GPU too."""
        if self.setting.on_gpu:
            torch.cuda.synchronize(self.setting.device)
        return time.perf_counter()

    def end(self, **more: Any) -> None:
        """Print the account; what came after :meth:`stop` does not count."""
        if not self.seconds:
            self.stop()
        means = {role: total / number for role, (total, number) in self.sums.items() if number}
        length = {"steps": self.setting.steps, "warm_up": self.setting.warm_up, "seconds": self.seconds}
        print(json.dumps({**length, "losses": means, "updates": self.updates, **more}), flush=True)


def skipped(why: str) -> None:
    """Tell that there is nothing to measure here, and end."""
    print(json.dumps({"skipped": why}), flush=True)
    sys.exit(0)
