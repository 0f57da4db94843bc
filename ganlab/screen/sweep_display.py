"""The live display of a sweep: one table of all its runs in a terminal, lines of text elsewhere. Imports no torch."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from types import TracebackType

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ganlab.records.results import LOSSES, latest
from ganlab.screen.terminal import REDRAWS_PER_SECOND, SECONDS_BETWEEN_LINES, console, show_lines
from ganlab.sweeps.sweep import Sweep, SweepRun

#: The words for each state, in the order in which a table that is too short for all runs shows them.
WORDS = {
    "running": "running",
    "elsewhere": "running elsewhere",
    "failed": "failed",
    "interrupted": "interrupted",
    "lost": "stopped before its first checkpoint",
    "missing": "waiting",
    "finished": "finished",
}
#: The words for a state that a run was already in when the command started.
FIRST_WORDS = WORDS | {
    "interrupted": "was interrupted and will be resumed",
    "lost": "was stopped before its first checkpoint and will be trained again; its old folder stays",
    "finished": "has finished already",
}
STYLES = {"running": "bold", "failed": "bold red", "finished": "green", "missing": "dim"}
RESERVED_LINES = 6  # of the terminal, for what is not a row of the table
MESSAGE_LENGTH = 60  # characters of an error message in the table


class SweepDisplay:
    """Shows a sweep while it runs. It is a :class:`ganlab.sweeps.runner.SweepWatcher`, and a context manager."""

    def __init__(self, sweep: Sweep, quiet: bool = False) -> None:
        self.sweep, self.quiet = sweep, quiet
        self._live: Live | None = None
        self._last_line = time.monotonic()
        self._shown_states: dict[int, str] = {}  # by id() of the run

    def __enter__(self) -> SweepDisplay:
        if not self.quiet:
            show_lines(f"sweep {self.sweep.name}: {len(self.sweep.runs)} runs, in {self.sweep.runs_dir}")
            if console.is_terminal:
                self._live = Live(get_renderable=self._panel, console=console, refresh_per_second=REDRAWS_PER_SECOND)
                self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            live, self._live = self._live, None
            with contextlib.suppress(Exception):
                live.stop()

    # -- as a watcher ------------------------------------------------------------------------------------------------------

    def changed(self, run: SweepRun) -> None:
        """Print a line about a run's new state, where there is no live table."""
        is_first, previous = id(run) not in self._shown_states, self._shown_states.get(id(run))
        self._shown_states[id(run)] = run.state
        if self.quiet or self._live is not None or previous == run.state or (is_first and run.state == "missing"):
            return
        words = FIRST_WORDS if is_first else WORDS
        folder = f"  {run.summary.folder.path}" if run.summary else ""
        show_lines(f"{run.name}: {words[run.state]}{folder}{f'  ({run.message})' if run.message else ''}")

    def tick(self) -> None:
        """Print a line about the progress every few seconds, where there is no live table."""
        if self.quiet or self._live is not None or time.monotonic() - self._last_line < SECONDS_BETWEEN_LINES:
            return
        self._last_line = time.monotonic()
        running = [f"{run.name} step {_progress(run)[0]}" if run.summary else run.name for run in self.sweep.runs if run.state == "running"]
        show_lines(f"{self._counts()}{': ' if running else ''}{'; '.join(running)}")

    # -- text --------------------------------------------------------------------------------------------------------------

    def _counts(self) -> str:
        counts = Counter(WORDS[run.state] for run in self.sweep.runs)
        return ", ".join(f"{counts[word]} {word}" for word in dict.fromkeys(WORDS.values()) if counts[word])

    def _panel(self) -> Group:
        order = list(WORDS)
        row_limit = max(1, console.height - RESERVED_LINES)
        runs = self.sweep.runs
        if len(runs) > row_limit:
            runs = sorted(runs, key=lambda run: order.index(run.state))
        table = Table("run", "state", "step", "last metrics", box=None, pad_edge=False)
        for run in runs[:row_limit]:
            step, metrics = _progress(run) if run.state in ("running", "elsewhere") else ("", {})
            numbers = {name: value for name, value in metrics.items() if name in LOSSES or name.startswith("quality/")}
            text = "  ".join(f"{name} {value:.3g}" for name, value in numbers.items()) or run.message[:MESSAGE_LENGTH]
            table.add_row(Text(run.name), Text(WORDS[run.state], STYLES.get(run.state, "")), step, Text(text))
        hidden = len(runs) - row_limit
        return Group(table, Text(f"... and {hidden} more" if hidden > 0 else ""), Text(self._counts(), "bold"))


def _progress(run: SweepRun) -> tuple[str, dict[str, float]]:
    """The step that a run has reached, of its budget, and its last metrics."""
    if run.summary is None:
        return "", {}
    step, metrics = latest(run.summary.folder)
    return f"{step:,} of {run.summary.info.total_steps:,}", metrics
