"""A perceptron whose units keep mean 0 and variance 1 by themselves (Klambauer et al. 2017, arXiv:1706.02515)."""

from itertools import pairwise
from math import prod

from torch import nn

import ganlab


class SelfNormalizingMLP(nn.Sequential):
    """Linear layers with SELU between them, and weights of variance 1 / inputs.

    Options:
        hidden: widths of the hidden layers.
    """

    def __init__(self, spec, *, hidden: tuple[int, ...] = (128, 128)):
        layers = [nn.Flatten()]
        for inputs, outputs in pairwise([prod(spec.input_shape), *hidden, prod(spec.output_shape)]):
            layers += [nn.Linear(inputs, outputs), nn.SELU()]
            nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="linear")
        super().__init__(*layers[:-1], nn.Unflatten(1, spec.output_shape))


@ganlab.hookimpl
def register_networks(register):
    register("self_normalizing_mlp", SelfNormalizingMLP)
