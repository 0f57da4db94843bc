"""Adam with less between the steps: the same fused update by torch, without what torch's optimizer looks up anew each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, optim
from torch.optim import optimizer as base


def _torchs(optimizer: Adam, closure: Callable[[], float] | None) -> float | None:
    """Torch's own step, with what calls step hooks around it."""
    step: Any = optim.Adam.step
    if not hasattr(step, "hooked"):  # torch wraps it once there is a plain Adam
        step = optim.Optimizer.profile_hook_step(step)
    loss: float | None = step(optimizer, closure)
    return loss


class Adam(optim.Adam):
    """``torch.optim.Adam`` with ``fused=True``, bit for bit, sooner: for small networks torch takes longer to prepare a step than to do it.

    The tensors of all parameters are looked up once. Where anything is out of the ordinary (step hooks, a closure, a parameter
    without a gradient, options that are seldom used) torch's own step is taken.
    """

    def __init__(self, parameters: Any, **options: Any) -> None:
        self._tensors: list[list[list[Tensor]]] | None = None
        self._one = torch.ones((), device="cpu")
        super().__init__(parameters, **options)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As torch's."""
        self._tensors = None
        super().add_param_group(param_group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's."""
        self._tensors = None
        super().load_state_dict(state_dict)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._tensors, self._one = None, torch.ones((), device="cpu")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As torch's."""
        if not set_to_none:
            super().zero_grad(set_to_none=False)
            return
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update. ``found_inf``, where it is set, is honoured as torch does."""
        gradients = None if closure is not None or self._watched() else self._gradients()
        if gradients is None or (tensors := self._looked_up()) is None:
            return _torchs(self, closure)
        found: Tensor | None = getattr(self, "found_inf", None)
        for group, (parameters, averages, squares, greatest, steps), grads in zip(self.param_groups, tensors, gradients, strict=True):
            beta1, beta2 = group["betas"]
            torch._foreach_add_(steps, [self._one] * len(steps))  # a number in its place is made a tensor for each of them
            torch._fused_adam_(
                parameters, grads, averages, squares, greatest, steps, amsgrad=group["amsgrad"], lr=group["lr"], beta1=beta1,
                beta2=beta2, weight_decay=group["weight_decay"], eps=group["eps"], maximize=group["maximize"], grad_scale=None,
                found_inf=found,
            )  # fmt: skip
            if found is not None:
                torch._foreach_sub_(steps, [found] * len(steps))
        return None

    step.hooked = True  # type: ignore[attr-defined] # torch is not to wrap it with what calls step hooks: with any, torch's own is taken

    def _watched(self) -> bool:
        """Whether step hooks are registered, or gradients are scaled."""
        hooks = (self._optimizer_step_pre_hooks, self._optimizer_step_post_hooks, base._global_optimizer_pre_hooks)
        return any(hooks) or bool(base._global_optimizer_post_hooks) or getattr(self, "grad_scale", None) is not None

    def _gradients(self) -> list[list[Tensor]] | None:
        """All gradients, by group; None where one is missing."""
        found = [[parameter.grad for parameter in group["params"]] for group in self.param_groups]
        complete: list[list[Tensor]] | None = None if any(grad is None for group in found for grad in group) else found
        return complete

    def _looked_up(self) -> list[list[list[Tensor]]] | None:
        """Parameters, both averages, the greatest squares and the step counts, by group; None before the first step has made them."""
        if self._tensors is None or self._replaced():
            self._tensors = self._look_up()
        return self._tensors

    def _replaced(self) -> bool:
        """Whether somebody has put other tensors into the state."""
        assert self._tensors is not None
        first = self.param_groups[0]["params"][0]
        return self.state[first].get("exp_avg") is not self._tensors[0][1][0]

    def _look_up(self) -> list[list[list[Tensor]]] | None:
        found = []
        for group in self.param_groups:
            parameters = group["params"]
            usual = not (group["differentiable"] or group["capturable"] or isinstance(group["lr"], Tensor)) and group["fused"]
            states = [self.state.get(parameter, {}) for parameter in parameters]
            if not usual or not parameters or not all(states) or parameters[0].device.type != "cpu":
                return None
            names = ["exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if group["amsgrad"] else [])]
            averages = [[state[name] for state in states] for name in names]
            found.append([parameters, *averages, *([[]] if len(names) == 2 else []), [state["step"] for state in states]])
        return found
