"""Delays the import of torch's compiler until something compiles.

PyTorch's optimizers import ``torch._dynamo`` when they are created and in each step, only to exclude themselves from compilation. This
import loads a thousand modules (sympy, triton, torch.distributed, ...). It takes as long as ``import torch`` and hundreds of megabytes.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.optim import Optimizer

COMPILER = "torch._dynamo"
MARK = "__dynamo_disable"  # the attribute in which torch/_compile.py caches the disabled function


def delay_compiler_import() -> None:
    """Let optimizers work without ``torch._dynamo`` until something else imports it. From then on they behave as torch wrote them.

    Call it before the first optimizer is created, because that imports the compiler. If torch's internals differ from those known here,
    nothing changes, and torch imports the compiler as usual.
    """
    if COMPILER in sys.modules:
        return
    for method in vars(Optimizer).values():  # add_param_group, zero_grad, state_dict and load_state_dict
        if _code_of(method) == "_disable_dynamo.<locals>.inner" and not hasattr(method.__wrapped__, MARK):
            setattr(method.__wrapped__, MARK, _disabled_later(method.__wrapped__))
    for optimizer_class in _subclasses(Optimizer):
        step = vars(optimizer_class).get("step")
        if _code_of(step) == "_use_grad_for_differentiable.<locals>._use_grad":
            optimizer_class.step = _step_without(step)  # type: ignore[method-assign]


def _code_of(function: Any) -> str:
    """The qualified name of a decorated function's code; empty for anything else."""
    return function.__code__.co_qualname if hasattr(function, "__code__") and hasattr(function, "__wrapped__") else ""


def _subclasses(base: type[Optimizer]) -> Iterator[type[Optimizer]]:
    """All direct and indirect subclasses."""
    for subclass in base.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _disabled_later(function: Callable[..., Any]) -> Callable[..., Any]:
    """``torch._dynamo.disable(function)`` once the compiler is imported; ``function`` before that."""
    disabled: Callable[..., Any] | None = None

    def call(*args: Any, **options: Any) -> Any:
        nonlocal disabled
        if disabled is None:
            if not _compiler_is_imported():
                return function(*args, **options)
            disabled = torch._dynamo.disable(function)  # type: ignore[no-untyped-call]
        return disabled(*args, **options)

    return call


def _step_without(step: Any) -> Callable[..., Any]:
    """An optimizer's ``step`` with torch's gradient mode, and without the two graph breaks around it."""
    plain = step.__wrapped__

    @functools.wraps(step)
    def call(self: Optimizer, *args: Any, **options: Any) -> Any:
        if _compiler_is_imported():
            return step(self, *args, **options)
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return plain(self, *args, **options)

    return call


def _compiler_is_imported() -> bool:
    """Whether the compiler is imported completely: another thread may still be importing it."""
    module = sys.modules.get(COMPILER)
    return module is not None and not getattr(module.__spec__, "_initializing", False)
