"""Damage that is done to a stopped run's files, one at a time: drawn from a generator, so that it can be repeated."""

from __future__ import annotations

import random
from pathlib import Path

KINDS = ("flip", "truncate", "zero", "delete")


def files(run: Path) -> list[Path]:
    """All files of a run's folder."""
    return sorted(path for path in run.rglob("*") if path.is_file())


def harm(path: Path, kind: str, rng: random.Random) -> str:
    """Damage ``path``; returns what has been done, in words."""
    content = bytearray(path.read_bytes())
    if kind == "delete":
        path.unlink()
        return "deleted"
    if not content:
        return "left, for it is empty"
    place = rng.randrange(len(content))
    if kind == "flip":
        bit = rng.randrange(8)
        content[place] ^= 1 << bit
        done = f"bit {bit} of byte {place} flipped"
    elif kind == "truncate":
        del content[place:]
        done = f"cut to {place} bytes"
    else:
        content[place:] = bytes(len(content) - place)
        done = f"zeros from byte {place} on"
    path.write_bytes(content)
    return done
