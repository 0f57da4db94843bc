"""The smallest generator: a linear one, which can learn means and covariances and no more (Feizi et al. 2017, arXiv:1710.10793)."""

from math import prod

from torch import nn

import ganlab


def linear(spec):
    """One linear layer, from inputs of any shape to outputs of any shape."""
    layer = nn.Linear(prod(spec.input_shape), prod(spec.output_shape))
    return nn.Sequential(nn.Flatten(), layer, nn.Unflatten(1, spec.output_shape))


@ganlab.hookimpl
def register_networks(register):
    register("linear", linear)
