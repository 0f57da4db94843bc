"""The mirror: follows one run's folder, and sends what is new to MLflow until the run ends. What it has to say is in ``mlflow.json``."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

from ganlab_mlflow import describe
from ganlab_mlflow.place import Settings, redacted
from ganlab_mlflow.session import Session
from ganlab_mlflow.state import State

EVERY = 2.0  # seconds between two looks at the folder: a request costs 4 ms of computing, however much it holds
LONGEST_PAUSE = 60.0  # seconds between two attempts while the tracker does not answer


class Mirror:
    """Delivers one run, as far as the tracker lets it."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.run = settings, Path(settings.run)
        self.state = State.load(self.run)
        self.state.complete, self.state.problem = False, ""
        self.session: Session | None = None

    def follow(self, ended: threading.Event, once_it_answers: Callable[[], None] | None = None) -> bool:
        """Deliver until ``ended`` is set, then once more, with the final status. Whether everything has been delivered.

        Args:
            ended: the run is over.
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
        """Deliver what is new. A failure is written down, and the next attempt starts afresh."""
        try:
            if self.session is None:
                self.session = Session(self.run, self.settings.uri, self.settings.experiment, self.state)
            self.session.deliver(self.settings.images)
            if last:
                wanted = self.settings.model and self.settings.checkpoints != "none"
                self.session.finish(self._status(), self.settings.checkpoints, self.settings.images, wanted)
                self.session.log_model()  # last, for nobody waits for it
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
