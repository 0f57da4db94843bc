"""Trying out a network's pass without leaving a trace: what its modules hold, and where random numbers come from, is put back."""

from __future__ import annotations

import contextlib
import random
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from numbers import Number
from typing import Any

import torch
from torch import Tensor, nn

PLAIN = (bool, int, float, str, type(None))
#: What torch keeps in every module: parameters, buffers, other modules and hooks, which are looked after by themselves.
OF_TORCH = frozenset(vars(nn.Module())) - {"training"}
CHANGING = (list, dict, set, deque)  # what may be changed in place
HOLDING = (*CHANGING, tuple, frozenset)  # what other values are in
_ALL_PLAIN = frozenset(PLAIN).issuperset


@dataclass(frozen=True)
class Attributes:
    """What modules hold at some moment.

    Attributes:
        values: for each module where it holds its attributes, and these by name.
        contents: each list, dict, set and deque in them, however deep, and what is in it.
    """

    values: list[tuple[dict[str, Any], dict[str, Any]]]
    contents: list[tuple[Any, list[Any]]]


@contextlib.contextmanager
def untouched(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Leave the network and all generators of random numbers as they are, whatever is tried out inside."""
    modules = list(network.modules())
    places = [(module._buffers, name, buffer) for module in modules for name, buffer in module._buffers.items() if buffer is not None]
    held, copies, host, state = attributes(modules), [buffer.clone() for _, _, buffer in places], host_state(), device_state(device)
    with contextlib.ExitStack() as after:  # all of it, whatever fails: the last first
        after.callback(put_back_device_state, device, state)
        after.callback(put_back_host_state, host)
        after.callback(put_back_attributes, held)
        after.callback(_put_back_buffers, places, copies)
        yield


def _put_back_buffers(places: list[tuple[dict[str, Tensor | None], str, Tensor]], copies: list[Tensor]) -> None:
    for (buffers, name, buffer), copy in zip(places, copies, strict=True):
        buffer.data.copy_(copy)  # .data: for passes that are under way and remember it, it is as it was
        buffers[name] = buffer


def attributes(modules: Iterable[nn.Module]) -> Attributes:
    """What modules hold beside what torch keeps in each: numbers, words, switches, lists of them, other objects."""
    held = [(vars(module), {name: value for name, value in vars(module).items() if name not in OF_TORCH}) for module in modules]
    contents: dict[int, tuple[Any, list[Any]]] = {}
    for _, values in held:
        for value in values.values():
            _look_into(value, contents)
    return Attributes(held, list(contents.values()))


def _look_into(value: Any, contents: dict[int, tuple[Any, list[Any]]]) -> None:
    """Note what is in a list, a dict or a set, and in those that are in it."""
    if not isinstance(value, HOLDING) or id(value) in contents:
        return
    if isinstance(value, CHANGING):
        contents[id(value)] = value, list(value.items() if isinstance(value, dict) else value)
    for one in value.values() if isinstance(value, dict) else value:
        _look_into(one, contents)


def put_back_attributes(held: Attributes) -> None:
    """Give modules' attributes the values that they had, and lists, dicts and sets what was in them; what is new goes."""
    for now, before in held.values:
        for name in [name for name in now if name not in OF_TORCH and name not in before]:
            del now[name]
        now.update(before)
    for value, content in held.contents:
        value.clear()
        if isinstance(value, dict):
            for key, one in content:
                value[key] = one
        elif isinstance(value, set):
            value.update(content)
        else:
            value.extend(content)


def in_short(value: Any, inside: tuple[int, ...] = ()) -> Any:
    """A value as something that can be compared and is another wherever a pass could come out otherwise, as far as can be seen.

    Numbers and words are themselves; lists, tuples, sets and dicts are what is in them. Of a tensor it is where it lies, for a replay
    reads what is there then, and on a CPU how often it was changed in place, for a recording holds the number. Of other objects it is
    which one it is.

    Args:
        inside: the lists and so on that ``value`` is in, by their ids: one that contains itself has no end.
    """
    kind = type(value)
    if kind in PLAIN or (kind is tuple and _ALL_PLAIN(map(type, value))):  # as torch's layers have theirs: most of all
        return value
    if isinstance(value, HOLDING):
        if id(value) in inside:
            return id(value)
        inside = (*inside, id(value))
        if isinstance(value, dict):
            return tuple([(in_short(key, inside), in_short(one, inside)) for key, one in value.items()])
        found = [one if type(one) in PLAIN else in_short(one, inside) for one in value]
        return frozenset(found) if isinstance(value, set | frozenset) else tuple(found)
    if isinstance(value, Tensor):
        version = value._version if value.is_cpu and not value.is_inference() else 0
        return (value.data_ptr() if value.layout == torch.strided else id(value)), version
    return value if isinstance(value, Number) else id(value)


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
