"""What somebody's broken or hostile run folder may look like: one mutation of a run's folder at a time, drawn from a generator."""

# ruff: noqa: E501 - tables of words
from __future__ import annotations

import json
import os
import random
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save

from ganlab.storage.checkpoint import checksum

HUGE = 2**37  # bytes of a sparse file
DEEP = "\0deep\0"  # stands for JSON that is nested too deeply to be written by Python
#: Values that are put at a random place of a JSON tree.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -5, 1, 7, 2**63, 10**400, 1.5, -0.0, 1e300, 1e308, float("nan"), float("inf"), -float("inf"), "", "x", "1", "\ud800",
    "é\x1b[31m", "../../outside/precious", "/dev/zero", "x" * 100_000, [], [1], [None], [[]], {}, {"a": 1}, {"use": "ring"}, {"": None},
    {"$": "tensor", "name": "nothing"}, {"$": "tuple", "items": [1]}, {"$": "dict", "items": 5}, [0] * 10_000, DEEP,
)  # fmt: skip
DTYPES = (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.bool, torch.complex64, torch.float8_e4m3fn)
ENTRIES = (
    *("run.json", "recipe.toml", "metrics.jsonl", "evaluation.json", "generator.safetensors") * 3, "system.jsonl", ".lock", "samples", "checkpoints",
    "checkpoints/step_000000010.safetensors", "checkpoints/step_000000020.safetensors", "samples/step_000000020.png",
    "checkpoints/step_000000099.safetensors", "samples/step_000000099.png", "plugins", "plugins/mine.py", "losses.png", "config.json",
)  # fmt: skip
DOCUMENTS = ("run.json", "run.json", "evaluation.json", "metrics.jsonl")
TENSORS = ("generator.safetensors", "checkpoints/step_000000020.safetensors", "checkpoints/step_000000015.safetensors")


def mutate(run: Path, outside: Path, chance: random.Random) -> str:
    """Change one thing in the folder ``run``. ``outside`` is a folder that links may lead to. Returns what was done, in words."""
    kinds: tuple[Callable[[Path, Path, random.Random], str], ...] = (_replace_entry, _damage_file, _change_document, _change_tensors)
    return chance.choices((*kinds, _change_recipe), weights=(5, 1, 5, 6, 1))[0](run, outside, chance)


def _replace_entry(run: Path, outside: Path, chance: random.Random) -> str:
    path = run / chance.choice(ENTRIES)
    if path.parent != run:
        path.parent.mkdir(exist_ok=True)
    targets = {
        "a link to /dev/zero": "/dev/zero", "a link to a file outside": outside / "precious", "a link to a pipe": outside / "pipe",
        "a link to a folder outside": outside / "folder", "a link to itself": path, "a link to nothing": outside / "nothing",
        "a link to a file in the folder": run / "metrics.jsonl",
    }  # fmt: skip
    kind = chance.choice([*targets, "a pipe", "a socket", "a folder", "a sparse file", "a copy that is linked", "empty", "gone"])
    linked = outside / f"linked-{path.name}"
    if kind == "a copy that is linked" and path.exists():
        (shutil.copytree if path.is_dir() else shutil.copy)(path, linked)
        targets[kind] = linked
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind in targets:
        path.symlink_to(targets[kind])
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        _bind(path)
    elif kind == "a folder":
        path.mkdir()
    elif kind in ("a sparse file", "empty"):
        path.touch()
        os.truncate(path, HUGE if kind == "a sparse file" else 0)
    return f"{path.relative_to(run)} is {kind}"


def _bind(path: Path) -> None:
    """Make a socket. Its path may have only about a hundred letters, so it is bound by a short one and moved."""
    short = Path("/tmp") / f"ganlab-{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(short))
    shutil.move(short, path)


def _damage_file(run: Path, outside: Path, chance: random.Random) -> str:
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.stat().st_size)
    path = chance.choice(files)
    content = bytearray(path.read_bytes())
    place = chance.randrange(len(content))
    kind = chance.choice(["cut", "flipped", "zeros", "noise", "in UTF-16", "doubled", "brackets"])
    if kind == "cut":
        del content[place:]
    elif kind == "flipped":
        content[place] ^= 1 << chance.randrange(8)
    elif kind == "zeros":
        content[place:] = bytes(len(content) - place)
    elif kind == "noise":
        content[place : place + 8] = chance.randbytes(8)
    elif kind == "in UTF-16":
        content[:] = b"\xff\xfe" + content.decode("latin-1").encode("utf-16-le")
    elif kind == "doubled":
        content = content + content
    else:
        content[:] = b"[" * 200_000
    path.write_bytes(content)
    return f"{path.relative_to(run)} is {kind} at {place}"


def change_tree(tree: Any, chance: random.Random) -> str:
    """Put a value at a random place of a tree of dicts and lists, remove what is there, or add a key. Returns what was done, in words."""
    way: list[str] = []
    depth = chance.choice([0.2, 0.5, 0.8, 0.95])  # how likely a deeper place is
    while True:
        keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        if not keys:
            if isinstance(tree, dict):
                tree["new"] = 1
            else:
                tree.append(1)
            return f"{'.'.join(way)} has something"
        key = chance.choice(keys)
        way.append(str(key))
        if isinstance(tree[key], dict | list) and chance.random() < depth:
            tree = tree[key]
            continue
        if chance.random() < 0.15:
            del tree[key]
            return f"{'.'.join(way)} is gone"
        tree[key] = chance.choice(VALUES)
        return f"{'.'.join(way)} is {repr(tree[key])[:60]}"


def as_json(tree: Any) -> str:
    """The tree as JSON, with what Python cannot write."""
    return json.dumps(tree).replace(json.dumps(DEEP), "[" * 50_000 + "]" * 50_000)


def _change_document(run: Path, outside: Path, chance: random.Random) -> str:
    path = run / chance.choice(DOCUMENTS)
    if path.suffix == ".jsonl":
        lines = path.read_text().splitlines()
        number = chance.randrange(len(lines))
        tree = json.loads(lines[number])
        done = f"line {number}: {change_tree(tree, chance)}"
        lines[number] = as_json(tree)
        path.write_text("\n".join(lines) + "\n")
    else:
        tree = json.loads(path.read_text())
        tree |= {"mlflow": {"experiment": "e", "run_id": "1"}} if path.name == "run.json" else {}
        done = change_tree(tree, chance) if chance.random() < 0.95 else ""
        path.write_text(as_json(tree if done else chance.choice(VALUES)))
    return f"{path.name}: {done}"


def rewrite(path: Path, change: Callable[[Any, dict[str, torch.Tensor]], object]) -> None:
    """Let ``change`` have the document and the tensors of a safetensors file, and write both back with the right checksum."""
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["ganlab"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    change(header["state"], tensors)
    try:
        header["sha256"] = checksum(tensors, json.loads(as_json(header["state"])))
        content = json.dumps(header)
    except RecursionError:  # nobody can tell its checksum
        content = as_json(header)
    path.write_bytes(save({name: tensor.contiguous() for name, tensor in tensors.items()}, {"ganlab": content}))


def _change_tensors(run: Path, outside: Path, chance: random.Random) -> str:
    """Change what a safetensors file holds."""
    path, done = run / chance.choice(TENSORS), []
    if chance.random() < 0.5:
        rewrite(path, lambda state, tensors: done.append(change_tensor(tensors, chance)))
    else:
        rewrite(path, lambda state, tensors: done.append(change_tree(state, chance)))
    return f"{path.relative_to(run)}: {done[0]}"


def change_tensor(tensors: dict[str, torch.Tensor], chance: random.Random) -> str:
    """Change one of the tensors, or remove it. Returns what was done, in words."""
    name = chance.choice(sorted(tensors))
    tensor = tensors[name]
    kinds: dict[str, Callable[[], torch.Tensor]] = {
        "of another type": lambda: tensor.to(chance.choice(DTYPES)),
        "of another shape": lambda: tensor.reshape(1, *tensor.shape),
        "cut": lambda: tensor.flatten()[:1].clone(),
        "not finite": lambda: torch.full(tensor.shape, float("nan")),
        "a number": lambda: torch.tensor(3.0),
        "empty": lambda: torch.zeros(0),
        "huge": lambda: torch.full(tensor.shape, 1e38),
    }
    kind = chance.choice([*kinds, "gone"])
    if kind == "gone":
        del tensors[name]
    else:
        tensors[name] = kinds[kind]()
    return f"tensor {name} is {kind}"


def _change_recipe(run: Path, outside: Path, chance: random.Random) -> str:
    path = run / "recipe.toml"
    lines = path.read_text().splitlines()
    place = chance.randrange(len(lines) + 1)
    added = chance.choice([
        "a = " + "[" * 50_000, "a = " + "{ a = " * 3000, ".".join("a" * 20_000) + " = 1", "[" + ".".join("a" * 3000) + "]", "x = 1e400", "a = nan",
        "a = " + "9" * 5000, 'plugins = ["../../outside/precious"]', 'extends = "/dev/zero"', "tricks = 1", "[[tricks]]", "[[tricks]]\nuse = 3", "metrics = [1]",
        "a = 2024-01-01", "[train]", "data = 1", '"" = 1', 'a = "' + "x" * 100_000 + '"',
    ])  # fmt: skip
    lines.insert(place, added)
    path.write_text("\n".join(lines) + "\n")
    return f"recipe.toml has {added[:40]} in line {place}"
