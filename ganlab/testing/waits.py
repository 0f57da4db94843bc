"""What waits for the device: looked for on the CPU, in the calls that would wait for a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


class Waits:
    """Notes what brings a value to the host, or has to know one: ``seen`` is a set of words such as ``"item()"``.

    Args:
        optimizers: torch's own keep their count of steps on the host (``state[p]["step"]``), and reading that waits for nobody.
    """

    def __init__(self, optimizers: Iterable[torch.optim.Optimizer] = ()) -> None:
        self.seen: set[str] = set()
        self._optimizers = list(optimizers)
        self._operations, self._methods = _Operations(self), _Methods(self)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, with all that it calls being watched."""

        def call(*given: Any, **named: Any) -> Any:
            with self._methods, self._operations:
                return function(*given, **named)

        return call

    def is_count(self, tensor: Any) -> bool:
        """Whether it is an optimizer's count of steps."""
        return any(state.get("step") is tensor for optimizer in self._optimizers for state in optimizer.state.values())


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees what is computed, from Python or from within torch."""

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
    """Sees what copies between host and device, by its name: on the CPU, that computes nothing."""

    WORDS: ClassVar = {Tensor.cpu: "cpu()", Tensor.numpy: "numpy()", Tensor.tolist: "tolist()"}
    FACTORIES: ClassVar = {torch.tensor: "torch.tensor(..., device=...)", torch.as_tensor: "torch.as_tensor(..., device=...)"}

    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self.waits = waits

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function in self.WORDS:
            self.waits.seen.add(self.WORDS[function])
        given = args[0] if args else kwargs.get("data")
        if function in self.FACTORIES and kwargs.get("device") not in (None, "cpu") and not isinstance(given, Tensor):
            self.waits.seen.add(self.FACTORIES[function])  # a copy from the host that is waited for; torch.full is none
        return function(*args, **kwargs)
