"""Keeps torch's compiler out of processes that compile nothing.

PyTorch's optimizers import ``torch._dynamo`` when they are made and in each step, only to tell it to keep its hands off. With that come a
thousand modules (sympy, triton, torch.distributed, ...), which need as long as ``import torch`` itself, and hundreds of megabytes.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.optim import Optimizer

COMPILER = "torch._dynamo"
MARK = "__dynamo_disable"  # where torch/_compile.py keeps what it calls in a function's place


def spare_the_compiler() -> None:
    """Let optimizers do without the compiler as long as nothing else has imported it; from then on all is as torch has it.

    Needed before the first optimizer is made, for that is when it is imported. Where torch is built otherwise than this knows,
    nothing is changed, and the compiler is imported.
    """
    if COMPILER in sys.modules:
        return
    for method in vars(Optimizer).values():  # add_param_group, zero_grad, state_dict and load_state_dict
        if _code_of(method) == "_disable_dynamo.<locals>.inner" and not hasattr(method.__wrapped__, MARK):
            setattr(method.__wrapped__, MARK, _disabled_later(method.__wrapped__))
    for kind in _kinds(Optimizer):
        step = vars(kind).get("step")
        if _code_of(step) == "_use_grad_for_differentiable.<locals>._use_grad":
            kind.step = _step_without(step)  # type: ignore[method-assign]


def _code_of(function: Any) -> str:
    """Where the code of a decorated function was written; empty for anything else."""
    return function.__code__.co_qualname if hasattr(function, "__code__") and hasattr(function, "__wrapped__") else ""


def _kinds(kind: type[Optimizer]) -> Iterator[type[Optimizer]]:
    for child in kind.__subclasses__():
        yield child
        yield from _kinds(child)


def _disabled_later(function: Callable[..., Any]) -> Callable[..., Any]:
    """``torch._dynamo.disable(function)`` once there is such a thing; before that nothing can be disabled."""
    disabled: Callable[..., Any] | None = None

    def call(*args: Any, **options: Any) -> Any:
        nonlocal disabled
        if disabled is None:
            if not _compiler_is_here():
                return function(*args, **options)
            disabled = torch._dynamo.disable(function)  # type: ignore[no-untyped-call]
        return disabled(*args, **options)

    return call


def _step_without(step: Any) -> Callable[..., Any]:
    """An optimizer's step, with gradients on or off as torch has it there, and without the two graph breaks around it."""
    plain = step.__wrapped__

    @functools.wraps(step)
    def call(self: Optimizer, *args: Any, **options: Any) -> Any:
        if _compiler_is_here():
            return step(self, *args, **options)
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return plain(self, *args, **options)

    return call


def _compiler_is_here() -> bool:
    """Whether it has been imported, all of it: another thread may be about to."""
    module = sys.modules.get(COMPILER)
    return module is not None and not getattr(module.__spec__, "_initializing", False)
