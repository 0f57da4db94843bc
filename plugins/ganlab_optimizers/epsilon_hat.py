"""Adam in Keras' form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganlab_optimizers.fused_adam import Adam


class EpsilonHatAdam(Adam):
    """Adam with eps added before the bias correction: w -= lr_t * m / (sqrt(v) + eps), lr_t = lr * sqrt(1 - b2^t) / (1 - b1^t).

    This is the second form in the Adam paper (Kingma and Ba 2015, arXiv:1412.6980, end of section 2), which TensorFlow and Keras
    use. PyTorch's form with eps / sqrt(1 - b2^t) for eps is the same step, so that is what each step sets on a CPU. On other devices
    the number of steps is there, and nobody waits for it: the formula is computed as it stands.

    Args:
        decay: lr is divided by 1 + decay * (steps already taken), as Keras 1 and 2 did.
    """

    counts_on_host: bool | None = None  # None: where the parameters are

    def __init__(self, parameters: Any, *, decay: float = 0.0, **options: Any) -> None:
        super().__init__(parameters, **options)
        self.decay = decay

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update, with this step's eps and lr."""
        if closure is None and all(self._on_device(group) for group in self.param_groups):
            for group in self.param_groups:
                self._step_there(group)
            return None
        before = [(group["eps"], group["lr"]) for group in self.param_groups]
        for group in self.param_groups:
            taken = self._taken(group)
            group["eps"] /= math.sqrt(1 - group["betas"][1] ** (taken + 1))
            group["lr"] /= 1 + self.decay * taken
        try:
            loss: float | None = super().step(closure)
            return loss
        finally:
            for group, (eps, lr) in zip(self.param_groups, before, strict=True):
                group["eps"], group["lr"] = eps, lr

    def _taken(self, group: dict[str, Any]) -> int:
        state = self.state.get(group["params"][0], {})
        return int(state["step"]) if "step" in state else 0

    def _on_device(self, group: dict[str, Any]) -> bool:
        """Whether the number of steps is on a device that would have to be waited for. Torch's first step puts it there."""
        first = group["params"][0]
        on_host = first.device.type == "cpu" if self.counts_on_host is None else self.counts_on_host
        return not on_host and "step" in self.state.get(first, {}) and getattr(self, "grad_scale", None) is None

    @torch.no_grad()
    def _step_there(self, group: dict[str, Any]) -> None:
        """One update of a group without a wait; none, where ``found_inf`` is 1: then every change is multiplied by 0."""
        parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
        states = [self.state[parameter] for parameter in parameters]
        averages, squares, steps = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step"))
        found: Tensor | None = getattr(self, "found_inf", None)
        wide = torch.promote_types(parameters[0].dtype, torch.float32)  # of factors; steps and found_inf are float32
        kept = (torch.ones_like(steps[0]) if found is None else 1 - found).to(wide)
        gradients = _ascending(parameters, group, found)
        beta1, beta2 = group["betas"]
        torch._foreach_add_(steps, [kept.to(steps[0].dtype)] * len(steps))
        taken = steps[0].to(wide)
        _approach(averages, gradients, (1 - beta1) * kept)
        _approach(squares, torch._foreach_mul(gradients, gradients), (1 - beta2) * kept)
        if group["amsgrad"]:
            greatest = [state["max_exp_avg_sq"] for state in states]
            torch._foreach_maximum_(greatest, squares)
            squares = greatest
        corrections = [-torch.expm1(taken * math.log(beta)) if beta else torch.ones_like(kept) for beta in (beta1, beta2)]  # 1 - beta^t
        rate = group["lr"] * corrections[1].sqrt() / corrections[0] / (1 + self.decay * (taken - 1))
        roots = torch._foreach_sqrt(squares)
        torch._foreach_add_(roots, group["eps"])
        changes = torch._foreach_div(averages, roots)
        torch._foreach_mul_(changes, (-rate * kept).to(parameters[0].dtype))
        torch._foreach_add_(parameters, changes)


def _ascending(parameters: list[Tensor], group: dict[str, Any], found: Tensor | None) -> list[Tensor]:
    """The gradients, with weight decay and in the direction that is wanted; zeros where they are not to be used."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if found is not None:
        gradients = [torch.where(found.bool(), 0.0, gradient) for gradient in gradients]
    if group["maximize"]:
        gradients = list(torch._foreach_neg(gradients))
    if group["weight_decay"]:
        gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
    return gradients


def _approach(averages: list[Tensor], values: list[Tensor] | tuple[Tensor, ...], share: Tensor) -> None:
    """Move ``averages`` towards ``values`` by this share of the way, a scalar on the device."""
    ways = torch._foreach_sub(values, averages)
    torch._foreach_mul_(ways, share.to(averages[0].dtype))
    torch._foreach_add_(averages, ways)
