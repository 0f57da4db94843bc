"""A network compiled by ``torch.compile``, for the passes of training; what cannot be compiled is called as it is, and that is told."""

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
#: Of one network: train and eval mode, statistics that move or not, parameters or the input that need gradients, shapes. A shape that is
#: another one in each turn would be compiled in each turn.
MOST_VARIANTS = 16
TWICE = "does not currently support double backward"  # what torch says


class Compiled:
    """Calls a player's network compiled, whole or not at all: then the compiler has failed before anything was computed.

    A pass whose input needs a gradient in the player's own turn goes to the network as it is: somebody will differentiate that gradient
    (a gradient penalty), and torch's compiler cannot do so.
    """

    def __init__(self, player: Player, announce: Callable[[str], None]) -> None:
        self.player, self.announce = player, announce
        self.works = True
        self._compiled = compiled(player.network)

    def __call__(self, x: Tensor, **labels: Tensor | None) -> Any:
        network = self.player.network
        if not self.works or self.player.may_differentiate_twice(x):
            return network(x, **labels)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's compiler warns of its own doing
                return self._compiled(x, **labels)
        except Exception as error:
            if is_memory_error(error):
                raise
            result = network(x, **labels)  # what is wrong with the network itself is raised here
            self.works = False
            self.announce(
                f"train.compile: {self.player.owner} cannot be compiled here, so it is not: {first_line(error)} Its passes are as without "
                "this option."
            )
            return result


def compiled(network: torch.nn.Module) -> Any:
    """The network, to be called in the same way. Its parameters and their names are left as they are.

    Raises:
        UsageError: this build of torch has no compiler at all.
    """
    known = inspect.signature(torch.compile).parameters
    limits: dict[str, Any] = {"recompile_limit": MOST_VARIANTS, "isolate_recompiles": True}  # else all networks of a kind share one limit
    try:
        return torch.compile(
            network, backend=BACKEND, fullgraph=True, dynamic=False, **{name: value for name, value in limits.items() if name in known}
        )
    except RuntimeError as error:  # this Python is newer than it knows, or this system is none of its
        raise UsageError(f"train.compile = true: {first_line(error)}", "remove it") from error


def first_line(error: BaseException) -> str:
    """What is wrong, as a sentence."""
    if type(error).__name__ == "FailOnRecompileLimitHit":
        return f"its passes come in more than {MOST_VARIANTS} variants of shapes, modes and gradients."
    error = getattr(error, "inner_exception", error)  # of a compiler's error
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."


def explained(error: BaseException, recipe: Recipe) -> GanlabError | None:
    """What a person reads of an error that is the compiler's; None for any other."""
    if not recipe.train.compile:
        return None
    if TWICE in str(error):
        return UsageError(
            "a gradient was to be differentiated once more, which torch.compile cannot do",
            "remove train.compile: --set train.compile=false",
        )
    return None
