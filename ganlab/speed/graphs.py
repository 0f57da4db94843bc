"""A network's passes as CUDA graphs: recorded once, replayed in each turn, so that a pass costs a launch where it cost one for each layer.

Everything else of a turn (draws, hooks, losses, the guard, optimizers) stays as it is, and so a recipe's tricks need not know. A pass is
recorded for each *variant* in which it is called: modes and other values that the network's modules hold, which tensors need gradients,
shapes, mixed precision. What cannot be recorded is called as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.module import _has_any_global_hook

from ganlab.game.player import Player, watched
from ganlab.speed.compiled import first_line
from ganlab.speed.module_state import OF_TORCH, PLAIN, in_short
from ganlab.speed.recorded_pass import Replayed, Slot, Unrecordable
from ganlab.speed.recorders import RECORDERS, Recorder

MOST_VARIANTS = 24  # of one network: more means that something is another in each turn, and recordings would fill the memory
MOST_FAILURES = 4  # variants that cannot be recorded: then the next one is not tried
MOST_AT_ONCE = 8  # passes of one variant whose way back is still to come


class Graphs:
    """Calls a player's network by replaying recorded passes, with the numbers that the network itself would give.

    A pass whose input needs a gradient in the player's own turn goes to the network as it is: that gradient will be differentiated.
    """

    def __init__(self, player: Player, device: torch.device, announce: Callable[[str], None]) -> None:
        self.player, self.device, self.announce = player, device, announce
        self.recorder: Recorder = RECORDERS[device.type](device)
        self.modules = list(player.network.modules())
        self.slots: dict[Any, list[Slot]] = {}
        self.as_they_are: set[Any] = set()  # variants
        self.failures = 0
        self.told: set[str] = set()

    def __call__(self, x: Tensor, labels: Tensor | None = None) -> Any:
        slot = self._slot(x, labels)
        return self.as_it_is(x, labels) if slot is None else Replayed.of(slot, x, labels)

    def as_it_is(self, x: Tensor, labels: Tensor | None) -> Any:
        """The network's own pass."""
        return self.player.network(x, labels=labels) if self.player.takes_labels else self.player.network(x)

    def forget(self, variant: Any) -> None:
        """Call this variant as it is from now on."""
        self.slots.pop(variant, None)
        self.as_they_are.add(variant)

    def state(self) -> list[Any]:
        """What a recording depends on in the network: what its modules hold, in short; of tensors, where they are and whether they need
        gradients.
        """
        found: list[Any] = []
        for module in self.modules:
            held = vars(module)
            for name, value in held.items():
                if type(value) in PLAIN:  # nearly all of them: this is asked before every pass
                    found += (name, value)
                elif name not in OF_TORCH:
                    found += (name, in_short(value))
            for tensor in (*held["_parameters"].values(), *held["_buffers"].values()):
                if tensor is not None:
                    found += (tensor.data_ptr(), tensor.requires_grad)
        return found

    def _slot(self, x: Tensor, labels: Tensor | None) -> Slot | None:
        """A recorded pass that is free; None where there is to be none."""
        if self.failures >= MOST_FAILURES or self.player.may_differentiate_twice(x) or x.device.type != self.device.type or self._watched():
            return None
        variant = self._variant(x, labels)
        if variant in self.as_they_are:
            return None
        slots = self.slots.get(variant, [])
        for slot in slots:
            if slot.free:
                return slot
        if len(slots) >= MOST_AT_ONCE:
            return None
        if not slots and len(self.slots) >= MOST_VARIANTS:
            self._tell(f"they come in more than {MOST_VARIANTS} variants of shapes, modes and options.")
            return None
        return self._record(variant, x, labels)

    def _record(self, variant: Any, x: Tensor, labels: Tensor | None) -> Slot | None:
        """One more recording of this variant, unless it cannot be had."""
        try:
            slot = Slot(self, variant, x, labels)
        except Exception as error:  # a network that is itself wrong raises again when it is called as it is
            self.forget(variant)
            self.failures += 1
            self._tell(error.args[0] if isinstance(error, Unrecordable) else first_line(error))
            return None
        self.slots.setdefault(variant, []).append(slot)
        return slot

    def _tell(self, why: str) -> None:
        """Say once why passes are not replayed."""
        if why not in self.told:
            self.told.add(why)
            self.announce(f"train.cuda_graphs: passes of {self.player.owner} are not all recorded, and go on as they are: {why}")

    def _watched(self) -> bool:
        """Whether somebody looks on at the layers or at torch's operations, and would see nothing of a replay."""
        if any(map(watched, self.modules)):
            self._tell("hooks look on at their layers.")
            return True
        return _has_any_global_hook() or torch._C._len_torch_dispatch_stack() > 0 or torch._C._len_torch_function_stack() > 0  # type: ignore[no-untyped-call]

    def _variant(self, x: Tensor, labels: Tensor | None) -> Any:
        """Everything that a recording depends on and that may be another the next time."""
        device = x.device.type
        return (
            *_form(x), x.requires_grad, None if labels is None else _form(labels), torch.is_grad_enabled(),
            torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device), torch.is_inference_mode_enabled(), *self.state(),
        )  # fmt: skip


def _form(x: Tensor) -> tuple[Any, ...]:
    return x.shape, x.stride(), x.dtype, x.device
