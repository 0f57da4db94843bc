"""The lines of ``metrics.jsonl``: whether they are still the ones that the run wrote. Imports no torch.

A file that grows cannot be written whole or not at all. Each checkpoint holds how many lines there were at its moment, and a checksum
of what they say but for their times; so a resumed run knows whether its record is the one of a run that never stopped.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any


class Journal:
    """The checksum of the lines so far."""

    def __init__(self) -> None:
        self.lines = 0
        self._digest = hashlib.sha256()

    def note(self, line: str) -> None:
        """A line has been appended."""
        content = json.loads(line)
        self._digest.update(json.dumps([content["step"], content["metrics"]]).encode())
        self.lines += 1

    def read(self, lines: list[str]) -> None:
        """These are the lines."""
        self.__init__()  # type: ignore[misc]
        for line in lines:
            self.note(line)

    def state_dict(self) -> dict[str, Any]:
        """How many lines, and their checksum."""
        return {"lines": self.lines, "sha256": self._digest.hexdigest()}


def whole_lines(content: bytes, step: float = float("inf")) -> list[str]:
    """The lines up to ``step`` of a file of metrics; those that were torn when a process was killed, or damaged, are left out."""
    return [line for raw in content.split(b"\n")[:-1] if (line := _whole(raw, step))]


def _whole(raw: bytes, step: float) -> str:
    """A line, with its end; empty if it is none, or of a later step."""
    try:
        line = raw.decode()
        content = json.loads(line)
        whole = isinstance(content["metrics"], dict) and isinstance(content["time"], int | float) and 0 <= content["step"] <= step
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return f"{line}\n" if whole else ""


def is_final(line: str) -> bool:
    """Whether a line of ``metrics.jsonl`` has what was measured at the end of the run."""
    metrics = json.loads(line)["metrics"]
    return bool(metrics) and all(name.startswith("final/") for name in metrics)
