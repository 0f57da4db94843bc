"""The lines of ``metrics.jsonl``: which are whole, and a checksum that shows whether they are the ones the run wrote. Imports no torch.

A file that grows cannot be replaced atomically. So each checkpoint holds the number of lines at its step, and a checksum of their
content without the times: a resumed run can tell whether its metrics are those of a run that never stopped.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any


class Journal:
    """The number of lines of ``metrics.jsonl`` so far, and their checksum."""

    def __init__(self) -> None:
        self.lines = 0
        self._digest = hashlib.sha256()

    def note(self, line: str) -> None:
        """Add a line that was appended to the file."""
        content = json.loads(line)
        self._digest.update(json.dumps([content["step"], content["metrics"]]).encode())
        self.lines += 1

    def read(self, lines: list[str]) -> None:
        """Start again with ``lines``, the whole content of the file."""
        self.__init__()  # type: ignore[misc]
        for line in lines:
            self.note(line)

    def state_dict(self) -> dict[str, Any]:
        """``lines``, how many there are, and ``sha256``, their checksum."""
        return {"lines": self.lines, "sha256": self._digest.hexdigest()}


def whole_lines(content: bytes, step: float = float("inf")) -> list[str]:
    """The lines of a metrics file up to ``step``, without damaged lines and lines that a killed process did not finish."""
    return [line for raw in content.split(b"\n")[:-1] if (line := _whole(raw, step))]


def _whole(raw: bytes, step: float) -> str:
    """A line with its line break; empty if the line is damaged or of a later step."""
    try:
        line = raw.decode()
        content = json.loads(line)
        whole = isinstance(content["metrics"], dict) and isinstance(content["time"], int | float) and 0 <= content["step"] <= step
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return f"{line}\n" if whole else ""


def is_final(line: str) -> bool:
    """Whether a line of ``metrics.jsonl`` holds the final evaluation, and nothing else."""
    metrics = json.loads(line)["metrics"]
    return bool(metrics) and all(name.startswith("final/") for name in metrics)
