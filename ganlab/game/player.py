"""A player: a network and its optimizer. The generator and the discriminator are objects of the same class."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.components import NetworkSpec, Role
from ganlab.errors import PluginError
from ganlab.game.blame import blamed
from ganlab.storage import checkpoint

_BatchNorm = nn.modules.batchnorm._NormBase


class Player:
    """The generator or the discriminator.

    Attributes:
        role: ``"generator"`` or ``"discriminator"``.
        network: a module called as ``network(x, labels=labels)``, or ``network(x)`` if its ``forward`` has no parameter ``labels``.
        spec: the specification that the network was built from.
        optimizer: updates the network's trainable parameters.
        parameters: the network's trainable parameters.
        takes_labels: whether the network's ``forward`` has a parameter ``labels``.
        updates: the number of updates.
        owner: the network's name and plugin, for error messages.
        passes: what training calls: the network itself, or a faster replacement from :meth:`speed_up`.
    """

    __slots__ = (  # assigning to a misspelt name must fail
        "__weakref__", "_faster", "_learning", "_training", "network", "optimizer", "owner", "parameters", "passes", "role", "spec",
        "takes_labels", "updates",
    )  # fmt: skip
    optimizer: torch.optim.Optimizer

    def __init__(self, role: Role, network: nn.Module, spec: NetworkSpec, owner: str) -> None:
        self.role, self.network, self.spec, self.owner = role, network, spec, owner
        self.updates = 0
        self._learning = True
        self._faster: Callable[[Player], Callable[..., Any]] | None = None
        self.refresh()

    def refresh(self) -> None:
        """Update what the player knows about its network, after a trick has changed or replaced it."""
        self.parameters = [p for p in self.network.parameters() if p.requires_grad]
        self.takes_labels = accepts_labels(self.network)
        self._training = self.network.training
        self.passes: Callable[..., Any] = self.network if self._faster is None else self._faster(self)

    def speed_up(self, faster: Callable[[Player], Callable[..., Any]]) -> None:
        """Let training call ``faster(player)`` in place of the network. Sampling still calls the network itself."""
        self._faster = faster
        self.refresh()

    def __call__(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        with blamed(self.owner):
            result = self.passes(x, labels=labels) if self.takes_labels else self.passes(x)
        if not isinstance(result, Tensor):
            raise PluginError(f"{self.owner} returned a {type(result).__name__}, not a tensor", "a network returns one tensor")
        return result

    def score_sides(
        self,
        parts: Sequence[Tensor],
        labels: Sequence[Tensor | None],
        begin: Callable[[int], None],
        autocast: Callable[[], AbstractContextManager[Any]],
    ) -> list[Tensor]:
        """The network's result for each of ``parts``: one call for each, unless the network's method ``in_one_pass`` computes all together.

        Args:
            parts: one batch of inputs for each side, ``(batch, *input shape)``.
            labels: of each part, ``(batch,)`` or None.
            begin: called with the number of a part, from 0, before its random numbers are drawn.
            autocast: returns the context of a pass. Each call gets its own, because autocast's cache of cast weights would otherwise
                accumulate the gradients of both calls in bfloat16.
        """
        if len(parts) > 1:
            with autocast():
                together = self.in_one_pass(parts, begin)
            if together is not None:
                return together
        results = []
        for number, (part, part_labels) in enumerate(zip(parts, labels, strict=True)):
            begin(number)
            with autocast():
                results.append(self(part, part_labels))
        return results

    def in_one_pass(self, parts: Sequence[Tensor], begin: Callable[[int], None]) -> list[Tensor] | None:
        """The results of one call for each of ``parts``, computed together; None if the network cannot do that or has hooks.

        Args:
            begin: called with the number of a part, from 0, before its random numbers are drawn.
        """
        if self.takes_labels or self.passes is not self.network or has_hooks(self.network) or not implements_in_one_pass(self.network):
            return None
        if any(part.requires_grad for part in parts):  # a penalty on one side's gradient would backpropagate through both
            return None
        with blamed(self.owner):
            results: list[Tensor] | None = self.network.in_one_pass(parts, begin)  # type: ignore[operator]
        if results is not None and not (isinstance(results, list) and [type(result) for result in results] == [Tensor] * len(parts)):
            raise PluginError(f"{self.owner}: in_one_pass did not return a list of {len(parts)} tensors or None")
        return results

    def may_differentiate_twice(self, x: Tensor) -> bool:
        """Whether both the input ``x`` and the parameters need a gradient, as in a gradient penalty."""
        return x.requires_grad and self._learning and torch.is_grad_enabled()

    def learn(self, flag: bool) -> None:
        """Switch gradients of the parameters on or off. They are on in the player's own turn only (``eval()`` does not switch them off)."""
        if flag != self._learning:
            self._learning = flag
            for parameter in self.parameters:
                parameter.requires_grad_(flag)

    def mode(self, training: bool) -> None:
        """Put the network into train or eval mode."""
        if training != self._training:
            self._training = training
            self.network.train(training)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """A context in eval mode without gradients, in which calls use the network itself. Restores the previous mode on exit."""
        before, passes = self._training, self.passes
        self.mode(False)
        self.passes = self.network
        try:
            with torch.no_grad():
                yield
        finally:
            self.mode(before)
            self.passes = passes

    @contextmanager
    def statistics_fixed(self) -> Iterator[None]:
        """A context in which batch normalization uses the batch's statistics and does not update its running statistics."""
        layers = [m for m in self.network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
        for layer in layers:
            layer.track_running_stats = False
        try:
            yield
        finally:
            for layer in layers:
                layer.track_running_stats = True

    def gradient_norm(self) -> Tensor:
        """The L2 norm of all gradients together: a scalar on the device."""
        norms = torch._foreach_norm([p.grad for p in self.parameters if p.grad is not None])
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
        return norm

    def scale_gradients(self, factor: Tensor | float) -> None:
        """Multiply all gradients in place by the scalar ``factor``, on the device."""
        torch._foreach_mul_([p.grad for p in self.parameters if p.grad is not None], factor)

    def apply(self, found_inf: Tensor | None = None) -> None:
        """Make one step of the optimizer, and count it.

        Args:
            found_inf: float32 () on the device. If it is 1, torch's fused optimizers change neither weights nor state.
        """
        with self._blaming_optimizer():
            if found_inf is None:
                self.optimizer.step()
            else:
                self.optimizer.found_inf = found_inf  # type: ignore[attr-defined] # as torch.amp.GradScaler does
                try:
                    self.optimizer.step()
                finally:
                    del self.optimizer.found_inf  # type: ignore[attr-defined]
        self.updates += 1

    def optimizer_state(self) -> dict[str, Any]:
        """The optimizer's ``state_dict()``, checked to contain only what a checkpoint can store."""
        with self._blaming_optimizer():
            state: dict[str, Any] = checkpoint.checked(self.optimizer.state_dict())
            return state

    def _blaming_optimizer(self) -> blamed:
        return blamed(f"the {self.role}'s optimizer, {type(self.optimizer).__name__},")


def has_hooks(module: nn.Module) -> bool:
    """Whether the module has forward or backward hooks."""
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks)


def implements_in_one_pass(network: nn.Module) -> bool:
    """Whether the network has a method ``in_one_pass`` for its ``forward``. An inherited one does not count if ``forward`` is newer."""
    definers = (vars(kind) for kind in type(network).__mro__ if "in_one_pass" in vars(kind) or "forward" in vars(kind))
    return "forward" not in vars(network) and "in_one_pass" in next(definers)


def accepts_labels(network: nn.Module) -> bool:
    """Whether ``network.forward`` has a parameter ``labels``."""
    return "labels" in inspect.signature(network.forward).parameters
