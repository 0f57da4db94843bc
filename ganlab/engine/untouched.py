"""Trying out a network's pass without leaving a trace: what its modules hold, and where random numbers come from, is put back."""

from __future__ import annotations

import contextlib
import copy
import random
import sys
from collections.abc import Iterable, Iterator
from numbers import Number
from typing import Any

import torch
from torch import Tensor, nn

PLAIN = (bool, int, float, str, type(None))
#: What torch keeps in every module: parameters, buffers, other modules and hooks, which are looked after by themselves.
OF_TORCH = frozenset(vars(nn.Module())) - {"training"}
Attributes = list[tuple[dict[str, Any], str, Any, Any]]  # what a module holds, an attribute's name, its value, a copy where it can change


@contextlib.contextmanager
def untouched(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Leave the network and all generators of random numbers as they are, whatever is tried out inside."""
    modules = list(network.modules())
    places = [(module._buffers, name, buffer) for module in modules for name, buffer in module._buffers.items() if buffer is not None]
    held, copies, host, state = attributes(modules), [buffer.clone() for _, _, buffer in places], host_state(), device_state(device)
    try:
        yield
    finally:
        for (buffers, name, buffer), copy in zip(places, copies, strict=True):
            buffer.data.copy_(copy)  # .data: for passes that are under way and remember it, it is as it was
            buffers[name] = buffer
        put_back_attributes(held)
        put_back_host_state(host)
        put_back_device_state(device, state)


def attributes(modules: Iterable[nn.Module]) -> Attributes:
    """What modules hold beside what torch keeps in each: numbers, words, switches, lists of them, other objects."""
    return [
        (vars(module), name, value, copy.copy(value) if type(value) in (list, dict, set) else None)
        for module in modules
        for name, value in vars(module).items()
        if name not in OF_TORCH
    ]


def put_back_attributes(held: Attributes) -> None:
    """Give modules' attributes the values that they had, and lists, dicts and sets what was in them."""
    for module, name, value, content in held:
        module[name] = value
        if isinstance(value, list):
            value[:] = content
        elif content is not None:
            value.clear()
            value.update(content)


def in_short(value: Any) -> Any:
    """A value as something that can be compared and is another wherever a pass could come out otherwise, as far as can be seen.

    Numbers and words are themselves; lists, tuples, sets and dicts are what is in them. Of a tensor it is where it lies, for a replay
    reads what is there then, and on a CPU how often it was changed in place, for a recording holds the number. Of other objects it is
    which one it is.
    """
    if type(value) in PLAIN or isinstance(value, Number):
        return value
    if isinstance(value, list | tuple):
        return tuple(map(in_short, value))
    if isinstance(value, set | frozenset):
        return frozenset(map(in_short, value))
    if isinstance(value, dict):
        return tuple((in_short(key), in_short(one)) for key, one in value.items())
    if isinstance(value, Tensor):
        return value.data_ptr(), value._version if value.is_cpu and not value.is_inference() else 0
    return id(value)


def device_state(device: torch.device) -> Tensor:
    """Where the device's default generator is, whose numbers are new ones in each replay."""
    return _generator(device).get_state()


def put_back_device_state(device: torch.device, state: Tensor) -> None:
    """Put it back to what :func:`device_state` gave."""
    _generator(device).set_state(state)


def _generator(device: torch.device) -> torch.Generator:
    return torch.cuda.default_generators[device.index or 0] if device.type == "cuda" else torch.default_generator


def host_state(besides: torch.device | None = None) -> list[Any]:
    """Where the generators of the host are, whose numbers a recording would repeat for ever: torch's (unless it is the one of the device
    ``besides``), Python's, NumPy's.
    """
    found: list[Any] = [
        None if besides is not None and besides.type == "cpu" else torch.get_rng_state().numpy().tobytes(),
        random.getstate(),
    ]
    if "numpy" in sys.modules:
        kind, key, *rest = sys.modules["numpy"].random.get_state()
        found.append((kind, key.tobytes(), *rest))
    return found


def put_back_host_state(state: list[Any]) -> None:
    """Put them back to what :func:`host_state` gave."""
    torch.set_rng_state(torch.frombuffer(bytearray(state[0]), dtype=torch.uint8))
    random.setstate(state[1])
    if len(state) > 2:
        numpy = sys.modules["numpy"]
        kind, key, *rest = state[2]
        numpy.random.set_state((kind, numpy.frombuffer(key, dtype=numpy.uint32), *rest))
