"""CUDA graphs: a network's passes are recorded once and replayed in each turn, with one launch where there was one for each layer.

Everything else in a turn stays as it is: draws, hooks, losses, the guard and the optimizers. So tricks need not know about graphs. There
is one recording for each *variant* of a pass: modes and other values in the network's modules, which tensors need gradients, shapes, mixed
precision. A pass that cannot be recorded calls the network itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.module import _has_any_global_hook

from ganlab.game.player import Player, has_hooks
from ganlab.speed.compiled import error_sentence
from ganlab.speed.module_state import PLAIN, TORCH_ATTRIBUTES, fingerprint_of
from ganlab.speed.recorded_pass import CannotRecord, RecordedPass, Replayed
from ganlab.speed.recorders import RECORDERS, PassRecorder

MOST_VARIANTS = 24  # of one network: with more, something changes in each turn, and recordings would fill the memory
MOST_FAILURES = 4  # variants that could not be recorded; after that no new variant is tried
MOST_AT_ONCE = 8  # passes of one variant that wait for their backward pass


class Graphs:
    """Calls a player's network by replaying recorded passes. The results equal those of the network itself.

    A pass calls the network itself if its input needs a gradient in the player's own turn, because that gradient will be differentiated.
    """

    def __init__(self, player: Player, device: torch.device, announce: Callable[[str], None]) -> None:
        self.player, self.device, self.announce = player, device, announce
        self.recorder: PassRecorder = RECORDERS[device.type](device)
        self.modules = list(player.network.modules())
        self.recorded: dict[Any, list[RecordedPass]] = {}  # by variant
        self.not_recorded: set[Any] = set()  # variants that call the network itself
        self.failures = 0
        self.announced: set[str] = set()

    def __call__(self, x: Tensor, labels: Tensor | None = None) -> Any:
        recorded_pass = self._free_pass(x, labels)
        return self.call_network(x, labels) if recorded_pass is None else Replayed.of(recorded_pass, x, labels)

    def call_network(self, x: Tensor, labels: Tensor | None) -> Any:
        """Call the network itself."""
        return self.player.network(x, labels=labels) if self.player.takes_labels else self.player.network(x)

    def stop_replaying(self, variant: Any) -> None:
        """Call the network itself for this variant from now on."""
        self.recorded.pop(variant, None)
        self.not_recorded.add(variant)

    def network_state(self) -> list[Any]:
        """Everything in the network that a recording depends on: values in its modules, addresses of tensors and whether they need
        gradients.
        """
        state: list[Any] = []
        for module in self.modules:
            module_attributes = vars(module)
            for name, value in module_attributes.items():
                if type(value) in PLAIN:  # the common case comes first: this runs before every pass
                    state += (name, value)
                elif name not in TORCH_ATTRIBUTES:
                    state += (name, fingerprint_of(value))
            for tensor in (*module_attributes["_parameters"].values(), *module_attributes["_buffers"].values()):
                if tensor is not None:
                    state += (tensor.data_ptr(), tensor.requires_grad)
        return state

    def _free_pass(self, x: Tensor, labels: Tensor | None) -> RecordedPass | None:
        """A recorded pass that is free; None where the network itself is to be called."""
        if (
            self.failures >= MOST_FAILURES
            or self.player.may_differentiate_twice(x)
            or x.device.type != self.device.type
            or self._observed()
        ):
            return None
        variant = self._variant(x, labels)
        if variant in self.not_recorded:
            return None
        recorded_passes = self.recorded.get(variant, [])
        for recorded_pass in recorded_passes:
            if recorded_pass.free:
                return recorded_pass
        if len(recorded_passes) >= MOST_AT_ONCE:
            return None
        if not recorded_passes and len(self.recorded) >= MOST_VARIANTS:
            self._announce_once(f"they come in more than {MOST_VARIANTS} variants of shapes, modes and options.")
            return None
        return self._record(variant, x, labels)

    def _record(self, variant: Any, x: Tensor, labels: Tensor | None) -> RecordedPass | None:
        """Record this variant once more; None if that fails."""
        try:
            recorded_pass = RecordedPass(self, variant, x, labels)
        except Exception as error:  # an error of the network itself is raised again when the network is called
            self.stop_replaying(variant)
            self.failures += 1
            self._announce_once(error.args[0] if isinstance(error, CannotRecord) else error_sentence(error))
            return None
        self.recorded.setdefault(variant, []).append(recorded_pass)
        return recorded_pass

    def _announce_once(self, reason: str) -> None:
        """Announce why passes are not replayed, once for each reason."""
        if reason not in self.announced:
            self.announced.add(reason)
            self.announce(
                f"train.cuda_graphs: some passes of {self.player.owner} are not recorded, and call the network directly: {reason}"
            )

    def _observed(self) -> bool:
        """Whether hooks or torch modes observe the layers or the operations. A replay would not call them."""
        if any(map(has_hooks, self.modules)):
            self._announce_once("its layers have hooks.")
            return True
        return _has_any_global_hook() or torch._C._len_torch_dispatch_stack() > 0 or torch._C._len_torch_function_stack() > 0  # type: ignore[no-untyped-call]

    def _variant(self, x: Tensor, labels: Tensor | None) -> Any:
        """Everything that a recording depends on and that may change between passes."""
        device = x.device.type
        return (
            *_layout(x), x.requires_grad, None if labels is None else _layout(labels), torch.is_grad_enabled(),
            torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device), torch.is_inference_mode_enabled(),
            *self.network_state(),
        )  # fmt: skip


def _layout(x: Tensor) -> tuple[Any, ...]:
    return x.shape, x.stride(), x.dtype, x.device
