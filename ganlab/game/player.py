"""A player: a network and its optimizer. The generator and the discriminator differ in data, not in code."""

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
    """One side of the game.

    Attributes:
        role: ``"generator"`` or ``"discriminator"``.
        network: a module called as ``network(x, labels=labels)``, or ``network(x)`` if its ``forward`` has no parameter ``labels``.
        spec: what the network was built for.
        optimizer: of the network's trainable parameters.
        updates: how often the optimizer has stepped.
        owner: who wrote the network, for error messages.
        passes: how the network is called in training: as it is, unless the recipe asks for a faster way.
    """

    __slots__ = (  # what a hook assigns to a name that is none must not go unseen
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
        """Look at the network again, after a trick has changed or replaced it."""
        self.parameters = [p for p in self.network.parameters() if p.requires_grad]
        self.takes_labels = accepts_labels(self.network)
        self._training = self.network.training
        self.passes: Callable[..., Any] = self.network if self._faster is None else self._faster(self)

    def speed_up(self, faster: Callable[[Player], Callable[..., Any]]) -> None:
        """Call the network as ``faster(player)`` does, from now on and after each :meth:`refresh`. Samples are made by it as it is."""
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
        """What the network returns for each of ``parts``: one call for each, unless its method ``in_one_pass`` computes all at once.

        Args:
            parts: one batch of inputs for each side, ``(batch, *input shape)``.
            labels: of these, ``(batch,)`` or None.
            begin: called with the number of a part, from 0, before its random numbers are drawn.
            autocast: makes the context of a pass. Two calls have one each, for a cached cast would add up their gradients in bfloat16.
        """
        if len(parts) > 1:
            with autocast():
                at_once = self.in_one_pass(parts, begin)
            if at_once is not None:
                return at_once
        results = []
        for number, (part, part_labels) in enumerate(zip(parts, labels, strict=True)):
            begin(number)
            with autocast():
                results.append(self(part, part_labels))
        return results

    def in_one_pass(self, parts: Sequence[Tensor], begin: Callable[[int], None]) -> list[Tensor] | None:
        """What calls with each of ``parts`` would return, computed at once; None where the network cannot, or is watched.

        Args:
            begin: called with the number of a part, from 0, before its random numbers are drawn.
        """
        if self.takes_labels or self.passes is not self.network or watched(self.network) or not speaks_for_calls(self.network):
            return None
        if any(part.requires_grad for part in parts):  # a penalty on one side's gradient would pay for both
            return None
        with blamed(self.owner):
            results: list[Tensor] | None = self.network.in_one_pass(parts, begin)  # type: ignore[operator]
        if results is not None and not (isinstance(results, list) and [type(one) for one in results] == [Tensor] * len(parts)):
            raise PluginError(f"{self.owner}: in_one_pass returned something else than a list of {len(parts)} tensors, or None")
        return results

    def may_differentiate_twice(self, x: Tensor) -> bool:
        """Whether a gradient with respect to the input ``x`` is wanted along with that of the parameters, as gradient penalties do."""
        return x.requires_grad and self._learning and torch.is_grad_enabled()

    def learn(self, flag: bool) -> None:
        """Whether gradients reach the parameters: only in the player's own turn (``eval()`` alone does not stop them)."""
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
        """Eval mode, no gradients and the network as it is inside; all as it was, afterwards."""
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
        """Batch normalization uses the batch's statistics inside, but does not move its running ones."""
        layers = [m for m in self.network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
        for layer in layers:
            layer.track_running_stats = False
        try:
            yield
        finally:
            for layer in layers:
                layer.track_running_stats = True

    def gradient_norm(self) -> Tensor:
        """The L2 norm of all gradients as one vector: a scalar, on the device."""
        norms = torch._foreach_norm([p.grad for p in self.parameters if p.grad is not None])
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
        return norm

    def scale_gradients(self, factor: Tensor | float) -> None:
        """Multiply all gradients by ``factor`` (a scalar), in place, on the device."""
        torch._foreach_mul_([p.grad for p in self.parameters if p.grad is not None], factor)

    def apply(self, found: Tensor | None = None) -> None:
        """One step of the optimizer, counted.

        Args:
            found: float32 (), on the device: 1 makes one of torch's fused optimizers leave weights and state alone.
        """
        with self._blaming_optimizer():
            if found is None:
                self.optimizer.step()
            else:
                self.optimizer.found_inf = found  # type: ignore[attr-defined] # as torch.amp.GradScaler hands it over
                try:
                    self.optimizer.step()
                finally:
                    del self.optimizer.found_inf  # type: ignore[attr-defined]
        self.updates += 1

    def optimizer_state(self) -> dict[str, Any]:
        """The optimizer's ``state_dict()``, as a checkpoint can hold it."""
        with self._blaming_optimizer():
            state: dict[str, Any] = checkpoint.checked(self.optimizer.state_dict())
            return state

    def _blaming_optimizer(self) -> blamed:
        return blamed(f"the {self.role}'s optimizer, {type(self.optimizer).__name__},")


def watched(module: nn.Module) -> bool:
    """Whether hooks look on when the module is called."""
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks)


def speaks_for_calls(network: nn.Module) -> bool:
    """Whether the network has an ``in_one_pass`` that knows its ``forward``: not one inherited past a ``forward`` of its own."""
    definers = (vars(kind) for kind in type(network).__mro__ if "in_one_pass" in vars(kind) or "forward" in vars(kind))
    return "forward" not in vars(network) and "in_one_pass" in next(definers)


def accepts_labels(network: nn.Module) -> bool:
    """Whether ``network.forward`` has a parameter ``labels``."""
    return "labels" in inspect.signature(network.forward).parameters
