"""A set is carried out: what is missing is made, what was interrupted goes on, side by side, until all is done or a signal comes."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Protocol

from ganlab.errors import GanlabError, UsageError
from ganlab.runs.signals import ENDING
from ganlab.sweeps.membership import told
from ganlab.sweeps.sweep import Member, RunSet, new_runs
from ganlab.sweeps.workers import Pool, Share, Worker, why

LOOK = 0.1  # seconds from one look at the processes to the next
ELSEWHERE = 1.0  # the same at runs that other processes write


class Watcher(Protocol):
    """Who is told of a set while it goes on."""

    def changed(self, member: Member) -> None:
        """A member's state is another one."""

    def tick(self) -> None:
        """Some time has passed."""


@dataclass
class Carrying:
    """One go at a set.

    Attributes:
        one: the set. pool: its processes. watcher: who is told.
        data: ``--data-root``, for the processes; empty for none.
        retry: whether those that failed are to be tried again.
        unchanged: raises a GanlabError when files that runs are made from are no longer what they were.
        stopped_by: the signal that ended it; None while there was none.
    """

    one: RunSet
    pool: Pool
    watcher: Watcher
    data: Path | None = None
    retry: bool = False
    unchanged: Callable[[], None] = lambda: None
    stopped_by: signal.Signals | None = None
    interrupts: int = 0
    _passed_on: int = 0
    _at_work: dict[int, tuple[Worker, Member]] = field(default_factory=dict)  # by the process's number
    _tried: set[int] = field(default_factory=set)  # ids of members
    _known: set[str] = field(default_factory=set)  # names of run folders that have been looked at
    _looked: float = 0.0

    def carry_out(self) -> None:
        """Go on until there is nothing left to do, or to wait for."""
        for member in self.one.members:
            self.watcher.changed(member)
        new_runs(self.one.runs, self._known)
        with self._signals():
            while True:
                self._pass_on()
                self._see_new()
                self._reap()
                self._see_others()
                while self.stopped_by is None and self._start_next():
                    continue
                self.watcher.tick()
                if not self._at_work and (self.stopped_by is not None or not self._waiting()):
                    return
                time.sleep(LOOK)

    def wanted(self, member: Member) -> bool:
        """Whether a member is still to be made, or to go on."""
        states = ("missing", "lost", "interrupted", *(["failed"] if self.retry else []))
        return member.state in states and id(member) not in self._tried

    def _waiting(self) -> bool:
        return any(member.state == "elsewhere" or self.wanted(member) for member in self.one.members)

    # -- processes ---------------------------------------------------------------------------------------------------------

    def _start_next(self) -> bool:
        """Start the next member's process, if there is one and a place for it."""
        share = self.pool.free()
        member = next((member for member in self.one.members if self.wanted(member)), None)
        if share is None or member is None:
            return False
        self._tried.add(id(member))
        try:
            self.unchanged()
            self._start(member, share)
        except GanlabError as error:
            member.message, member.state = error.message, "failed"
        self.watcher.changed(member)
        return True

    def _start(self, member: Member, share: Share) -> None:
        if member.run is not None and member.run.folder.checkpoint_files():
            words = ["resume", str(member.run.folder.path)]
        else:
            member.run = None
            words = ["run", str(self.one.recipe_of(member)), "--set", f"train.seed={member.seed}", "--runs-dir", str(self.one.runs)]
        words += ["--data-root", str(self.data)] if self.data is not None else []
        worker = self.pool.start(words, share, self.one.log_of(member), told(self.one.told(member)))
        member.state, member.message = "running", ""
        self._at_work[worker.process.pid] = (worker, member)

    def _see_new(self) -> None:
        """Find the folders that the processes have made."""
        for run in new_runs(self.one.runs, self._known):
            self.one.take(run)

    def _reap(self) -> None:
        """Look at what has ended."""
        for worker in self.pool.ended():
            _, member = self._at_work.pop(worker.process.pid)
            self._see_new()
            reason = why(worker)
            try:
                member.look()
            except UsageError as error:
                reason = reason or error.message
            if member.state != "finished":
                member.message = reason if self.stopped_by is None else ""
                if member.state == "missing" and self.stopped_by is None and worker.process.returncode > 0:
                    member.state = "failed"
            self.watcher.changed(member)

    def _see_others(self) -> None:
        """Look at the runs that other processes write."""
        if time.monotonic() - self._looked < ELSEWHERE:
            return
        self._looked = time.monotonic()
        for member in self.one.members:
            if member.state == "elsewhere":
                with contextlib.suppress(UsageError):
                    member.look()
                if member.state != "elsewhere":
                    self.watcher.changed(member)

    # -- signals -----------------------------------------------------------------------------------------------------------

    def _pass_on(self) -> None:
        """The first signal stops all processes in good order, a second Ctrl-C at once."""
        if self._passed_on < min(self.interrupts, 2):
            self._passed_on += 1
            self.pool.signal()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Inside, signals are noted."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, _frame: FrameType | None) -> None:
            if self.stopped_by is None or number == signal.SIGINT:
                self.stopped_by = self.stopped_by or signal.Signals(number)
                self.interrupts += 1

        before = {number: signal.signal(number, note) for number in ENDING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
