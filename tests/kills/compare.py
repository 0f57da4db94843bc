"""Whether two runs ended alike, bit for bit, in all that a run leaves but the clock's part of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from ganlab.records.folder import RunFolder
from ganlab.storage import checkpoint

#: The keys of run.json that name the run, the clock or the process. A signature covers the place of a plugin file.
OWN = {
    "copied_from",
    "signature", "id", "folder", "uid", "created", "started", "ended", "training_seconds", "pid", "process_started", "boot", "resumed",
    "command",
}  # fmt: skip
LOCKS = (".lock",)
TITLE = 45  # rows of pixels at the top of losses.png, which have the run's id
SHIFTED = 2.0  # mean difference of pixels, of 255: another id may move the panels by half a pixel (1.0); one point less makes 2.7


def differences(never: Path, run: Path) -> list[str]:
    """What the run in ``run`` ended with that the one in ``never``, which was never stopped, did not; empty when they are equal.

    All files are compared. What depends on the clock, or is the run's own name, is left out.
    """
    found: list[str] = []
    names = [sorted(name_of(path, folder) for path in folder.rglob("*") if path.name not in LOCKS) for folder in (run, never)]
    if names[0] != names[1]:
        found.append(f"files: {sorted(set(names[0]) - set(names[1]))} more, {sorted(set(names[1]) - set(names[0]))} missing")
    for name in names[1]:
        if name in names[0] and (run / name).is_file():
            found += differences_of(run / name, never / name, name)
    return found


def name_of(path: Path, folder: Path) -> str:
    """A file's name relative to the run's folder."""
    return path.relative_to(folder).as_posix()


def differences_of(path: Path, other: Path, name: str) -> list[str]:
    """Where one file of a run differs from that of the other run."""
    if name == "metrics.jsonl":
        first = next((a for a, b in zip(lines(path), lines(other), strict=False) if a != b), "its length")
        return [] if lines(path) == lines(other) else [f"{name}: {first}"]
    if name == "system.jsonl":  # its numbers depend on the clock; its lines must be whole
        return [] if lines(path) else [f"{name} is empty"]
    if name == "losses.png":
        pictures = [np.asarray(PIL.Image.open(file).convert("RGB"), dtype=float)[TITLE:] for file in (path, other)]
        same = pictures[0].shape == pictures[1].shape and np.abs(pictures[0] - pictures[1]).mean() < SHIFTED
        return [] if same else [f"{name}: other curves"]
    if path.suffix == ".json":
        own = OWN if name == "run.json" else {"seconds"}
        contents = [json.loads(without_places(file)) for file in (path, other)]
        for content in contents:
            if "announcements" in content:  # a resumed run repeats one that names a plugin file, with the place of its copy
                texts = dict.fromkeys(content["announcements"])
                content["announcements"] = [text for text in texts if not text.startswith("This folder is a copy of run ")]
        return trees(*({key: value for key, value in content.items() if key not in own} for content in contents), name)
    if path.suffix == ".safetensors" and path.read_bytes() != other.read_bytes():
        kind = "generator" if name.startswith("generator") else "checkpoint"
        return trees(checkpoint.load(path, kind), checkpoint.load(other, kind), name) or [f"{name}: other bytes"]
    return [] if path.read_bytes() == other.read_bytes() else [f"{name}: other bytes"]


def without_places(path: Path) -> str:
    """The text of a file in a run's folder, without the folders in which plugin files are: a resumed run takes its own copies."""
    return path.read_text(encoding="utf-8").replace(str(path.parent / "plugins"), "").replace(str(path.parents[2]), "")


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of metrics, without their times."""
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "time"} for line in found]


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
