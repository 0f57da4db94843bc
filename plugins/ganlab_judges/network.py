"""The network of judges: a small convolutional network for images of any size and number of channels."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

LARGEST = 64  # pixels: about the longest shorter side of the network's input
SMALLEST = 7  # pixels: blocks halve an image until its shorter side is at most this
WIDTHS = (24, 48, 96, 128)  # channels of the blocks; further ones have those of the last


def widths_for(height: int, width: int) -> list[int]:
    """The channels of each block, for images of this size; at least one block.

    >>> widths_for(28, 28), widths_for(64, 64), widths_for(8, 8)
    ([24, 48], [24, 48, 96, 128], [24])
    """
    widths: list[int] = []
    side = min(height, width)
    while not widths or side > SMALLEST:
        widths.append(WIDTHS[min(len(widths), len(WIDTHS) - 1)])
        side //= 2
    return widths


def shrunk_by(height: int, width: int) -> int:
    """The whole number that both sides are divided by, which brings the shorter one near :data:`LARGEST`.

    >>> shrunk_by(64, 64), shrunk_by(95, 200), shrunk_by(128, 128), shrunk_by(1024, 300)
    (1, 1, 2, 5)
    """
    return max(1, math.floor(min(height, width) / LARGEST + 0.5))


def multiplications(shape: tuple[int, ...]) -> int:
    """The number of multiplications in a forward pass of the blocks, for one image.

    >>> multiplications((1, 28, 28)), multiplications((3, 64, 64))
    (2201472, 30965760)
    """
    before, height, width = shape
    by, total = shrunk_by(height, width), 0
    height, width = height // by, width // by
    for channels in widths_for(height, width):
        total += 9 * before * channels * height * width
        before, height, width = channels, max(1, height // 2), max(1, width // 2)
    return total


def bare(layer: type[nn.Module], *options: int, **more: int) -> Any:
    """A layer with uninitialised weights, made without torch's default generators.

    As ``torch.nn.utils.skip_init``, which takes half a second to import sympy.
    """
    bare_layer = layer(*options, device="meta", **more)
    for name, parameter in list(bare_layer.named_parameters(recurse=False)):
        setattr(bare_layer, name, nn.Parameter(torch.empty(parameter.shape, dtype=parameter.dtype)))
    return bare_layer


class Halving(nn.Module):
    """``torch.nn.MaxPool2d(2)``; outside of training four times as fast."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return nn.functional.max_pool2d(x, 2)
        x = x[..., : x.shape[-2] // 2 * 2, : x.shape[-1] // 2 * 2]
        rows = torch.maximum(x[..., 0::2, :], x[..., 1::2, :])
        return torch.maximum(rows[..., 0::2], rows[..., 1::2])


class SmallNetwork(nn.Module):
    """Blocks of a 3 x 3 convolution, ReLU and max-pooling; a hidden layer, whose activations are the features; logits of the classes.

    Large images are downscaled first, see :func:`shrunk_by`. The weights are set by :func:`initialize` or ``load_state_dict``.

    Args:
        shape: of one image, ``(channels, height, width)``.
        features: width of the hidden layer.
        classes: number of logits.
    """

    def __init__(self, shape: tuple[int, ...], features: int, classes: int) -> None:
        super().__init__()
        before, height, width = shape
        self.by = shrunk_by(height, width)
        height, width = height // self.by, width // self.by
        layers: list[nn.Module] = []
        for channels in widths_for(height, width):
            pool = Halving() if min(height, width) > 1 else nn.Identity()
            layers += [bare(nn.Conv2d, before, channels, 3, padding=1), nn.ReLU(), pool]
            before, height, width = channels, max(1, height // 2), max(1, width // 2)
        self.body = nn.Sequential(*layers, nn.Flatten(), bare(nn.Linear, before * height * width, features), nn.ReLU())
        self.head = bare(nn.Linear, features, classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images in [0, 1], ``(count, *shape)``, to features, ``(count, features)``, and logits, ``(count, classes)``."""
        images = images if self.by == 1 else nn.functional.avg_pool2d(images, self.by)
        features = self.body(images * 2 - 1)
        return features, self.head(features)


@torch.no_grad()
def initialize(network: nn.Module, generator: torch.Generator) -> None:
    """Normal weights of variance 2 / fan-in (He et al. 2015, arXiv:1502.01852), drawn from ``generator``, and biases of 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            layer.weight.normal_(0, math.sqrt(2 / layer.weight[0].numel()), generator=generator)
            nn.init.zeros_(layer.bias)


@torch.no_grad()
def shifted(images: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """The images shifted by up to ``most`` pixels in both directions, all images of a batch alike, and padded with black."""
    if most == 0:
        return images
    down, right = (int(number) for number in torch.randint(-most, most + 1, (2,), generator=generator))
    padded = nn.functional.pad(images, (most,) * 4)
    height, width = images.shape[-2:]
    return padded[..., most + down : most + down + height, most + right : most + right + width]
