"""Reads the new lines of a file of JSON lines that another process appends to, and sometimes truncates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ganlab_mlflow.state import Position

LATEST = 1e11  # seconds since 1970 that MLflow can store as milliseconds
LARGEST_STEP = 2**53
LARGEST = 1e308  # a larger whole number may not fit into a float
LONGEST = 10_000_000  # bytes of a line; longer ones are left out


@dataclass(frozen=True)
class Line:
    """One new line, and the position after it."""

    content: dict[str, Any]
    position: Position


def new_lines(path: Path, position: Position) -> Iterator[Line]:
    """The whole lines of ``path`` after ``position``. Damaged lines are left out.

    A run that returns to a checkpoint truncates the file and writes other lines. Then the line that was delivered last is no longer
    at its offset, and all lines are given: the tracker may have some of them (see :func:`was_cut`).
    """
    if path.is_symlink() or not path.is_file():
        return
    with open(path, "rb") as file:
        offset = position.next if _fits(file, position) else 0
        file.seek(offset)
        while raw := file.readline(LONGEST):
            too_long = len(raw) == LONGEST and not raw.endswith(b"\n")
            while too_long and raw and not raw.endswith(b"\n"):
                raw = file.readline(LONGEST)
            if not raw.endswith(b"\n"):
                return  # still being written
            content, end = None if too_long else _parse(raw), file.tell()
            if content is not None:
                yield Line(content, Position(offset, end, _digest(raw)))
            offset = end


def was_cut(path: Path, position: Position) -> bool:
    """Whether the line that was delivered last is no longer at its offset: the run returned to a checkpoint."""
    try:
        with open(path, "rb") as file:
            return not _fits(file, position)
    except FileNotFoundError:
        return position.next > 0


def milliseconds(line: dict[str, Any]) -> int:
    """The time of a line, in milliseconds since 1970."""
    return int(line["time"] * 1000)


def _fits(file: BinaryIO, position: Position) -> bool:
    if position.next == 0:
        return True
    file.seek(position.last)
    return _digest(file.read(min(position.next - position.last, LONGEST))) == position.digest


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:16]


def _parse(raw: bytes) -> dict[str, Any] | None:
    """A line's content, with those of its metrics that are numbers; None for a damaged line."""
    try:
        content = json.loads(raw)
        step, time = content["step"], content["time"]
        if type(step) is not int or not 0 <= step < LARGEST_STEP or type(time) not in (int, float) or not 0 <= time < LATEST:
            return None
        if "metrics" in content:
            content["metrics"] = {name: value for name, value in content["metrics"].items() if value is None or _is_number(value)}
        elif not all(isinstance(text, str) for text in (content["kind"], content["name"], content["path"], content.get("sha256", ""))):
            return None
        return dict(content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and -LARGEST < value < LARGEST  # False for NaN, too
