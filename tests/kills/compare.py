"""Whether two runs ended alike, bit for bit, in all that a run leaves but the clock's part of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganlab.records.folder import RunFolder
from ganlab.storage import checkpoint

RECORD = ("status", "counters", "total_steps", "last_checkpoint", "best_checkpoint", "failure", "seed", "data")


def differences(never: Path, run: Path, finished: bool = False) -> list[str]:
    """What the run in ``run`` ended with that the one in ``never``, which was never stopped, did not; empty when they are equal.

    Args:
        never, run: their folders.
        finished: it was killed after it had been written down as finished, and may have begun to write that down once more.
    """
    found: list[str] = []
    ours, theirs = RunFolder(run), RunFolder(never)
    names = [[path.name for path in folder.checkpoint_files()] for folder in (ours, theirs)]
    if names[0] != names[1]:
        found.append(f"checkpoints {names[0]} and not {names[1]}")
    for one, other in zip(ours.checkpoint_files()[-1:], theirs.checkpoint_files()[-1:], strict=True):
        found += trees(checkpoint.load(one), checkpoint.load(other), "checkpoint")
    for name in ("generator.safetensors", *names[1][-1:]):
        path = name if name.startswith("generator") else f"checkpoints/{name}"
        found += same_bytes(run / path, never / path)
    if lines(run) != lines(never):
        first = next((a for a, b in zip(lines(run), lines(never), strict=False) if a != b), "its length")
        found.append(f"metrics.jsonl: {first}")
    for pictures in ("samples", "last_batches"):
        sheets = [sorted(path.name for path in (folder / pictures).glob("*.png")) for folder in (run, never)]
        if sheets[0] != sheets[1]:
            found.append(f"{pictures} {sheets[0]} and not {sheets[1]}")
        for name in sheets[1]:
            found += same_bytes(run / pictures / name, never / pictures / name)
    records = [json.loads((folder / "run.json").read_text(encoding="utf-8")) for folder in (run, never)]
    found += [
        f"run.json: {key} = {records[0].get(key)}, not {records[1].get(key)}"
        for key in RECORD
        if records[0].get(key) != records[1].get(key)
    ]
    return found + [text for text in leftovers(run) if not (finished and text.endswith(".run.json.part"))]


def leftovers(run: Path) -> list[str]:
    """Files of a write that did not end, which nobody would ever remove."""
    return [f"left over: {path.relative_to(run)}" for path in run.rglob(".*") if path.is_file() and path.name not in (".lock",)]


def lines(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, without their times."""
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "time"} for line in found]


def same_bytes(one: Path, other: Path) -> list[str]:
    """A sentence if the files differ, or one is missing."""
    if not one.is_file() or not other.is_file():
        return [f"{one.name}: {'missing' if not one.is_file() else 'not in the other'}"]
    return [] if one.read_bytes() == other.read_bytes() else [f"{one.name}: other bytes"]


def trees(one: Any, other: Any, path: str) -> list[str]:
    """Where two states differ: parameters, buffers, states of optimizers and tricks, counters."""
    if type(one) is not type(other):
        return [f"{path}: {one!r} and {other!r}"]
    if isinstance(one, Tensor):
        equal = (
            one.dtype == other.dtype
            and one.shape == other.shape
            and torch.equal(one.flatten().view(torch.uint8), other.flatten().view(torch.uint8))
        )
        return [] if equal else [f"{path}: other numbers"]
    if isinstance(one, dict):
        if list(one) != list(other):
            return [f"{path}: the keys {list(one)} and {list(other)}"]
        return [text for key in one for text in trees(one[key], other[key], f"{path}/{key}")]
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return [f"{path}: {len(one)} and {len(other)} items"]
        return [text for number, (a, b) in enumerate(zip(one, other, strict=True)) for text in trees(a, b, f"{path}/{number}")]
    return [] if one == other else [f"{path}: {one!r} and {other!r}"]


def damaged(run: Path) -> list[str]:
    """The checkpoints under their final names that cannot be read: a kill must leave none."""
    found = []
    for path in RunFolder(run).checkpoint_files():
        try:
            checkpoint.load(path)
        except Exception as error:
            found.append(str(error))
    return found
