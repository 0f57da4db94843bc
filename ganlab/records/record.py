"""What a live run writes: run.json, its lines of metrics, and announcements. Imports no torch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ganlab.records.folder import RunFolder, append_line
from ganlab.records.metric_lines import Journal
from ganlab.records.run_info import InfoView, RunInfo
from ganlab.redaction import redacted


class Record:
    """The written side of a run. Without a folder (``ganlab check`` and ``ganlab describe``) it writes nothing.

    Attributes:
        folder: the run's, or None.
        info: the content of ``run.json``.
        journal: the checksum of the lines of ``metrics.jsonl`` so far, for checkpoints.
        tell: prints one paragraph that a person should read.
        progress: returns the keys of ``run.json`` that say how far the run is.
        read_only: the run is being restored from a checkpoint; until that is done, ``run.json`` is not written.
    """

    def __init__(self, folder: RunFolder | None, tell: Callable[[str], None], progress: Callable[[], dict[str, Any]]) -> None:
        self.folder, self.tell, self.progress = folder, tell, progress
        self.info = RunInfo()
        self.journal = Journal()
        self.read_only = False
        self._writing = threading.Lock()

    def save(self) -> None:
        """Write ``run.json``."""
        if self.folder is not None and not self.read_only:
            InfoView(self.info).update(self.progress())
            with self._writing:
                self.folder.write_info(self.info)

    def announce(self, text: str) -> None:
        """Print one clear paragraph, and keep it in ``run.json``."""
        text = redacted(text)
        if text not in self.info.announcements:  # a resumed run says it again
            InfoView(self.info).setdefault("announcements", []).append(text)
        self.save()
        self.tell(text)

    def note_reader(self, trick: str) -> None:
        """Note which trick reads the budget, since a longer one may change what it does; an empty name is none."""
        if trick and trick not in self.info.read_total_steps:
            self.info.read_total_steps = [*self.info.read_total_steps, trick]

    def write_metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Append a line to ``metrics.jsonl``."""
        if self.folder is not None:
            self.journal.note(append_line(self.folder.metrics, step, metrics))

    def write_clock(self, step: int, metrics: dict[str, float]) -> None:
        """Append a line to ``system.jsonl``, for values that depend on the clock or the machine. May be called from any thread."""
        if self.folder is not None:
            with self._writing:
                append_line(self.folder.system, step, metrics)

    def truncate(self, step: int) -> None:
        """Drop the lines, sheets and checkpoints after ``step``."""
        if self.folder is not None:
            with self._writing:
                self.folder.truncate(step)
