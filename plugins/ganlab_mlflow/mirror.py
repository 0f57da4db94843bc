"""The mirror: follows one run's folder and sends what is new to MLflow until the run ends. Its state is in ``mlflow.json``."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

from ganlab_mlflow import describe
from ganlab_mlflow.place import Settings, redacted
from ganlab_mlflow.session import Session
from ganlab_mlflow.state import State

EVERY = 2.0  # seconds between two reads of the folder: a request takes 4 ms of CPU time, whatever its size
LONGEST_PAUSE = 60.0  # seconds between two attempts while the tracker does not answer


class Mirror:
    """Delivers one run to the tracker."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.run = settings, Path(settings.run)
        self.state = State.load(self.run)
        self.state.complete, self.state.problem = False, ""
        self.session: Session | None = None

    def follow(self, ended: threading.Event, once_it_answers: Callable[[], None] | None = None) -> bool:
        """Deliver until ``ended`` is set, then once more, with the final status. Return whether everything has been delivered.

        Args:
            ended: set when the run is over.
            once_it_answers: called after the first delivery.
        """
        pause = EVERY
        while not ended.is_set():
            delivered = self.attempt()
            if delivered and once_it_answers is not None:
                once_it_answers()
                once_it_answers = None
            pause = EVERY if delivered else min(2 * pause, LONGEST_PAUSE)
            ended.wait(pause)
        return self.attempt(last=True)

    def attempt(self, last: bool = False) -> bool:
        """Deliver what is new. A failure is noted in the state, and the next attempt starts again."""
        try:
            if self.session is None:
                self.session = Session(self.run, self.settings.uri, self.settings.experiment, self.state)
            self.session.deliver(self.settings.images)
            if last:
                wanted = self.settings.model and self.settings.checkpoints != "none"
                self.session.finish(self._status(), self.settings.checkpoints, self.settings.images, wanted)
                self.session.log_model()  # last, because nobody waits for it
            self._note("")
        except Exception as error:
            self.session = None
            self._note(describe.reason(error))
            return False
        return True

    def _status(self) -> str:
        """The status in run.json; a run that is over but says "running" or "closing" was killed."""
        status = str(describe.read_info(self.run).get("status", ""))
        return "interrupted" if status in ("running", "closing") else status

    def _note(self, problem: str) -> None:
        if problem != self.state.problem or not self.state.uri:
            self.state.problem = problem
            self.state.uri, self.state.experiment = redacted(self.settings.uri), self.settings.experiment
            with contextlib.suppress(OSError):  # the run's folder was removed, or the disk is full
                self.state.save(self.run)
