"""Judges on disk: one safetensors file each, made by one process while others wait for it."""

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

PATIENCE = 1800  # seconds that a process waits for another one that makes the same judge


@dataclass(frozen=True)
class Kept:
    """The content of a judge's file: its weights, and facts about it."""

    weights: dict[str, Tensor]
    facts: dict[str, Any]


def identity(weights: dict[str, Tensor]) -> str:
    """16 hexadecimal characters of a digest of the weights."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()[:16]


def read(path: Path) -> Kept | None:
    """The content of a file; None if it does not exist or is damaged."""
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})["judge"])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        return Kept(weights, facts) if identity(weights) == facts["identity"] else None
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def get(path: Path, make: Callable[[], Kept], tell: Callable[[str], None], stopping: Callable[[], bool] = lambda: False) -> Kept:
    """The judge in the file ``path``. If the file does not exist, ``make`` makes the judge, and it is written to the file.

    Raises:
        Stopped: ``stopping`` returned True while another process was making the judge.
    """
    if (stored := read(path)) is not None:
        return stored
    with _alone(path, tell, stopping):
        if (stored := read(path)) is not None:  # another process has made it
            return stored
        made = make()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_suffix(f".{os.getpid()}.part")
            try:
                safetensors.torch.save_file(made.weights, aside, {"judge": json.dumps(made.facts)})
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
        except (OSError, SafetensorError) as error:
            tell(f"The judge cannot be written to {path.parent} and must be made again next time: {error}. Another folder: GANLAB_CACHE.")
    return made


@contextlib.contextmanager
def _alone(path: Path, tell: Callable[[str], None], stopping: Callable[[], bool]) -> Iterator[None]:
    """Let one process at a time make a judge. Without a lock several may do it: they write the same file, atomically."""
    lock, until, announced = FileLock(path.with_suffix(".lock")), time.monotonic() + PATIENCE, False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while not lock.is_locked:
            try:
                lock.acquire(timeout=1)
            except Timeout:
                if stopping():
                    raise Stopped from None
                if time.monotonic() > until:
                    raise
                if not announced:
                    tell(f"Another process is making the judge {path.name}; this one waits for it.")
                announced = True
    except OSError:  # including Timeout
        yield
        return
    try:
        for left in path.parent.glob(f"{path.stem}.*.part"):  # left by a process that was killed; no other process writes now
            left.unlink(missing_ok=True)
        yield
    finally:
        lock.release()
