"""Whose hook made a number not finite: what tricks change in a turn is noted while it goes on, and looked at only when it must be."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ganlab.errors import PluginError
from ganlab.game.turn import Change, Turn

#: What hooks may change in a turn, in the order in which it is used.
VALUES = ("latent", "real", "fake", "real_scores", "fake_scores", "real_target", "fake_target")
GRADIENTS = "the gradients"
#: The hooks in which they do.
HOOKS = ("before_turn", "before_scores", "after_scores", "loss_terms", "before_update")


def look_at(turn: Turn, after: str = "a trick", trick: str = "") -> Tensor:
    """1 if the turn's loss or a gradient of its player is not finite, else 0: float32 (), on the device. Nothing is changed.

    The loss stands for its terms, for their sum is not finite where one of them is not. This is the operation that
    torch.amp.GradScaler does it with, at a scale of 1: two thirds of the time of a norm, and it cannot overflow.

    Args:
        after, trick: whose hook was called just now, in words, and the name of its trick.

    Raises:
        PluginError: a hook has put something else in the loss's place.
    """
    if not isinstance(turn.loss, Tensor):
        what = f"{after} has set turn.loss to a {type(turn.loss).__name__}"
        hint = 'its gradients are there by then; what is to be added to it is a term: `turn.loss_terms["mine"] = ...`'
        raise PluginError(what, hint, trick)
    gradients = [p.grad for p in turn.player.parameters if p.grad is not None]
    device = turn.loss.device
    found = torch.zeros((), device=device)
    if device.type in ("cpu", "cuda"):
        torch._amp_foreach_non_finite_check_and_unscale_([turn.loss.detach(), *gradients], found, _one(device))
        return found
    norms = torch._foreach_norm([turn.loss.detach(), *gradients])
    return (~torch.isfinite(torch.stack(norms).sum())).to(torch.float32)


@functools.cache
def _one(device: torch.device) -> Tensor:
    return torch.ones((), device=device)


@dataclass(frozen=True)
class Culprit:
    """The first value that was not finite, and the hook that made it so; empty where unknown."""

    value: str = ""
    hook: str = ""
    how: Literal["changed", "in place", "set"] = "changed"

    @classmethod
    def among(cls, changes: list[Change], turn: Turn | None) -> Culprit:
        """The culprit of a turn that was not finite. Reads values: for the host.

        Args:
            changes: what hooks changed in it, in this order.
            turn: it, unless it is gone already.
        """
        for change in changes:
            if not _fine(change.name, change.after):
                if change.how != "changed" or _fine(change.name, change.before):
                    return cls(change.name, change.hook, change.how)
                break
        given = () if turn is None else VALUES
        return cls(next((name for name in given if not _fine(name, getattr(turn, name))), ""))

    def in_words(self) -> str:
        """How a report goes on."""
        name = self.value if self.value.startswith("the ") else f"turn.{self.value}"
        if self.hook:
            how = {"set": f"has set {name}", "in place": f"has changed {name} in place"}
            return f": {self.hook}, {how.get(self.how, f'has changed {name}, finite until then')}"
        return f": {name} was not finite, before any trick could change it" if self.value else ""


def watched(owner: str, trick: str, hook: str, place: int, call: Callable[..., Any]) -> Callable[..., Any]:
    """``call``, a trick's implementation of ``hook``, which takes the turn as its argument number ``place``, noting what it changes."""
    words = f"{owner}, in its hook {hook}"

    def values(*args: Any) -> Any:
        turn: Turn = args[place]
        before = _values(turn)
        result = call(*args)
        for name, (value, version) in _values(turn).items():
            old, old_version = before.get(name, (None, 0))
            if value is not old:
                turn.trace.changes.append(Change(words, name, old, value, "set" if old is None else "changed", trick))
            elif version != old_version:
                turn.trace.changes.append(Change(words, name, None, value, "in place", trick))
        return result

    def gradients(*args: Any) -> Any:
        turn: Turn = args[place]
        before = look_at(turn) if turn.trace.flag is None else turn.trace.flag
        result = call(*args)
        turn.trace.flag = look_at(turn, f"{words},", trick)
        turn.trace.changes.append(Change(words, GRADIENTS, before, turn.trace.flag, trick=trick))
        return result

    return functools.wraps(call)(gradients if hook == "before_update" else values)


def _values(turn: Turn) -> dict[str, tuple[Any, int]]:
    """What a hook may change, by name, with the number of times it has been changed in place."""
    found = {name: getattr(turn, name) for name in VALUES}
    found |= {f"the loss term '{name}'": term for name, term in (turn.loss_terms or {}).items()}
    return {name: (value, value._version if isinstance(value, Tensor) else 0) for name, value in found.items()}


def _fine(name: str, value: Any) -> bool:
    if name == GRADIENTS:
        return not bool(value)
    if isinstance(value, Tensor):
        return bool(value.isfinite().all())
    return value is None or abs(value) < float("inf")
