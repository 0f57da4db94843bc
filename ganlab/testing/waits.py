"""Detect waits for the device. Works on the CPU: it intercepts the calls that would wait for a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


class Waits:
    """Records calls that copy a value to the CPU, or need to know one.

    Args:
        optimizers: their step counts (``state[p]["step"]``) are on the CPU, so reading them is no wait.

    Attributes:
        seen: the names of the calls, such as ``"item()"``.
    """

    def __init__(self, optimizers: Iterable[torch.optim.Optimizer] = ()) -> None:
        self.seen: set[str] = set()
        self._optimizers = list(optimizers)
        self._operations, self._methods = _Operations(self), _Methods(self)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``function`` to record the waits in it."""

        def call(*args: Any, **kwargs: Any) -> Any:
            with self._methods, self._operations:
                return function(*args, **kwargs)

        return call

    def is_count(self, tensor: Any) -> bool:
        """Whether the tensor is an optimizer's step count."""
        return any(state.get("step") is tensor for optimizer in self._optimizers for state in optimizer.state.values())


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Intercepts operations, whether Python or torch calls them."""

    WORDS: ClassVar = {
        "_local_scalar_dense": "item()", "is_nonzero": "if tensor:", "equal": "torch.equal",
        "nonzero": "nonzero()", "index": "tensor[mask]", "masked_select": "masked_select()", "_unique2": "unique()",
    }  # fmt: skip

    def __init__(self, waits: Waits) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waits = waits

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        word = self.WORDS.get(name)
        by_numbers = name == "index" and all(index is None or index.dtype != torch.bool for index in args[1])
        if word is not None and not by_numbers and not self.waits.is_count(args[0]):
            self.waits.seen.add(word)
        return function(*args, **(kwargs or {}))


class _Methods(TorchFunctionMode):
    """Intercepts copies between CPU and device by the name of the function, since on the CPU they are no operation."""

    WORDS: ClassVar = {Tensor.cpu: "cpu()", Tensor.numpy: "numpy()", Tensor.tolist: "tolist()"}
    FACTORIES: ClassVar = {torch.tensor: "torch.tensor(..., device=...)", torch.as_tensor: "torch.as_tensor(..., device=...)"}

    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self.waits = waits

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function in self.WORDS:
            self.waits.seen.add(self.WORDS[function])
        data = args[0] if args else kwargs.get("data")
        if function in self.FACTORIES and kwargs.get("device") not in (None, "cpu") and not isinstance(data, Tensor):
            self.waits.seen.add(self.FACTORIES[function])  # a copy from the CPU, which waits; torch.full does not
        return function(*args, **kwargs)
