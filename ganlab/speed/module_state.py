"""State that a network's pass may change: module attributes, buffers and random number generators. Captured before a trial pass and
restored after it.
"""

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
#: Attributes of torch's own in every module: parameters, buffers, submodules and hooks. They are handled separately.
TORCH_ATTRIBUTES = frozenset(vars(nn.Module())) - {"training"}
MUTABLE = (list, dict, set, deque)
CONTAINERS = (*MUTABLE, tuple, frozenset)
_ALL_PLAIN = frozenset(PLAIN).issuperset


@dataclass(frozen=True)
class ModuleAttributes:
    """The attributes of modules at one moment.

    Attributes:
        values: for each module, its ``__dict__`` and a copy of its attributes by name.
        contents: each list, dict, set and deque in them, at any depth, with a copy of its items.
    """

    values: list[tuple[dict[str, Any], dict[str, Any]]]
    contents: list[tuple[Any, list[Any]]]


@contextlib.contextmanager
def state_restored(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Restore the network and all random number generators on exit, whatever happens inside."""
    modules = list(network.modules())
    buffers = [(module._buffers, name, buffer) for module in modules for name, buffer in module._buffers.items() if buffer is not None]
    saved, copies = attributes_of(modules), [buffer.clone() for _, _, buffer in buffers]
    host, device_generator = host_state(), device_state(device)
    with contextlib.ExitStack() as on_exit:  # calls all of them, in reverse order, even if one fails
        on_exit.callback(restore_device_state, device, device_generator)
        on_exit.callback(restore_host_state, host)
        on_exit.callback(restore_attributes, saved)
        on_exit.callback(_restore_buffers, buffers, copies)
        yield


def _restore_buffers(buffers: list[tuple[dict[str, Tensor | None], str, Tensor]], copies: list[Tensor]) -> None:
    for (module_buffers, name, buffer), copy in zip(buffers, copies, strict=True):
        buffer.data.copy_(copy)  # .data keeps the version counter, so unfinished passes that saved this buffer stay valid
        module_buffers[name] = buffer


def attributes_of(modules: Iterable[nn.Module]) -> ModuleAttributes:
    """The attributes of modules, without those of torch's own: numbers, strings, flags, containers and other objects."""
    values = [(vars(module), {name: value for name, value in vars(module).items() if name not in TORCH_ATTRIBUTES}) for module in modules]
    contents: dict[int, tuple[Any, list[Any]]] = {}
    for _, attributes in values:
        for value in attributes.values():
            _collect_contents(value, contents)
    return ModuleAttributes(values, list(contents.values()))


def _collect_contents(value: Any, contents: dict[int, tuple[Any, list[Any]]]) -> None:
    """Add the items of each mutable container in ``value``, at any depth, to ``contents``."""
    if not isinstance(value, CONTAINERS) or id(value) in contents:
        return
    if isinstance(value, MUTABLE):
        contents[id(value)] = value, list(value.items() if isinstance(value, dict) else value)
    for item in value.values() if isinstance(value, dict) else value:
        _collect_contents(item, contents)


def restore_attributes(saved: ModuleAttributes) -> None:
    """Restore the attributes of modules and the items of their containers, and delete attributes that are new."""
    for current, before in saved.values:
        for name in [name for name in current if name not in TORCH_ATTRIBUTES and name not in before]:
            del current[name]
        current.update(before)
    for container, content in saved.contents:
        container.clear()
        if isinstance(container, dict):
            for key, value in content:
                container[key] = value
        elif isinstance(container, set):
            container.update(content)
        else:
            container.extend(content)


def fingerprint_of(value: Any, enclosing: tuple[int, ...] = ()) -> Any:
    """A hashable value that changes whenever a pass that reads ``value`` could give another result, as far as this can be seen.

    The fingerprint of a number or a string is the value itself, and that of a container consists of its items' fingerprints. For a tensor
    it is the address, because a replay reads the current numbers there. On the CPU it also has the tensor's version counter, because a
    recording there contains the number itself. For any other object it is the identity.

    Args:
        enclosing: ids of the containers around ``value``. A container may contain itself.
    """
    kind = type(value)
    if kind in PLAIN or (kind is tuple and _ALL_PLAIN(map(type, value))):  # the most common case: options of torch's layers
        return value
    if isinstance(value, CONTAINERS):
        if id(value) in enclosing:
            return id(value)
        enclosing = (*enclosing, id(value))
        if isinstance(value, dict):
            return tuple([(fingerprint_of(key, enclosing), fingerprint_of(item, enclosing)) for key, item in value.items()])
        fingerprints = [item if type(item) in PLAIN else fingerprint_of(item, enclosing) for item in value]
        return frozenset(fingerprints) if isinstance(value, set | frozenset) else tuple(fingerprints)
    if isinstance(value, Tensor):
        version = value._version if value.is_cpu and not value.is_inference() else 0
        return (value.data_ptr() if value.layout == torch.strided else id(value)), version
    return value if isinstance(value, Number) else id(value)


def device_state(device: torch.device) -> Tensor:
    """The state of the device's default generator. Replays draw new numbers from it."""
    return _generator(device).get_state()


def restore_device_state(device: torch.device, state: Tensor) -> None:
    """Restore a state that :func:`device_state` returned."""
    _generator(device).set_state(state)


def _generator(device: torch.device) -> torch.Generator:
    return torch.cuda.default_generators[device.index or 0] if device.type == "cuda" else torch.default_generator


def host_state(recording_device: torch.device | None = None) -> list[Any]:
    """The states of the CPU's generators, whose numbers a recording would repeat forever: torch's, Python's and NumPy's.

    Args:
        recording_device: None, or the device of a recording. If it is the CPU, torch's generator is left out: replays draw from it anew.
    """
    states: list[Any] = [
        None if recording_device is not None and recording_device.type == "cpu" else torch.get_rng_state().numpy().tobytes(),
        random.getstate(),
    ]
    if "numpy" in sys.modules:
        kind, key, *rest = sys.modules["numpy"].random.get_state()
        states.append((kind, key.tobytes(), *rest))
    return states


def restore_host_state(state: list[Any]) -> None:
    """Restore states that :func:`host_state` returned."""
    torch.set_rng_state(torch.frombuffer(bytearray(state[0]), dtype=torch.uint8))
    random.setstate(state[1])
    if len(state) > 2:
        numpy = sys.modules["numpy"]
        kind, key, *rest = state[2]
        numpy.random.set_state((kind, numpy.frombuffer(key, dtype=numpy.uint32), *rest))
