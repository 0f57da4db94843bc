"""Checkpoints: one safetensors file each, written atomically, without pickle.

A state is a tree of dicts, lists, tensors, numbers and strings. Its tensors become the file's tensors, named by their path
in the tree. Everything else becomes a JSON document in the file's metadata, beside a checksum of both: safetensors itself
detects a truncated file, but no flipped bits.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pydantic
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.storage.atomic import write_bytes, write_errors
from ganlab.storage.reading import TENSORS, parse_json, refuse_special

FORMAT = 1
REMOVE = "remove it, and the checkpoint before it is used"
#: For models of what such a file holds: exact types, tensors among them.
STRICT = pydantic.ConfigDict(strict=True, arbitrary_types_allowed=True, extra="allow", protected_namespaces=())


def save(path: Path, state: dict[str, Any], what: str = "checkpoint") -> None:
    """Write ``state`` to ``path`` with an atomic write: a temporary file, flushed to disk and renamed.

    Args:
        path: the file; its folder is made if it is missing, but no folder above that.
        state: a tree of dicts, lists, tuples, tensors, numbers, strings and None.
        what: the kind of file, ``"checkpoint"`` or ``"generator"``: part of its format name.

    Raises:
        GanlabError: the disk is full or the folder cannot be written; what was at ``path`` before is unchanged.
        TypeError: the state holds something that is neither a tensor nor plain data.
    """
    tensors: dict[str, Tensor] = {}
    document = _pack(checked(state), "", tensors)
    # one metadata key: safetensors does not write several in a fixed order, and equal states should give equal files
    header = json.dumps({"format": f"ganlab {what} {FORMAT}", "sha256": checksum(tensors, document), "state": document})
    content = safetensors.torch.save(tensors, {"ganlab": header})
    with write_errors(path):
        path.parent.mkdir(exist_ok=True)  # without parents: a run folder that was removed is not made again
    write_bytes(path, content)
    _sync_folder(path.parent)


def load(path: Path, what: str = "checkpoint") -> dict[str, Any]:
    """The state that :func:`save` wrote, its tensors on the CPU.

    Raises:
        GanlabError: there is no such file, it is damaged, or it is not a ``what``.
    """
    hint = _what_to_do(what)
    try:
        refuse_special(path, TENSORS, follow=True)
        with safe_open(path, framework="pt") as file:
            header = dict(parse_json((file.metadata() or {}).get("ganlab", "{}")))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except FileNotFoundError:
        raise GanlabError(f"{what} {path} does not exist") from None
    except (OSError, SafetensorError, ValueError, TypeError, AttributeError, RuntimeError) as error:  # the last two: types torch lacks
        raise GanlabError(f"{what} {path} is damaged: {error}", hint) from error
    if header.get("format") != f"ganlab {what} {FORMAT}":
        raise GanlabError(f"{path} is not a {what} of this version of ganlab (its format: {header.get('format', 'unknown')})")
    if header.get("sha256") != checksum(tensors, header.get("state")):
        raise GanlabError(f"{what} {path} is damaged: its checksum does not match its content", hint)
    try:
        return dict(_unpack(header["state"], tensors))
    except (KeyError, TypeError, ValueError) as error:  # not written by ganlab: its checksum is right
        raise GanlabError(f"{what} {path} is not what ganlab writes: {error!r}", hint) from error


def check_types(content: type[pydantic.BaseModel], path: Path, state: dict[str, Any], what: str = "checkpoint") -> None:
    """Check that what was read from ``path`` has the keys and the types of a model.

    Raises:
        GanlabError: it has not. The message names the first key that is missing or wrong.
    """
    try:
        content.model_validate(state)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        where, reason = "/".join(map(str, first["loc"])), first["msg"]
        raise GanlabError(
            f"{what} {path} is not what ganlab writes: {where}: {reason[:1].lower()}{reason[1:]}", _what_to_do(what)
        ) from error


def _what_to_do(what: str) -> str:
    return REMOVE if what == "checkpoint" else "get an undamaged copy of it"


def checked(state: Any, path: str = "") -> Any:
    """Check that :func:`save` can write ``state``, and return it.

    Args:
        state: the tree.
        path: where it is in a larger tree, for the error message.

    Raises:
        TypeError: it holds something else; the message says what, and where in the tree.
    """
    if isinstance(state, dict):
        for key, item in state.items():
            if not isinstance(key, str | int | float | None):
                raise TypeError(f"{path or 'the state'} has the key {key!r}; keys are strings and numbers")
            checked(item, f"{path}/{key}".lstrip("/"))
    elif isinstance(state, list | tuple):
        for i, item in enumerate(state):
            checked(item, f"{path}/{i}".lstrip("/"))
    elif not isinstance(state, Tensor | bool | int | float | str | None):
        raise TypeError(f"{path or 'the state'} is a {type(state).__name__}; a state holds tensors, numbers, strings, lists and dicts")
    return state


def _pack(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """``value`` as JSON can hold it, its tensors moved to ``tensors``. What JSON cannot tell apart is marked."""
    if isinstance(value, Tensor):
        while path in tensors:  # {"a/b": ...} and {"a": {"b": ...}}, or the keys 1 and "1"
            path += "'"
        tensors[path] = value.detach().to("cpu", copy=True).contiguous()
        return {"$": "tensor", "name": path}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        if all(isinstance(key, str) and key != "$" for key in value):
            return {key: _pack(item, f"{path}/{key}".lstrip("/"), tensors) for key, item in value.items()}
        return {"$": "dict", "items": [[key, _pack(item, f"{path}/{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"$": "tuple", "items": [_pack(item, f"{path}/{i}", tensors) for i, item in enumerate(value)]}
    return [_pack(item, f"{path}/{i}", tensors) for i, item in enumerate(value)]


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "$" not in value:
        return {key: _unpack(item, tensors) for key, item in value.items()}
    if value["$"] == "tensor":
        return tensors[value["name"]]
    if value["$"] == "tuple":
        return tuple(_unpack(item, tensors) for item in value["items"])
    return {key: _unpack(item, tensors) for key, item in value["items"]}


def checksum(tensors: dict[str, Tensor], document: Any) -> str:
    """The SHA-256 of all tensors, in the order of their names, and of the document, in hexadecimal digits."""
    digest = hashlib.sha256(json.dumps(document).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, on platforms that can flush a folder."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
