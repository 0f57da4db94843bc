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
from torch import Tensor

NARROW = 16  # a layer of fewer units is quicker by torch's own


@dataclass(frozen=True)
class Products:
    """The three products: forward, for the gradient of what comes in, and for that of the weight."""

    name: str

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """``(batch, inputs)``, ``(outputs, inputs)``, ``(outputs,)`` to a new ``(batch, outputs)``."""
        return torch.addmm(bias, x, weight.t())

    def input_gradient(self, grad: Tensor, weight: Tensor) -> Tensor:
        """``(batch, outputs)``, ``(outputs, inputs)`` to a new ``(batch, inputs)``."""
        return torch.mm(grad, weight)

    def weight_gradient(self, grad: Tensor, x: Tensor) -> Tensor:
        """``(batch, outputs)``, ``(batch, inputs)`` to a new ``(outputs, inputs)``."""
        return torch.mm(grad.t(), x)


class OneDNN(Products):
    """By oneDNN; float32 on the CPU."""

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return _onednn(x, weight, bias) if _wide(weight) else super().linear(x, weight, bias)

    def input_gradient(self, grad: Tensor, weight: Tensor) -> Tensor:
        return _onednn(grad, weight.t(), None) if _wide(weight) else super().input_gradient(grad, weight)

    def weight_gradient(self, grad: Tensor, x: Tensor) -> Tensor:
        return _onednn(grad.t(), x.t(), None) if grad.shape[1] >= NARROW <= x.shape[1] else super().weight_gradient(grad, x)


def _wide(weight: Tensor) -> bool:
    return min(weight.shape) >= NARROW


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``x @ weight.T + bias``."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
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
    try:
        return torch.allclose(_onednn(x, weight, bias), torch.addmm(bias, x, weight.t()))
    except (AttributeError, RuntimeError, TypeError):  # it is no public function of PyTorch
        return False
