"""The multi-layer perceptron that all five tutorials of a small GAN use, with every choice an option."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ganlab.components import NetworkSpec
from ganlab_networks.dropout import PackedDropout
from ganlab_networks.fused import fused, fusible, separable
from ganlab_networks.normalization import BiasedBatchNorm1d

Width = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]
Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "none"]
Init = Literal["pytorch", "normal", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal"]

OUTPUT_RANGES = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}


MOST_TOGETHER = 256  # samples of a pass: more gain nothing by being multiplied in one go with another's
NORMS = {"unbiased": nn.BatchNorm1d, "biased": BiasedBatchNorm1d}


class MLP(nn.Module):
    """A multi-layer perceptron: linear layers, with what an option asks for between them.

    Options:
        hidden: widths of the hidden layers; empty for a single linear layer.
        activation: after each hidden layer.
        negative_slope: of leaky_relu.
        dropout: share of the hidden units dropped in training, after the activation; 0 for none.
        batch_norm: batch normalization of each hidden layer before or after its activation, or none.
        batch_norm_momentum: weight of a new batch in the running statistics (Keras' momentum m is 1 - m here).
        batch_norm_eps: added to the variance.
        batch_norm_variance: what the running variance is fed: a batch's "unbiased" variance, as in PyTorch, or the "biased" one,
            as in Keras. Normalized is with the biased one in either case.
        output_activation: after the last layer; a discriminator's "none" gives logits, as the losses expect.
        init: law of the initial weights; "pytorch" is torch.nn.Linear's own (uniform, bound 1/sqrt(inputs)).
        init_std: standard deviation of init "normal", and of the biases' law "normal".
        bias_init: law of the initial biases.
        dropout_masks: made of packed random bytes, or by torch.nn.Dropout: the same law, ten times the time, other numbers.
        fast: compute all layers as one step of autograd where that can be done, and a discriminator's two passes of up to 256 samples
            each in one go: sooner, and the same numbers, bit for bit but for two things that differ in rounding: those two passes, and
            float32 on AMD's processors with AVX-512, where oneDNN multiplies matrices.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        *,
        hidden: list[Width] = [256, 256],  # noqa: B006 - read, never written
        activation: Activation = "leaky_relu",
        negative_slope: NotNegative = 0.2,
        dropout: Share = 0.0,
        batch_norm: Literal["none", "before_activation", "after_activation"] = "none",
        batch_norm_momentum: Share = 0.1,
        batch_norm_eps: Annotated[float, Field(gt=0)] = 1e-5,
        batch_norm_variance: Literal["unbiased", "biased"] = "unbiased",
        output_activation: Activation = "none",
        init: Init = "pytorch",
        init_std: Annotated[float, Field(gt=0)] = 0.02,
        bias_init: Literal["pytorch", "zeros", "normal"] = "pytorch",
        dropout_masks: Literal["bytes", "torch"] = "bytes",
        fast: bool = True,
    ) -> None:
        super().__init__()
        if output_activation != "none" and spec.role == "discriminator":
            raise ValueError(
                f'a discriminator gives logits: output_activation = "{output_activation}" must be "none" (the losses apply the sigmoid)'
            )
        self.output_shape = spec.output_shape
        self.output_range = OUTPUT_RANGES.get(output_activation)
        widths = [math.prod(spec.input_shape), *hidden, math.prod(spec.output_shape)]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths[:-1]):
            layers.append(nn.Linear(inputs, outputs))
            norm = NORMS[batch_norm_variance](outputs, eps=batch_norm_eps, momentum=batch_norm_momentum)
            layers += [norm] if batch_norm == "before_activation" else []
            layers += make_activation(activation, negative_slope)
            layers += [norm] if batch_norm == "after_activation" else []
            layers += [PackedDropout(dropout) if dropout_masks == "bytes" else nn.Dropout(dropout)] if dropout else []
        layers += [nn.Linear(widths[-2], widths[-1]), *make_activation(output_activation, negative_slope)]
        self.layers = nn.Sequential(*layers)
        self.fast = fast
        for layer in layers:
            if isinstance(layer, nn.Linear):
                init_weight(layer.weight, init, init_std, activation, negative_slope)
                init_bias(layer.bias, bias_init, init_std)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, *input shape)`` to ``(batch, *output shape)``."""
        x = x.flatten(1)
        y: Tensor = fused(self.layers, x)[0] if self.fast and fusible(self.layers, x) else self.layers(x)  # (batch, outputs)
        return y.view(-1, *self.output_shape)

    def in_one_pass(self, parts: Sequence[Tensor], begin: Callable[[int], None]) -> list[Tensor] | None:
        """What calls with each of the parts would give, to rounding, as one batch: sooner for small ones.

        None where that is not the same: with batch normalization, whose statistics are of one part.
        """
        flat = [part.flatten(1) for part in parts]
        rows = {part.shape[0] for part in flat}
        if not self.fast or len(rows) > 1 or max(rows) > MOST_TOGETHER or not (separable(self.layers) and fusible(self.layers, flat[0])):
            return None
        return [y.view(-1, *self.output_shape) for y in fused(self.layers, torch.cat(flat), len(flat), begin)]


def make_activation(name: Activation, negative_slope: float) -> list[nn.Module]:
    """The module of that name, in a list; none for "none"."""
    if name == "leaky_relu":
        return [nn.LeakyReLU(negative_slope)]
    plain = {"relu": nn.ReLU, "elu": nn.ELU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
    return [] if name == "none" else [plain[name]()]


def init_weight(weight: Tensor, law: Init, std: float, activation: Activation, negative_slope: float) -> None:
    """Draw ``weight``, ``(outputs, inputs)``, from the law of that name; "pytorch" leaves what is there."""
    if law == "normal":
        nn.init.normal_(weight, 0.0, std)
    elif law == "xavier_uniform":  # Glorot and Bengio 2010
        nn.init.xavier_uniform_(weight)
    elif law == "xavier_normal":
        nn.init.xavier_normal_(weight)
    elif law in ("kaiming_uniform", "kaiming_normal"):  # He et al. 2015, arXiv:1502.01852
        draw = nn.init.kaiming_uniform_ if law == "kaiming_uniform" else nn.init.kaiming_normal_
        draw(weight, a=negative_slope if activation == "leaky_relu" else 0.0, nonlinearity="leaky_relu")
    elif law == "orthogonal":  # Saxe et al. 2014, arXiv:1312.6120
        nn.init.orthogonal_(weight)


def init_bias(bias: Tensor, law: Literal["pytorch", "zeros", "normal"], std: float) -> None:
    """Draw ``bias``, ``(outputs,)``, from the law of that name; "pytorch" leaves what is there."""
    if law == "zeros":
        nn.init.zeros_(bias)
    elif law == "normal":
        nn.init.normal_(bias, 0.0, std)
