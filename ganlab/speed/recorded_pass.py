"""A recorded pass of a network, forward and backward: tensors at fixed addresses, their replay, and an autograd function for it."""

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
from ganlab.speed.module_state import attributes_of, device_state, host_state, restore_attributes, restore_device_state, state_restored
from ganlab.speed.recorders import PassRecorder

#: How far a replay may differ from the pass itself, relative to its largest absolute value. A GPU may round sums in another order.
TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-3, torch.bfloat16: 5e-2, torch.float16: 1e-2}


class NetworkToRecord(Protocol):
    """The network whose passes are recorded. Implemented by :class:`ganlab.speed.graphs.Graphs`."""

    player: Player
    recorder: PassRecorder
    modules: list[nn.Module]

    def call_network(self, x: Tensor, labels: Tensor | None) -> Any:
        """Call the network itself."""

    def network_state(self) -> list[Any]:
        """Everything in the network that a recording depends on."""

    def stop_replaying(self, variant: Any) -> None:
        """Call the network itself for this variant from now on."""


class CannotRecord(Exception):
    """A recording would not repeat the pass. The argument is a sentence that says why."""


class RecordedPass:
    """A recorded pass of one variant. It is in use from the replay of its forward pass until its backward pass is over or impossible.

    The recording reads copies of the parameters that share their memory. Autograd binds each parameter to the stream of its first use,
    and this must not be the recording stream.

    Attributes:
        free: whether another pass may use the recording.
        replay_forward, replay_backward: replay the two passes. There is no backward pass if nothing needs a gradient.
    """

    def __init__(self, graphs: NetworkToRecord, variant: Any, x: Tensor, labels: Tensor | None) -> None:
        self.graphs, self.variant = graphs, variant
        self.network = graphs.player.network
        self.free = True
        self.parameters = dict(self.network.named_parameters())
        self.recorded_attributes = attributes_of(graphs.modules)
        self.x = x.detach().clone().requires_grad_(x.requires_grad)
        self.labels = None if labels is None else labels.detach().clone()
        self.aliases = {name: parameter.detach().requires_grad_(parameter.requires_grad) for name, parameter in self.parameters.items()}
        self.inputs = [self.x, *self.aliases.values()]
        self.differentiable = [number for number, tensor in enumerate(self.inputs) if tensor.requires_grad and torch.is_grad_enabled()]
        device_type = x.device.type
        self.autocast = functools.partial(
            torch.autocast, device_type, torch.get_autocast_dtype(device_type), torch.is_autocast_enabled(device_type)
        )
        self.y: Any = None
        self.replay_backward: Callable[[], None] | None = None
        with state_restored(self.network, x.device):
            self._record()
            self._check(x, labels)

    # -- recording ---------------------------------------------------------------------------------------------------------

    def _record(self) -> None:
        """Record the forward pass and, if anything needs a gradient, the backward pass."""
        recorder, before = self.graphs.recorder, self._state_outside()
        recorder.begin()
        with uncached_autocast():
            recorder.warm_up(self._warm_up)
            self.y = None  # frees the warm-up's graph: autograd then binds the aliases to the stream of the recording
            (self.result,), self.replay_forward = recorder.record(self._forward)
            if self.differentiable and self.y.requires_grad:
                self.grad = torch.empty_like(self.result)
                self.gradients, self.replay_backward = recorder.record(self._backward)
        if self._state_outside() != before:
            raise CannotRecord("it draws random numbers on the CPU, or changes or keeps something in its modules that a replay would not.")

    def _state_outside(self) -> tuple[list[Any], list[Any]]:
        """What a replay would not change: the network's state and the CPU's random number generators."""
        return self.graphs.network_state(), host_state(self.x.device)

    def _forward(self) -> list[Tensor]:
        labels = {"labels": self.labels} if self.graphs.player.takes_labels else {}
        self.y = functional_call(self.network, self.aliases, (self.x,), labels)
        if not isinstance(self.y, Tensor):
            raise CannotRecord(f"it returned a {type(self.y).__name__}.")
        return [self.y]

    def _backward(self) -> list[Tensor]:
        with torch.autocast(self.x.device.type, enabled=False):  # backward passes run outside of autocast
            gradients = self._gradients(self.y, self.inputs, self.grad, retain_graph=True)
        self.used = [number for number, gradient in zip(self.differentiable, gradients, strict=True) if gradient is not None]
        return [gradient for gradient in gradients if gradient is not None]

    def _gradients(self, y: Tensor, inputs: Sequence[Tensor], grad_output: Tensor, **options: bool) -> tuple[Tensor | None, ...]:
        """The gradients of those inputs that need one: first of ``x``, then of the parameters."""
        return torch.autograd.grad(y, [inputs[number] for number in self.differentiable], grad_output, allow_unused=True, **options)

    def _warm_up(self) -> None:
        self._forward()
        if self.differentiable and self.y.requires_grad:
            self.grad = torch.zeros_like(self.y)
            self._backward()

    # -- checking the recording --------------------------------------------------------------------------------------------

    def _check(self, x: Tensor, labels: Tensor | None) -> None:
        """Compare a replay with the pass itself: result, gradients and buffers.

        Raises:
            CannotRecord: they differ.
        """
        grad_output = torch.linspace(-1, 1, self.result.numel(), device=x.device).view(self.result.shape).to(self.result.dtype)
        outcomes = []
        for run_pass in (self._run_network, self._run_replay):
            with state_restored(self.network, x.device):
                y, gradients = run_pass(x, labels, grad_output)
                outcomes.append(([y], gradients, [buffer.clone() for buffer in self.network.buffers()]))
        if not all(nearly_equal(*both) for both in zip(*outcomes, strict=True)):
            raise CannotRecord("a replay gave other numbers than the pass itself.")

    def _run_network(self, x: Tensor, labels: Tensor | None, grad_output: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = x.detach().requires_grad_(x.requires_grad)
        y = self.graphs.call_network(x, labels)
        if not self.differentiable or not y.requires_grad:
            return y.detach(), []
        with torch.autocast(x.device.type, enabled=False):
            gradients = self._gradients(y, [x, *self.parameters.values()], grad_output)
        return y.detach(), [gradient for gradient in gradients if gradient is not None]

    def _run_replay(self, x: Tensor, labels: Tensor | None, grad_output: Tensor) -> tuple[Tensor, list[Tensor]]:
        y = self.forward(x, labels)
        return y, [gradient for gradient in self.backward(grad_output) if gradient is not None] if self.replay_backward else []

    # -- replaying ---------------------------------------------------------------------------------------------------------

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """The result, as a copy: the next turn overwrites the recorded one, but hooks and metrics may keep what they get."""
        with torch.no_grad():
            self.x.copy_(x)
            if labels is not None and self.labels is not None:
                self.labels.copy_(labels)
            self.replay_forward()
            return self.result.detach().clone()

    def backward(self, grad_output: Tensor) -> list[Tensor | None]:
        """The gradients of the input and of all parameters, as copies: autograd may use them as a parameter's ``grad``."""
        assert self.replay_backward is not None
        with torch.no_grad():
            self.grad.copy_(grad_output)
            self.replay_backward()
            gradients = dict(zip(self.used, torch._foreach_mul(self.gradients, 1.0), strict=True)) if self.used else {}
        return [gradients.get(number) for number in range(len(self.inputs))]

    def differentiable_gradients(
        self, x: Tensor, labels: Tensor | None, parameters: Sequence[Tensor], grad_output: Tensor, state: Tensor
    ) -> list[Tensor | None]:
        """The gradients of :meth:`backward` with a graph of their own. The network itself computes the pass again, with the same numbers.

        A network whose gradients are differentiated once will have them differentiated again, so this variant is not replayed any more.

        Args:
            state: the device's random state before the forward pass, from :func:`device_state`.
        """
        self.graphs.stop_replaying(self.variant)
        current = attributes_of(self.graphs.modules)
        with state_restored(self.network, x.device), torch.enable_grad():
            restore_device_state(x.device, state)
            restore_attributes(self.recorded_attributes)
            try:
                with self.autocast():
                    y = self.graphs.call_network(x, labels)
            finally:
                restore_attributes(current)
            gradients = self._gradients(y, [x, *parameters], grad_output, create_graph=True)
        of_all_inputs: list[Tensor | None] = [None] * len(self.inputs)
        for number, gradient in zip(self.differentiable, gradients, strict=True):
            of_all_inputs[number] = gradient
        return of_all_inputs

    def release(self) -> None:
        """Let another pass use the recording."""
        self.free = True


class Replayed(torch.autograd.Function):
    """A recorded pass as one node of autograd's graph."""

    @staticmethod
    def of(recorded_pass: RecordedPass, x: Tensor, labels: Tensor | None) -> Tensor:
        """The network's result for ``x`` and ``labels``."""
        if recorded_pass.replay_backward is None:
            return recorded_pass.forward(x, labels)
        result: Tensor = Replayed.apply(recorded_pass, labels, x, *recorded_pass.parameters.values())
        return result

    @staticmethod
    def forward(ctx: Any, recorded_pass: RecordedPass, labels: Tensor | None, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.recorded_pass, ctx.labels, ctx.state = recorded_pass, labels, device_state(x.device)
        ctx.save_for_backward(x, *parameters)
        recorded_pass.free = False
        ctx.lease = Lease(recorded_pass)
        return recorded_pass.forward(x, labels)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        x, *parameters = ctx.saved_tensors  # raises if autograd has already freed this pass
        if torch.is_grad_enabled():  # the gradient itself is differentiated
            return None, None, *ctx.recorded_pass.differentiable_gradients(x, ctx.labels, parameters, grad_output, ctx.state)
        gradients = ctx.recorded_pass.backward(grad_output)
        if not _graph_is_retained():
            ctx.recorded_pass.release()
            ctx.lease.end()
        return None, None, *gradients


class Lease:
    """The use of a recorded pass by one node of autograd. Releases it when autograd frees the node without a backward pass."""

    def __init__(self, recorded_pass: RecordedPass) -> None:
        self._finalizer = weakref.finalize(self, recorded_pass.release)
        self._finalizer.atexit = False

    def end(self) -> None:
        """The backward pass is over, and has released the recorded pass itself."""
        self._finalizer.detach()


def _graph_is_retained() -> bool:
    """Whether autograd keeps the graph for another backward pass (``retain_graph=True``). True if this version of torch cannot tell."""
    keep_graph = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
    return True if keep_graph is None else bool(keep_graph())


@contextlib.contextmanager
def uncached_autocast() -> Iterator[None]:
    """Switch off autocast's cache of cast weights: a cast that is taken from the cache would be missing in the recording."""
    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)


def nearly_equal(first: list[Tensor], second: list[Tensor]) -> bool:
    """Whether two lists of tensors are equal up to rounding, relative to the largest absolute value in all of the first list."""
    if [(a.shape, a.dtype) for a in first] != [(b.shape, b.dtype) for b in second]:
        return False
    floating = [(a, b) for a, b in zip(first, second, strict=True) if a.is_floating_point()]
    if not all(torch.equal(a, b) for a, b in zip(first, second, strict=True) if not a.is_floating_point()):
        return False
    if not all(torch.equal(a.isfinite(), b.isfinite()) for a, b in floating):
        return False
    pairs = [(a[a.isfinite()].double(), b[a.isfinite()].double(), TOLERANCES.get(a.dtype, 1e-3)) for a, b in floating]
    largest = max((float(a.abs().max()) for a, _, _ in pairs if a.numel()), default=0.0)
    return all(float((a - b).abs().max()) <= tolerance * largest for a, b, tolerance in pairs if a.numel())
