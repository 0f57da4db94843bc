"""The judge for images without labels: a network with random weights."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ganlab.evaluation import JudgeSpec
from ganlab_judges import kept, training
from ganlab_judges.network import bare, initialize, widths_for


class _Body(nn.Module):
    """Blocks of convolution, leaky ReLU and average pooling; the features are projected means and standard deviations of their outputs."""

    basis: Tensor  # (statistics, features)

    def __init__(self, shape: tuple[int, ...], features: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        before, blocks = shape[0], []
        for channels in widths_for(shape[1], shape[2]):
            blocks.append(bare(nn.Conv2d, before, channels, 3, padding=1))
            before = channels
        self.blocks = nn.ModuleList(blocks)
        initialize(self.blocks, generator)
        width = 2 * sum(widths_for(shape[1], shape[2]))
        basis = torch.linalg.qr(torch.randn(width, min(features, width), generator=generator)).Q
        self.register_buffer("basis", basis)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x, statistics = images * 2 - 1, []
        for block in self.blocks:
            x = nn.functional.leaky_relu(block(x), 0.2)
            statistics += [x.mean(dim=(2, 3)), x.flatten(2).std(dim=2, correction=0)]
            if min(x.shape[-2:]) > 1:
                x = nn.functional.avg_pool2d(x, 2)
        features = torch.cat(statistics, dim=1) @ self.basis
        return features, features[:, :0]


class RandomNetwork:
    """A network with random weights as a judge; see :class:`ganlab.evaluation.Judge`."""

    classes = 0

    def __init__(self, body: _Body, device: torch.device) -> None:
        self.identity = kept.identity(dict(body.state_dict()))
        self.body, self.device = body.to(device).requires_grad_(False), device
        self.description = f"a convolutional network with random weights, {body.basis.shape[1]} features"

    def features(self, images: Tensor) -> Tensor:
        return training.seen(self.body, images, self.device)[0]

    def probabilities(self, images: Tensor) -> Tensor:
        raise NotImplementedError("it knows no classes")


def random_network(
    spec: JudgeSpec,
    *,
    features: Annotated[int, Field(ge=2, le=2048)] = 64,
    seed: Annotated[int, Field(ge=0)] = 0,
) -> RandomNetwork:
    """A convolutional network with random weights, for images without labels: needs no training and no download.

    Random features depend on textures, contrasts and shapes, and distinguish distributions (Naeem et al. 2020, arXiv:2002.09797, section
    5, use them where features trained on ImageNet do not fit). They know no objects: compare runs on one data set, and do not trust the
    numbers themselves. They are the means and standard deviations over all places of each block's output, projected to ``features``
    directions.

    Options:
        features: number of features, at most.
        seed: of the weights.
    """
    return RandomNetwork(_Body(tuple(spec.data.shape), features, seed), spec.device)
