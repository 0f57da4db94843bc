"""The matrix products of a linear layer, by whichever of torch's two libraries is the quicker one on this processor.

PyTorch computes float32 products by Intel's MKL. On AMD's processors with AVX-512 (Zen 5 was measured) oneDNN, which PyTorch has too,
needs half the time; elsewhere there is little between them. Both are right to float32's rounding, and differ in it: 1e-6 of the largest
number. The choice depends on nothing but the processor, so that a run that is resumed on it computes the same bits.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

NARROW = 16  # a layer of fewer units is quicker by torch's own
MANY = 512  # samples, from which on it pays to compute a widening layer's weight gradient as its transpose
#: What oneDNN can apply to a product's result before it is written down, and by which name: its tanh needs a tenth of torch's time.
ACTIVATIONS: dict[type, str] = {nn.Tanh: "tanh", nn.Sigmoid: "sigmoid", nn.ReLU: "relu", nn.LeakyReLU: "leaky_relu"}


@dataclass(frozen=True)
class Products:
    """The three products: forward, for the gradient of what comes in, and for that of the weight."""

    name: str

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor, following: nn.Module | None = None) -> tuple[Tensor, bool]:
        """``(batch, inputs)``, ``(outputs, inputs)``, ``(outputs,)`` to a new ``(batch, outputs)``.

        Args:
            following: the layer that comes after this one.

        Returns:
            The result, and whether it is that of the layer that follows already.
        """
        return torch.addmm(bias, x, weight.t()), False

    def input_gradient(self, grad: Tensor, weight: Tensor) -> Tensor:
        """``(batch, outputs)``, ``(outputs, inputs)`` to a new ``(batch, inputs)``."""
        return torch.mm(grad, weight)

    def weight_gradient(self, grad: Tensor, x: Tensor) -> Tensor:
        """``(batch, outputs)``, ``(batch, inputs)`` to a new ``(outputs, inputs)``."""
        return torch.mm(grad.t(), x)


class OneDNN(Products):
    """By oneDNN; float32 on the CPU."""

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor, following: nn.Module | None = None) -> tuple[Tensor, bool]:
        if not _wide(weight):
            return super().linear(x, weight, bias)
        return _onednn(x, weight, bias, following), type(following) in ACTIVATIONS

    def input_gradient(self, grad: Tensor, weight: Tensor) -> Tensor:
        return _onednn(grad, weight.t(), None) if _wide(weight) else super().input_gradient(grad, weight)

    def weight_gradient(self, grad: Tensor, x: Tensor) -> Tensor:
        samples, outputs = grad.shape
        inputs = x.shape[1]
        if not outputs >= NARROW <= inputs:
            return super().weight_gradient(grad, x)
        if samples >= MANY and outputs > inputs:  # the left matrix is copied, so let it be the smaller one
            return _onednn(x.t(), grad.t(), None).t().contiguous()
        return _onednn(grad.t(), x.t(), None)


def _wide(weight: Tensor) -> bool:
    return min(weight.shape) >= NARROW


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None, following: nn.Module | None = None) -> Tensor:
    """``x @ weight.T + bias``, and what the layer that follows makes of it, if that is one of ``ACTIVATIONS``."""
    numbers = [following.negative_slope] if isinstance(following, nn.LeakyReLU) else []
    result: Tensor = torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, ACTIVATIONS.get(type(following), "none"), numbers, "")
    return result


TORCH, ONEDNN = Products("torch"), OneDNN("onednn")


@functools.cache
def for_float32() -> Products:
    """The quicker products of float32 matrices on this machine's processor."""
    return ONEDNN if "AuthenticAMD" in processor() and torch.backends.cpu.get_cpu_capability() == "AVX512" and works() else TORCH


def processor() -> str:
    """What the system says of its processors; empty where it does not."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")[:2000]
    except OSError:
        return ""


def works() -> bool:
    """Whether this PyTorch has oneDNN's linear layer as it is called here, and it computes what torch's own computes."""
    x, weight, bias = torch.linspace(-1, 1, 12).view(3, 4), torch.linspace(0, 1, 20).view(5, 4), torch.ones(5)
    y = torch.addmm(bias, x, weight.t())
    try:
        if not torch.allclose(_onednn(x, weight, bias), y):
            return False
        layers = [kind() for kind in ACTIVATIONS]
        return all(torch.allclose(_onednn(x, weight, bias, layer), layer(y)) for layer in layers)
    except (AttributeError, RuntimeError, TypeError):  # it is no public function of PyTorch
        return False
