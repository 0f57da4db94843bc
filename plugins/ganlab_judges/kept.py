"""Judges on the disk: a safetensors file each, made by one process while others wait for it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ganlab.evaluation import Stopped

PATIENCE = 1800  # seconds that a process waits for another to finish the same judge


@dataclass(frozen=True)
class Kept:
    """What the file of a judge holds: its weights, and what is known of it."""

    weights: dict[str, Tensor]
    facts: dict[str, Any]


def identity(weights: dict[str, Tensor]) -> str:
    """16 hexadecimal characters that tell these weights from all others."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode())
        found.update(weights[name].detach().cpu().contiguous().numpy().data)
    return found.hexdigest()[:16]


def read(path: Path) -> Kept | None:
    """What the file holds; None where there is none, or it is damaged."""
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})["judge"])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        return Kept(weights, facts) if identity(weights) == facts["identity"] else None
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def get(path: Path, make: Callable[[], Kept], tell: Callable[[str], None], stopping: Callable[[], bool] = lambda: False) -> Kept:
    """The judge in the file ``path``, made and written there when it is not; ``tell`` is told when it cannot be.

    Raises:
        Stopped: ``stopping`` said so while another process was waited for.
    """
    found = read(path)
    if found is not None:
        return found
    with _alone(path, tell, stopping):
        found = read(path)  # another process may have made it in the meantime
        if found is not None:
            return found
        found = make()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_suffix(f".{os.getpid()}.part")
            try:
                safetensors.torch.save_file(found.weights, aside, {"judge": json.dumps(found.facts)})
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
        except (OSError, SafetensorError) as error:
            tell(f"The judge cannot be kept in {path.parent} and will be made again next time: {error}. GANLAB_CACHE names another folder.")
    return found


@contextlib.contextmanager
def _alone(path: Path, tell: Callable[[str], None], stopping: Callable[[], bool]) -> Iterator[None]:
    """One process at a time; where no lock can be had, all at once: each writes the same in one move."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=1)
        except Timeout:
            tell(f"Another process is making the judge {path.name}; this one waits for it.")
            _wait(lock, stopping)
    except OSError:  # a Timeout is one, too
        yield
        return
    try:
        for left in path.parent.glob(f"{path.stem}.*.part"):  # by a process that was killed; nobody else writes this judge now
            left.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def _wait(lock: FileLock, stopping: Callable[[], bool]) -> None:
    """Until the other process is done.

    Raises:
        Timeout: that took too long.
        Stopped: ``stopping`` said so.
    """
    until = time.monotonic() + PATIENCE
    while True:
        if stopping():
            raise Stopped
        try:
            lock.acquire(timeout=0.5)
            return
        except Timeout:
            if time.monotonic() > until:
                raise
