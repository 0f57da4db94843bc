"""Starts the mirror process from the training process, checks whether it is alive, and waits for it at the end."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ganlab.child_process import python_command, python_environment
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
GRACE = 0.5  # seconds that the mirror has to end after it has delivered everything; afterwards it sends other runs
LONGEST_WAIT = 8.0  # seconds that the end of a run waits for the mirror; it then continues alone


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
        command = python_command("-W", "ignore", "-c", _BOOT)
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": self._errors}
        try:
            self._process = subprocess.Popen(command, env=python_environment(), **pipes, **group)
        except OSError:
            self._errors.close()
            raise
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # the mirror has ended, and `death` says how
            self._process.stdin.write(json.dumps({"path": sys.path, **asdict(settings)}).encode() + b"\n")
            self._process.stdin.flush()

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
        """Tell the mirror that the run is over, and wait until it has delivered everything, but not forever.

        Args:
            longest: seconds to wait; None: ``LONGEST_WAIT``.

        Returns:
            Why it failed; empty if it has delivered everything, if ``mlflow.json`` says why it could not, or if it is ``left``.
        """
        continues = False
        try:
            self._close_pipe()
            end = time.monotonic() + (LONGEST_WAIT if longest is None else longest)
            while self._process.poll() is None and time.monotonic() < end:
                time.sleep(0.02)
                if self.news() and self._delivered():
                    end = time.monotonic() + GRACE
            continues = self._process.poll() is None
            self.left = continues and not self._delivered()  # if it has delivered this run, it is sending others
            return "" if continues or self._process.returncode in (0, 1) else self.death
        finally:
            if continues:
                threading.Thread(target=self._process.wait, daemon=True).start()  # otherwise it would stay a zombie while a script runs on
                self._errors.close()
            else:
                self.stop()

    def stop(self) -> None:
        """End the mirror now."""
        self._process.kill()
        self._process.wait()
        self._close_pipe()
        self._errors.close()

    def _close_pipe(self) -> None:
        """Close the mirror's standard input, by which it notices that the run is over."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _delivered(self) -> bool:
        """Whether this mirror has delivered the whole run."""
        state = State.load(self._state.parent)
        return state.complete and state.completed_by == self._process.pid

    def _changed(self) -> int:
        try:
            return self._state.stat().st_mtime_ns
        except OSError:
            return 0
