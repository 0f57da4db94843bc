"""What a person sees while a set goes on: one live table of all its runs in a terminal, lines elsewhere."""

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
from ganlab.sweeps.sweep import Member, RunSet

#: The order in which a table shows its runs where not all of them fit, and what each state is called.
WORDS = {
    "running": "running",
    "elsewhere": "running elsewhere",
    "failed": "failed",
    "interrupted": "interrupted",
    "lost": "stopped before its first checkpoint",
    "missing": "waiting",
    "finished": "finished",
}
STYLES = {"running": "bold", "failed": "bold red", "finished": "green", "missing": "dim"}
AROUND = 6  # lines of a terminal that the table leaves to others
LONGEST = 60  # characters of a failure in the table


class SetDisplay:
    """Tells of a set while it goes on. Use it in a ``with`` statement."""

    def __init__(self, one: RunSet, quiet: bool = False) -> None:
        self.one, self.quiet = one, quiet
        self._live: Live | None = None
        self._printed = time.monotonic()
        self._shown: dict[int, str] = {}  # the state of a member that has been told

    def __enter__(self) -> SetDisplay:
        if not self.quiet:
            show_lines(f"set {self.one.name}: {len(self.one.members)} runs, in {self.one.runs}")
            if console.is_terminal:
                self._live = Live(get_renderable=self._panel, console=console, refresh_per_second=REDRAWS_PER_SECOND)
                self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            live, self._live = self._live, None
            with contextlib.suppress(Exception):
                live.stop()

    # -- what a watcher is told --------------------------------------------------------------------------------------------

    def changed(self, member: Member) -> None:
        """A member's state is another one."""
        first, before = id(member) not in self._shown, self._shown.get(id(member))
        self._shown[id(member)] = member.state
        if self.quiet or self._live is not None or before == member.state or (first and member.state == "missing"):
            return
        where = f"  {member.run.folder.path}" if member.run else ""
        show_lines(f"{member.name}: {self._word(member, first)}{where}{f'  ({member.message})' if member.message else ''}")

    def tick(self) -> None:
        """Some time has passed."""
        if self.quiet or self._live is not None or time.monotonic() - self._printed < SECONDS_BETWEEN_LINES:
            return
        self._printed = time.monotonic()
        running = [f"{member.name} {self._step(member)[0]}".strip() for member in self.one.members if member.state == "running"]
        show_lines(f"{self._counts()}{': ' if running else ''}{'; '.join(running)}")

    # -- words -------------------------------------------------------------------------------------------------------------

    def _word(self, member: Member, first: bool = False) -> str:
        if first and member.state == "interrupted":
            return "was interrupted, and will go on"
        if first and member.state == "lost":
            return "was stopped before its first checkpoint, and will be made anew; its old folder stays"
        if first and member.state == "finished":
            return "is finished already"
        return WORDS[member.state]

    def _counts(self) -> str:
        counts = Counter(WORDS[member.state] for member in self.one.members)
        return ", ".join(f"{counts[word]} {word}" for word in dict.fromkeys(WORDS.values()) if counts[word])

    def _step(self, member: Member) -> tuple[str, dict[str, float]]:
        """The step that a run is at, in words, and its last metrics."""
        if member.run is None:
            return "", {}
        step, metrics = latest(member.run.folder)
        return f"step {step:,} of {member.run.info.total_steps:,}", metrics

    def _panel(self) -> Group:
        order = list(WORDS)
        fitting = max(1, console.height - AROUND)
        members = (
            sorted(self.one.members, key=lambda member: order.index(member.state)) if len(self.one.members) > fitting else self.one.members
        )
        table = Table("run", "state", "step", "last metrics", box=None, pad_edge=False)
        for member in members[:fitting]:
            step, metrics = self._step(member) if member.state in ("running", "elsewhere") else ("", {})
            numbers = {name: value for name, value in metrics.items() if name in LOSSES or name.startswith("quality/")}
            text = "  ".join(f"{name} {value:.3g}" for name, value in numbers.items()) or member.message[:LONGEST]
            table.add_row(
                Text(member.name), Text(WORDS[member.state], STYLES.get(member.state, "")), step.removeprefix("step "), Text(text)
            )
        more = len(members) - fitting
        return Group(table, Text(f"... and {more} more" if more > 0 else ""), Text(self._counts(), "bold"))
