"""Reads the new lines of a file of JSON lines that another process appends to, and sometimes truncates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ganlab_mlflow.state import Position


@dataclass(frozen=True)
class Line:
    """One new line, and the position after it."""

    content: dict[str, Any]
    position: Position


def new_lines(path: Path, position: Position) -> Iterator[Line]:
    """The whole lines of ``path`` after ``position``.

    A run that returns to a checkpoint truncates the file and writes other lines. Then the line that was delivered last is no longer
    at its offset, and the file is read from the start; lines that are older than that line were delivered and are left out.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115 - the with statement follows
    except FileNotFoundError:
        return
    with file:
        offset, since = (position.next, 0.0) if _fits(file, position) else (0, position.time)
        file.seek(offset)
        for raw in file:
            if not raw.endswith(b"\n"):
                return  # still being written
            content = _parse(raw)
            if content is not None and content["time"] >= since:
                yield Line(content, Position(offset, offset + len(raw), content["time"]))
            offset += len(raw)


def was_cut(path: Path, position: Position) -> bool:
    """Whether the line that was delivered last is no longer at its offset: the run returned to a checkpoint."""
    try:
        with open(path, "rb") as file:
            return not _fits(file, position)
    except FileNotFoundError:
        return position.next > 0


def _fits(file: BinaryIO, position: Position) -> bool:
    if position.next == 0:
        return True
    file.seek(position.last)
    content = _parse(file.read(position.next - position.last))
    return content is not None and content["time"] == position.time


def _parse(raw: bytes) -> dict[str, Any] | None:
    """A line's content; None for one that a crash truncated."""
    try:
        content = json.loads(raw)
        return content if isinstance(content["time"], int | float) and isinstance(content["step"], int) else None
    except (ValueError, TypeError, KeyError):
        return None
