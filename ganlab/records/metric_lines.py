"""The lines of ``metrics.jsonl``: which are whole, and a checksum that shows whether they are the ones the run wrote. Imports no torch.

A file that grows cannot be replaced atomically. So each checkpoint holds the number of lines at its step, and a checksum of their
content without the times: a resumed run can tell whether its metrics are those of a run that never stopped.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ganlab.storage.reading import read_lines


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

    def read(self, lines: Iterable[str]) -> None:
        """Start again with ``lines``, the whole content of the file."""
        self.__init__()  # type: ignore[misc]
        for line in lines:
            self.note(line)

    def state_dict(self) -> dict[str, Any]:
        """``lines``, how many there are, and ``sha256``, their checksum."""
        return {"lines": self.lines, "sha256": self._digest.hexdigest()}


def whole_lines(path: Path, step: float = float("inf")) -> Iterator[str]:
    """The lines of a metrics file up to ``step``, without damaged lines and lines that a killed process did not finish.

    A line is damaged, too, if its step is not a whole number from 0 on, or the value of a metric is neither a number nor null.

    Raises:
        OSError: the file cannot be read, see :func:`ganlab.storage.reading.read_lines`.
    """
    return (line for raw in read_lines(path) if (line := whole_line(raw, step)))


def readable_lines(path: Path) -> Iterator[str]:
    """As :func:`whole_lines`; no lines where the file cannot be read."""
    try:
        yield from whole_lines(path)
    except OSError:
        return


def whole_line(raw: bytes, step: float = float("inf")) -> str:
    """A line with its line break; empty if the line is damaged or of a later step."""
    try:
        line = raw.decode()
        content = json.loads(line)
        metrics, of_step = content["metrics"], content["step"]
        whole = isinstance(metrics, dict) and isinstance(content["time"], int | float) and type(of_step) is int and 0 <= of_step <= step
        return line if whole and all(map(_is_metric, metrics.items())) else ""
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return ""


def _is_metric(item: tuple[str, Any]) -> bool:
    """Whether a name and a value are those of a metric. Raises a ValueError or an OverflowError where they hold what no run writes."""
    name, value = item
    name.encode()  # half of a character cannot be written anywhere
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(float(value)))


def is_final(line: str) -> bool:
    """Whether a line of ``metrics.jsonl`` holds the final evaluation, and nothing else."""
    metrics = json.loads(line)["metrics"]
    return bool(metrics) and all(name.startswith("final/") for name in metrics)
