"""Starts the mirror process from the training process, checks whether it is alive, and waits for it at the end."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from ganlab_mlflow.place import Settings
from ganlab_mlflow.state import FILE, State

# Linux gives a process of this niceness 1.5 % of a core if a process of niceness 0 wants all of it.
NICENESS = 19
# The niceness comes first: even the imports would delay a training that begins. The mirror then searches modules on the same path as
# this process.
_BOOT = (
    f"import os; hasattr(os, 'nice') and os.nice({NICENESS}); "
    "import json, sys; settings = json.loads(sys.stdin.readline()); sys.path[:] = settings.pop('path'); "
    "from ganlab_mlflow.process import main; from ganlab_mlflow.place import Settings; sys.exit(main(Settings(**settings)))"
)
PATIENCE = 5.0  # seconds without progress after which the mirror is killed
GRACE = 0.5  # seconds that the mirror has to end after it has delivered everything; afterwards it sends other runs
LONGEST_WAIT = 8.0  # seconds that the end of a run waits for a mirror that makes progress; it then continues alone
BUSY = 0.01  # share of a core that counts as progress: waiting for a tracker that does not answer takes less


class Helper:
    """A running mirror process.

    Attributes:
        left: it was still running when :meth:`finish` had waited long enough, and continues after this process has ended.

    Raises:
        OSError: the process cannot be started.
    """

    left = False

    def __init__(self, settings: Settings) -> None:
        self._state = Path(settings.run) / FILE
        self._seen = self._changed()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in stop()
        group: dict[str, Any] = {} if sys.platform == "win32" else {"process_group": 0}  # Ctrl-C does not reach it
        command = [sys.executable, "-W", "ignore", "-c", _BOOT]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._errors, **group)
        except OSError:
            self._errors.close()
            raise
        self._tell(json.dumps({"path": sys.path, **asdict(settings)}))

    def news(self) -> bool:
        """Whether ``mlflow.json`` has changed since the last call. Takes some microseconds."""
        seen, self._seen = self._seen, self._changed()
        return seen != self._seen

    @property
    def death(self) -> str:
        """How the mirror ended; empty while it is alive."""
        code = self._process.poll()
        if code is None:
            return ""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"its process {how}{f': {lines[-1]}' if lines else ''}"

    def finish(self, longest: float | None = None) -> str:
        """Tell the mirror that the run is over, and wait while it makes progress, but not forever.

        Args:
            longest: seconds to wait for a mirror that makes progress; None: ``LONGEST_WAIT``.

        Returns:
            Why it failed; empty if it has delivered everything, if ``mlflow.json`` says why it could not, or if it is ``left``.
        """
        try:
            self._tell("end", close=True)
            self.left = self._wait(LONGEST_WAIT if longest is None else longest)
            if self.left:
                self.left = not self._delivered()  # if it has delivered this run, it is sending others
                self._process.returncode = 0  # Popen would warn that nobody waits for it; a thread does
                threading.Thread(target=_await_end_of, args=(self._process.pid,), daemon=True).start()
                return ""
            if self._process.poll() is None:
                return f"it has not answered for {PATIENCE:.0f} s"
            return self.death if self._process.returncode not in (0, 1) else ""
        finally:
            self.stop()

    def stop(self) -> None:
        """End the mirror now, unless it continues alone."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._tell("", close=True)
        self._errors.close()

    def _wait(self, longest: float) -> bool:
        """Wait until the mirror has ended or makes no progress: False. True if it has delivered this run, or after ``longest`` seconds."""
        began, alive, worked = time.monotonic(), time.monotonic(), self._worked()
        while self._process.poll() is None and time.monotonic() - alive < PATIENCE:
            if time.monotonic() - began > longest:
                return True
            time.sleep(0.02)
            now, news = self._worked(), self.news()
            if news and self._delivered():
                longest = time.monotonic() - began + GRACE
            if news or now - worked > BUSY * PATIENCE or self._starves():
                alive, worked = time.monotonic(), now
        return False

    def _delivered(self) -> bool:
        """Whether this mirror has delivered the whole run."""
        state = State.load(self._state.parent)
        return state.complete and state.completed_by == self._process.pid

    def _starves(self) -> bool:
        """Whether the mirror waits for a core: on a busy machine it is not stuck."""
        try:
            return bool(psutil.Process(self._process.pid).status() == psutil.STATUS_RUNNING)
        except psutil.Error:
            return False

    def _worked(self) -> float:
        """The CPU time of the mirror, in seconds."""
        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)

    def _tell(self, line: str, close: bool = False) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # the mirror has ended, and `death` says how
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
        if close:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _changed(self) -> int:
        try:
            return self._state.stat().st_mtime_ns
        except OSError:
            return 0


def _await_end_of(number: int) -> None:
    """Wait for the end of a child process. Without this it would stay a zombie while a script runs on."""
    with contextlib.suppress(ChildProcessError, AttributeError):  # Windows has no zombies and no waitpid
        os.waitpid(number, 0)
