"""Trying out a network's pass without leaving a trace: what its modules hold, and where random numbers come from, is put back."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

PLAIN = (bool, int, float, str, type(None))
Plain = list[tuple[dict[str, Any], str, Any]]  # what a module holds, the name of an attribute, its value


@contextlib.contextmanager
def untouched(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Leave the network and all generators of random numbers as they are, whatever is tried out inside."""
    modules = list(network.modules())
    places = [(module._buffers, name, buffer) for module in modules for name, buffer in module._buffers.items() if buffer is not None]
    plain, copies, host, state = plain_values(modules), [buffer.clone() for _, _, buffer in places], host_state(), device_state(device)
    try:
        yield
    finally:
        for (buffers, name, buffer), copy in zip(places, copies, strict=True):
            buffer.data.copy_(copy)  # .data: for passes that are under way and remember it, it is as it was
            buffers[name] = buffer
        put_back_plain_values(plain)
        put_back_host_state(host)
        put_back_device_state(device, state)


def plain_values(modules: Iterable[nn.Module]) -> Plain:
    """The numbers, words and switches that modules hold."""
    return [(vars(module), name, value) for module in modules for name, value in vars(module).items() if type(value) in PLAIN]


def put_back_plain_values(values: Plain) -> None:
    """Give modules' attributes these values."""
    for held, name, value in values:
        held[name] = value


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
