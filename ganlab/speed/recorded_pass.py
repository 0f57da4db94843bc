"""One recorded pass of a network, there and back: tensors at fixed places, what replays it, and the step of autograd that does so."""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ganlab.game.player import Player
from ganlab.speed.module_state import attributes, device_state, host_state, put_back_attributes, put_back_device_state, untouched
from ganlab.speed.recorders import Recorder

#: How far a replay may be from the pass itself, as a share of its greatest number: roundings, where a GPU adds up in another order.
TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-3, torch.bfloat16: 5e-2, torch.float16: 1e-2}


class NetworkToRecord(Protocol):
    """The network whose passes are recorded, as :class:`ganlab.speed.graphs.Graphs` has it."""

    player: Player
    recorder: Recorder
    modules: list[nn.Module]

    def as_it_is(self, x: Tensor, labels: Tensor | None) -> Any:
        """The network's own pass."""

    def state(self) -> list[Any]:
        """What a recording depends on in the network."""

    def forget(self, variant: Any) -> None:
        """Call this variant as it is from now on."""


class Unrecordable(Exception):
    """A pass that a recording would not give again: a sentence why."""


class Slot:
    """A recorded pass of one variant. It is taken from a replay of its way forward until it has gone back, or never will.

    Recorded are copies of the parameters that share their memory: autograd ties a parameter to the stream on which it was used first,
    and that must not be the recording's.

    Attributes:
        free: whether it may be replayed for another pass.
        there, back: replay the way forward and the way back; no way back where nothing needs a gradient.
    """

    def __init__(self, graphs: NetworkToRecord, variant: Any, x: Tensor, labels: Tensor | None) -> None:
        self.graphs, self.variant = graphs, variant
        self.network = graphs.player.network
        self.free = True
        self.named = dict(self.network.named_parameters())
        self.held = attributes(graphs.modules)
        self.x = x.detach().clone().requires_grad_(x.requires_grad)
        self.labels = None if labels is None else labels.detach().clone()
        self.twins = {name: parameter.detach().requires_grad_(parameter.requires_grad) for name, parameter in self.named.items()}
        self.inputs = [self.x, *self.twins.values()]
        self.wanted = [number for number, tensor in enumerate(self.inputs) if tensor.requires_grad and torch.is_grad_enabled()]
        kind = x.device.type
        self.autocast = functools.partial(torch.autocast, kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind))
        self.y: Any = None
        self.back: Callable[[], None] | None = None
        with untouched(self.network, x.device):
            self._record()
            self._check(x, labels)

    # -- recording ---------------------------------------------------------------------------------------------------------

    def _record(self) -> None:
        """Record the way there and, where anything needs a gradient, the way back."""
        recorder, before = self.graphs.recorder, (self.graphs.state(), host_state(self.x.device))
        recorder.begin()
        with uncached_autocast():
            recorder.try_out(self._try_out)
            self.y = None  # autograd ties the parameters' copies to the stream of the first recording once this is gone
            (self.result,), self.there = recorder.record(self._way_there)
            if self.wanted and self.y.requires_grad:
                self.grad = torch.empty_like(self.result)
                self.gradients, self.back = recorder.record(self._way_back)
        if (self.graphs.state(), host_state(self.x.device)) != before:
            raise Unrecordable("it draws numbers on the host, or changes or keeps something in its modules that a replay would not.")

    def _way_there(self) -> list[Tensor]:
        labels = {"labels": self.labels} if self.graphs.player.takes_labels else {}
        self.y = functional_call(self.network, self.twins, (self.x,), labels)
        if not isinstance(self.y, Tensor):
            raise Unrecordable(f"it returned a {type(self.y).__name__}.")
        return [self.y]

    def _way_back(self) -> list[Tensor]:
        with torch.autocast(self.x.device.type, enabled=False):  # backward passes are outside of it
            found = self._gradients(self.y, self.inputs, self.grad, retain_graph=True)
        self.used = [number for number, gradient in zip(self.wanted, found, strict=True) if gradient is not None]
        return [gradient for gradient in found if gradient is not None]

    def _gradients(self, y: Tensor, inputs: Sequence[Tensor], slope: Tensor, **how: bool) -> tuple[Tensor | None, ...]:
        """Of those inputs that need one: the input, then the parameters."""
        return torch.autograd.grad(y, [inputs[number] for number in self.wanted], slope, allow_unused=True, **how)

    def _try_out(self) -> None:
        self._way_there()
        if self.wanted and self.y.requires_grad:
            self.grad = torch.zeros_like(self.y)
            self._way_back()

    # -- trying the recording ----------------------------------------------------------------------------------------------

    def _check(self, x: Tensor, labels: Tensor | None) -> None:
        """Compare a replay with the pass itself: result, gradients, and what has moved in the network.

        Raises:
            Unrecordable: they differ.
        """
        slope = torch.linspace(-1, 1, self.result.numel(), device=x.device).view(self.result.shape).to(self.result.dtype)
        ways = []
        for way in (self._plainly, self._replayed):
            with untouched(self.network, x.device):
                y, gradients = way(x, labels, slope)
                ways.append(([y], gradients, [buffer.clone() for buffer in self.network.buffers()]))
        if not all(alike(*both) for both in zip(*ways, strict=True)):
            raise Unrecordable("a replay of it gave other numbers than the pass itself.")

    def _plainly(self, x: Tensor, labels: Tensor | None, slope: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = x.detach().requires_grad_(x.requires_grad)
        y = self.graphs.as_it_is(x, labels)
        if not self.wanted or not y.requires_grad:
            return y.detach(), []
        with torch.autocast(x.device.type, enabled=False):
            found = self._gradients(y, [x, *self.named.values()], slope)
        return y.detach(), [gradient for gradient in found if gradient is not None]

    def _replayed(self, x: Tensor, labels: Tensor | None, slope: Tensor) -> tuple[Tensor, list[Tensor]]:
        y = self.forward(x, labels)
        return y, [gradient for gradient in self.backward(slope) if gradient is not None] if self.back else []

    # -- replaying ---------------------------------------------------------------------------------------------------------

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """The result: a copy, for its place is written again in the next turn, and hooks and metrics keep what they are given."""
        with torch.no_grad():
            self.x.copy_(x)
            if labels is not None and self.labels is not None:
                self.labels.copy_(labels)
            self.there()
            return self.result.detach().clone()

    def backward(self, slope: Tensor) -> list[Tensor | None]:
        """The gradients of the input and of all parameters, in copies: autograd makes them a parameter's ``grad``, which lives on."""
        assert self.back is not None
        with torch.no_grad():
            self.grad.copy_(slope)
            self.back()
            found = dict(zip(self.used, torch._foreach_mul(self.gradients, 1.0), strict=True)) if self.used else {}
        return [found.get(number) for number in range(len(self.inputs))]

    def again(self, x: Tensor, labels: Tensor | None, parameters: Sequence[Tensor], slope: Tensor, state: Tensor) -> list[Tensor | None]:
        """The same gradients by operations that autograd knows, so that they can be differentiated: the pass anew, with its numbers.

        Whoever differentiates twice will do so again: this variant is called as it is from now on.
        """
        self.graphs.forget(self.variant)
        now = attributes(self.graphs.modules)
        with untouched(self.network, x.device), torch.enable_grad():
            put_back_device_state(x.device, state)
            put_back_attributes(self.held)
            try:
                with self.autocast():
                    y = self.graphs.as_it_is(x, labels)
            finally:
                put_back_attributes(now)
            found = self._gradients(y, [x, *parameters], slope, create_graph=True)
        every: list[Tensor | None] = [None] * len(self.inputs)
        for number, gradient in zip(self.wanted, found, strict=True):
            every[number] = gradient
        return every

    def release(self) -> None:
        """It may be replayed for another pass."""
        self.free = True


class Replayed(torch.autograd.Function):
    """A recorded pass as one step of autograd."""

    @staticmethod
    def of(slot: Slot, x: Tensor, labels: Tensor | None) -> Tensor:
        """What the network gives for ``x`` and ``labels``."""
        if slot.back is None:
            return slot.forward(x, labels)
        result: Tensor = Replayed.apply(slot, labels, x, *slot.named.values())
        return result

    @staticmethod
    def forward(ctx: Any, slot: Slot, labels: Tensor | None, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.slot, ctx.labels, ctx.state = slot, labels, device_state(x.device)
        ctx.save_for_backward(x, *parameters)
        slot.free = False
        ctx.lease = Lease(slot)
        return slot.forward(x, labels)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        x, *parameters = ctx.saved_tensors  # raises where autograd has let go of this pass
        if torch.is_grad_enabled():  # somebody differentiates the gradient
            return None, None, *ctx.slot.again(x, ctx.labels, parameters, slope, ctx.state)
        found = ctx.slot.backward(slope)
        if not _goes_back_again():
            ctx.slot.release()
            ctx.lease.over()
        return None, None, *found


class Lease:
    """Frees a slot as soon as autograd forgets the pass, where no way back has done so."""

    def __init__(self, slot: Slot) -> None:
        self._end = weakref.finalize(self, slot.release)
        self._end.atexit = False

    def over(self) -> None:
        """The way back is done."""
        self._end.detach()


def _goes_back_again() -> bool:
    """Whether autograd keeps the pass for another way back (``retain_graph=True``), as far as this torch tells."""
    asked = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
    return True if asked is None else bool(asked())


@contextlib.contextmanager
def uncached_autocast() -> Iterator[None]:
    """Mixed precision that casts anew what it has cast before: a cast that was recorded is done in replays only."""
    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)


def alike(some: list[Tensor], others: list[Tensor]) -> bool:
    """Whether tensors are equal but for roundings, measured by the greatest number in all of them."""
    if [(one.shape, one.dtype) for one in some] != [(other.shape, other.dtype) for other in others]:
        return False
    floating = [(one, other) for one, other in zip(some, others, strict=True) if one.is_floating_point()]
    if not all(torch.equal(one, other) for one, other in zip(some, others, strict=True) if not one.is_floating_point()):
        return False
    if not all(torch.equal(one.isfinite(), other.isfinite()) for one, other in floating):
        return False
    pairs = [(one[one.isfinite()].double(), other[one.isfinite()].double(), TOLERANCES.get(one.dtype, 1e-3)) for one, other in floating]
    greatest = max((float(one.abs().max()) for one, _, _ in pairs if one.numel()), default=0.0)
    return all(float((one - other).abs().max()) <= share * greatest for one, other, share in pairs if one.numel())
