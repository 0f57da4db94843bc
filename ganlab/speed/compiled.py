"""Networks compiled by ``torch.compile`` for the passes of training. A network that cannot be compiled runs uncompiled, announced once."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import GanlabError, UsageError
from ganlab.game.out_of_memory import is_memory_error
from ganlab.game.player import Player
from ganlab.recipe import Recipe

BACKEND = "inductor"
#: Compiled variants of one network. They differ in train or eval mode, running statistics that are updated or not, which tensors need
#: gradients, and shapes. A shape that is new in each turn would compile in each turn.
MOST_VARIANTS = 16
DOUBLE_BACKWARD = "does not currently support double backward"  # part of torch's own message


class Compiled:
    """Calls a player's network compiled as one graph (``fullgraph=True``), so that the compiler fails before anything is computed.

    A pass calls the uncompiled network if its input needs a gradient in the player's own turn. A gradient penalty differentiates that
    gradient, and compiled code cannot do this.
    """

    def __init__(self, player: Player, announce: Callable[[str], None]) -> None:
        self.player, self.announce = player, announce
        self.works = True
        self._compiled = compile_network(player.network)

    def __call__(self, x: Tensor, **labels: Tensor | None) -> Any:
        network = self.player.network
        if not self.works or self.player.may_differentiate_twice(x):
            return network(x, **labels)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the compiler warns about its own internals
                return self._compiled(x, **labels)
        except Exception as error:
            if is_memory_error(error):
                raise
            result = network(x, **labels)  # an error of the network itself is raised here
            self.works = False
            self.announce(
                f"train.compile: {self.player.owner} cannot be compiled, and training continues with the uncompiled network: "
                f"{error_sentence(error)}"
            )
            return result


def compile_network(network: torch.nn.Module) -> Any:
    """A callable with the network's signature. The network's parameters and their names do not change.

    Raises:
        UsageError: this build of torch has no compiler.
    """
    known = inspect.signature(torch.compile).parameters
    # Without isolate_recompiles, all networks of one class share one limit.
    limits: dict[str, Any] = {"recompile_limit": MOST_VARIANTS, "isolate_recompiles": True}
    try:
        return torch.compile(
            network, backend=BACKEND, fullgraph=True, dynamic=False, **{name: value for name, value in limits.items() if name in known}
        )
    except RuntimeError as error:  # torch supports no compiler on this Python version or operating system
        raise UsageError(f"train.compile = true: {error_sentence(error)}", "remove it") from error


def error_sentence(error: BaseException) -> str:
    """The first line of an error's message, as a sentence."""
    if type(error).__name__ == "FailOnRecompileLimitHit":
        return f"its passes come in more than {MOST_VARIANTS} variants of shapes, modes and gradients."
    error = getattr(error, "inner_exception", error)  # errors of the compiler wrap their cause
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."


def compiler_error(error: BaseException, recipe: Recipe) -> GanlabError | None:
    """The error to show to the user if ``error`` is a known limit of ``torch.compile``; None for any other error."""
    if not recipe.train.compile:
        return None
    if DOUBLE_BACKWARD in str(error):
        return UsageError(
            "a trick or a loss differentiates a gradient, which torch.compile does not support",
            "remove train.compile: --set train.compile=false",
        )
    return None
