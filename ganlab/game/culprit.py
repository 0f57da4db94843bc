"""Finds the hook that made a number not finite. Tricks' changes are recorded during the turn, and examined only after a failure."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganlab.game.turn import Change, Turn

#: The turn's values that hooks may change, in the order in which the turn uses them.
VALUES = ("latent", "real", "fake", "real_scores", "fake_scores", "real_target", "fake_target")
GRADIENTS = "the gradients"
#: The hooks whose changes are traced.
TRACED_HOOKS = ("before_turn", "before_scores", "after_scores", "loss_terms", "before_update")


def non_finite_flag(turn: Turn) -> Tensor:
    """A flag on the device, float32 (): 1 if the turn's loss or a gradient of its player is not finite, else 0.

    Terms of the loss are not checked one by one: their sum is not finite if one of them is not. On the CPU and on CUDA this is the
    operation of torch.amp.GradScaler with a scale of 1. It takes two thirds of the time of a norm, and cannot overflow.
    """
    assert turn.loss is not None
    gradients = [p.grad for p in turn.player.parameters if p.grad is not None]
    device = turn.loss.device
    flag = torch.zeros((), device=device)
    if device.type in ("cpu", "cuda"):
        torch._amp_foreach_non_finite_check_and_unscale_([turn.loss.detach(), *gradients], flag, _scale_of_one(device))
        return flag
    norms = torch._foreach_norm([turn.loss.detach(), *gradients])
    return (~torch.isfinite(torch.stack(norms).sum())).to(torch.float32)


@functools.cache
def _scale_of_one(device: torch.device) -> Tensor:
    return torch.ones((), device=device)


@dataclass(frozen=True)
class Culprit:
    """The first value that was not finite, and the hook that made it so.

    Attributes:
        value: its name; empty if unknown.
        hook: the hook and its owner; empty if unknown.
    """

    value: str = ""
    hook: str = ""

    @classmethod
    def of(cls, changes: list[Change], turn: Turn | None) -> Culprit:
        """The culprit of a turn that was not finite. Waits for the device, because it reads values.

        Args:
            changes: the changes that hooks made in the turn, in the order of the hooks.
            turn: the turn itself, unless it is gone already.
        """
        for change in changes:
            if not _is_finite(change.name, change.after):
                if _is_finite(change.name, change.before):
                    return cls(change.name, change.hook)
                break
        names = () if turn is None else VALUES
        return cls(next((name for name in names if not _is_finite(name, getattr(turn, name))), ""))

    def describe(self) -> str:
        """The end of a report's sentence, from its colon on; empty if nothing is known."""
        name = self.value if self.value.startswith("the ") else f"turn.{self.value}"
        if self.hook:
            return f": {self.hook}, has changed {name}"
        return f": {name} was not finite, before any trick could change it" if self.value else ""


def traced(owner: str, trick: str, hook: str, position: int, call: Callable[..., Any]) -> Callable[..., Any]:
    """A trick's implementation of a hook, wrapped to record what it changes in ``turn.trace``. ``position`` is that of ``turn``."""
    description = f"{owner}, in its hook {hook}"

    def trace_values(*args: Any) -> Any:
        turn: Turn = args[position]
        before = _values(turn)
        result = call(*args)
        for name, (value, version) in _values(turn).items():
            old, old_version = before.get(name, (None, 0))
            if value is not old or version != old_version:
                turn.trace.changes.append(Change(description, name, None if value is old else old, value, trick))
        return result

    def trace_gradients(*args: Any) -> Any:
        turn: Turn = args[position]
        before = non_finite_flag(turn) if turn.trace.flag is None else turn.trace.flag
        result = call(*args)
        turn.trace.flag = non_finite_flag(turn)
        turn.trace.changes.append(Change(description, GRADIENTS, before, turn.trace.flag, trick))
        return result

    return functools.wraps(call)(trace_gradients if hook == "before_update" else trace_values)


def _values(turn: Turn) -> dict[str, tuple[Any, int]]:
    """The values that a hook may change, by name, each with its version: the number of changes in place."""
    values = {name: getattr(turn, name) for name in VALUES}
    values |= {f"the loss term '{name}'": term for name, term in turn.loss_terms.items()}
    return {name: (value, value._version if isinstance(value, Tensor) else 0) for name, value in values.items()}


def _is_finite(name: str, value: Any) -> bool:
    if name == GRADIENTS:
        return not bool(value)
    if isinstance(value, Tensor):
        return bool(value.isfinite().all())
    return value is None or abs(value) < float("inf")
