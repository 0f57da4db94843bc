"""The mirror: a process that follows one run's folder and sends what is new to MLflow, until the run ends.

It is told what to do in one line of JSON on its standard input, and that the run has ended by another line, or by the end of the
input, which also comes when the training process is killed. What it has to say stands in ``mlflow.json``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path

from ganlab_mlflow import describe
from ganlab_mlflow.place import Settings, redacted
from ganlab_mlflow.session import Session
from ganlab_mlflow.state import State

EVERY = 1.0  # seconds between two looks at the folder
LONGEST_PAUSE = 60.0  # seconds between two attempts while the tracker does not answer
AFTER_THE_END = 300.0  # seconds after which a mirror whose run is over stops in any case
# The share of a core that Linux gives to a process of this niceness, when a process of niceness 0 wants all of it, is 2.8 %.
NICENESS = 16
# MLflow's own retries would block for minutes; here the next look is the retry.
ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}
DEFAULTS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "8", "OMP_NUM_THREADS": "1"}


class Mirror:
    """Delivers one run, as far as the tracker lets it."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.run = settings, Path(settings.run)
        self.state = State.load(self.run)
        self.state.complete, self.state.problem = False, ""
        self.session: Session | None = None

    def follow(self, ended: threading.Event) -> bool:
        """Deliver until ``ended`` is set, then once more, with the final status. Whether everything has been delivered."""
        pause = EVERY
        while not ended.is_set():
            pause = EVERY if self.attempt() else min(2 * pause, LONGEST_PAUSE)
            ended.wait(pause)
        return self.attempt(last=True)

    def attempt(self, last: bool = False) -> bool:
        """Deliver what is new. A failure is written down, and the next attempt starts afresh."""
        try:
            if self.session is None:
                self.session = Session(self.run, self.settings.uri, self.settings.experiment, self.state)
            self.session.deliver(self.settings.images)
            if last:
                self.session.finish(self._status(), self.settings.checkpoints)
            self._note("")
        except Exception as error:
            self.session = None
            self._note(describe.reason(error))
            return False
        return True

    def _status(self) -> str:
        """As run.json has it; a run that is over but says "running" was killed before it could say more."""
        status = str(describe.read_info(self.run).get("status", ""))
        return "interrupted" if status == "running" else status

    def _note(self, problem: str) -> None:
        if problem != self.state.problem or not self.state.uri:
            self.state.problem = problem
            self.state.uri, self.state.experiment = redacted(self.settings.uri), self.settings.experiment
            with contextlib.suppress(OSError):  # the run's folder was removed, or the disk is full
                self.state.save(self.run)


def quieten() -> None:
    """Set up this process for MLflow: few retries, no telemetry, no chatter."""
    os.environ.update(ENVIRONMENT)
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    warnings.simplefilter("ignore")
    for name in ("mlflow", "alembic", "sqlalchemy", "urllib3", "git"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def main(**settings: str | bool) -> int:
    """The mirror's process. Its exit code is 0 when everything has been delivered, else 1."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    for number in (signal.SIGINT, signal.SIGTERM):  # the training process answers these, and then ends the mirror
        signal.signal(number, signal.SIG_IGN)
    quieten()
    ended = threading.Event()
    threading.Thread(target=_await_the_end, args=(ended,), daemon=True).start()
    return 0 if Mirror(Settings(**settings)).follow(ended) else 1  # type: ignore[arg-type]


def _await_the_end(ended: threading.Event) -> None:
    sys.stdin.readline()
    ended.set()
    time.sleep(AFTER_THE_END)
    os._exit(1)
