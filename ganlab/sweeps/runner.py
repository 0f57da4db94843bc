"""Runs a sweep: starts the child processes of its runs, follows their states, and forwards signals until all of them have ended."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Protocol

from ganlab.errors import GanlabError, UsageError
from ganlab.signal_handlers import STOPPING, handle_signals
from ganlab.sweeps.existing_runs import new_runs
from ganlab.sweeps.membership import VARIABLE
from ganlab.sweeps.sweep import Sweep, SweepRun
from ganlab.sweeps.workers import Pool, Share, Worker

POLL_SECONDS = 0.1  # between two looks at the child processes
POLL_ELSEWHERE_SECONDS = 1.0  # between two looks at the runs of other processes


class SweepWatcher(Protocol):
    """An observer of a running sweep, such as its display."""

    def changed(self, run: SweepRun) -> None:
        """The state of a run has changed."""

    def tick(self) -> None:
        """Called at every poll."""


@dataclass
class SweepRunner:
    """Runs a sweep once.

    Attributes:
        sweep: the sweep. pool: its child processes. watcher: its observer.
        data_root: ``--data-root`` for the child processes; None leaves the option out.
        retry_failed: whether runs that have failed are resumed.
        check_files: raises a GanlabError when files that the runs need have changed. Called before each run.
        stopped_by: the signal that stopped the sweep; None where none did.
        interrupts: how many signals were received that the child processes must receive too.
    """

    sweep: Sweep
    pool: Pool
    watcher: SweepWatcher
    data_root: Path | None = None
    retry_failed: bool = False
    check_files: Callable[[], None] = lambda: None
    stopped_by: signal.Signals | None = None
    interrupts: int = 0
    _forwarded: int = 0  # signals that the child processes have received
    _active: dict[int, tuple[Worker, SweepRun]] = field(default_factory=dict)  # by process id
    _tried: set[int] = field(default_factory=set)  # id() of the runs that this runner has started
    _known_folders: set[str] = field(default_factory=set)
    _last_poll_elsewhere: float = 0.0

    def run(self) -> None:
        """Train until no run is left to start or to wait for."""
        for run in self.sweep.runs:
            self.watcher.changed(run)
        new_runs(self.sweep.runs_dir, self._known_folders)
        with handle_signals(self._count_signal, *STOPPING):
            while True:
                self._forward_signals()
                self._assign_new_folders()
                self._handle_ended()
                self._poll_elsewhere()
                while self.stopped_by is None and self._start_next():
                    continue
                self.watcher.tick()
                if not self._active and (self.stopped_by is not None or not self._has_work()):
                    return
                time.sleep(POLL_SECONDS)

    def needs_training(self, run: SweepRun) -> bool:
        """Whether a run is still to be started or resumed."""
        states = ("missing", "lost", "interrupted", *(["failed"] if self.retry_failed else []))
        return run.state in states and id(run) not in self._tried

    def _has_work(self) -> bool:
        return any(run.state == "elsewhere" or self.needs_training(run) for run in self.sweep.runs)

    # -- child processes ---------------------------------------------------------------------------------------------------

    def _start_next(self) -> bool:
        """Start the next run. False where there is none, or no share of the machine is free."""
        share = self.pool.free_share()
        run = next((run for run in self.sweep.runs if self.needs_training(run)), None)
        if share is None or run is None:
            return False
        self._tried.add(id(run))
        try:
            self.check_files()
            self._start(run, share)
        except GanlabError as error:
            run.message, run.state = error.message, "failed"
        self.watcher.changed(run)
        return True

    def _start(self, run: SweepRun, share: Share) -> None:
        if run.summary is not None and run.summary.folder.checkpoint_files():
            arguments = ["resume", str(run.summary.folder.path)]
        else:
            run.summary = None
            recipe, runs_dir = self.sweep.recipe_file(run), self.sweep.runs_dir
            arguments = ["run", str(recipe), "--set", f"train.seed={run.seed}", "--runs-dir", str(runs_dir)]
        arguments += ["--data-root", str(self.data_root)] if self.data_root is not None else []
        environment = {VARIABLE: json.dumps(self.sweep.membership_of(run))}
        worker = self.pool.start(arguments, share, self.sweep.log_file(run), environment)
        run.state, run.message = "running", ""
        self._active[worker.process.pid] = (worker, run)

    def _assign_new_folders(self) -> None:
        """Assign the run folders that the child processes have created."""
        for summary in new_runs(self.sweep.runs_dir, self._known_folders):
            self.sweep.assign(summary)

    def _handle_ended(self) -> None:
        """Read the states of the runs whose child processes have ended."""
        for worker in self.pool.collect_ended():
            _, run = self._active.pop(worker.process.pid)
            self._assign_new_folders()
            reason = worker.failure_reason()
            try:
                run.refresh()
            except UsageError as error:
                reason = reason or error.message
            if run.state != "finished":
                run.message = reason if self.stopped_by is None else ""
                if run.state == "missing" and self.stopped_by is None and worker.process.returncode > 0:
                    run.state = "failed"
            self.watcher.changed(run)

    def _poll_elsewhere(self) -> None:
        """Read the states of the runs that other processes write."""
        if time.monotonic() - self._last_poll_elsewhere < POLL_ELSEWHERE_SECONDS:
            return
        self._last_poll_elsewhere = time.monotonic()
        for run in self.sweep.runs:
            if run.state == "elsewhere":
                with contextlib.suppress(UsageError):
                    run.refresh()
                if run.state != "elsewhere":
                    self.watcher.changed(run)

    # -- signals -----------------------------------------------------------------------------------------------------------

    def _forward_signals(self) -> None:
        """Stop the child processes: after their step at the first signal, at once at a second Ctrl-C."""
        if self._forwarded < min(self.interrupts, 2):
            self._forwarded += 1
            self.pool.signal()

    def _count_signal(self, number: int, _frame: FrameType | None) -> None:
        """A signal handler."""
        if self.stopped_by is None or number == signal.SIGINT:
            self.stopped_by = self.stopped_by or signal.Signals(number)
            self.interrupts += 1
