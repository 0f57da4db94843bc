"""Convolutional networks that are told the class: DCGAN (Radford et al. 2015, arXiv:1511.06434), with labels."""

from typing import Annotated

from pydantic import Field
from torch import nn

import ganlab


class Generator(nn.Module):
    """A latent and a class to an image (Mirza and Osindero 2014, arXiv:1411.1784).

    The class stretches the latent. When it came in beside the latent instead, as is usual, this generator came to draw almost
    the same image whenever it was asked for a class.
    """

    def __init__(self, spec, width):
        super().__init__()
        channels, height, across = spec.output_shape
        (latent,) = spec.input_shape
        self.classes = nn.Embedding(spec.classes, latent)
        self.layers = nn.Sequential(
            nn.Linear(latent, 2 * width * (height // 4) * (across // 4), bias=False),
            nn.Unflatten(1, (2 * width, height // 4, across // 4)),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
            nn.Tanh(),  # images in [-1, 1]
        )

    def forward(self, latent, labels):  # (batch, latent), (batch,) to (batch, channels, height, width)
        return self.layers(latent * self.classes(labels))


class Discriminator(nn.Module):
    """An image and a class to a score: how real it is, and how much it has of its class (Miyato and Koyama 2018, arXiv:1802.05637)."""

    def __init__(self, spec, width):
        super().__init__()
        channels, height, across = spec.input_shape
        features = 2 * width * (height // 4) * (across // 4)
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
        )
        self.real = nn.Linear(features, 1)
        self.classes = nn.Embedding(spec.classes, features)
        nn.init.zeros_(self.classes.weight)  # at first all classes look alike

    def forward(self, images, labels):  # (batch, channels, height, width), (batch,) to (batch, 1)
        features = self.layers(images)
        return self.real(features) + (features * self.classes(labels)).sum(1, keepdim=True)


def conditional_dcgan(spec, *, width: Annotated[int, Field(ge=1)] = 32):
    """For both players. Images must have classes, and sides that are multiples of 4.

    Options:
        width: channels of the convolution next to the image; the one further in has twice as many.
    """
    channels, *sides = spec.output_shape if spec.role == "generator" else spec.input_shape
    if spec.classes == 0 or len(sides) != 2 or any(side % 4 for side in sides):
        shape = (channels, *sides)
        raise ganlab.UsageError(
            f"conditional_dcgan is for images with classes, of sides that are multiples of 4; here are {spec.classes} classes of {shape}",
            "`ganlab describe` shows what the data are",
        )
    return Generator(spec, width) if spec.role == "generator" else Discriminator(spec, width)


@ganlab.hookimpl
def register_networks(register):
    register("conditional_dcgan", conditional_dcgan)
