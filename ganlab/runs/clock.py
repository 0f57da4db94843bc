"""The time that a run has been trained for: without evaluations, and over all processes that trained it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Clock:
    """Seconds of training.

    Attributes:
        seconds: up to the last :meth:`stop`; those of earlier processes are put there when a run is resumed.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since, self._step = 0.0, 0  # when the last interval began, and its step

    def start(self, step: int) -> None:
        """Training begins now, at ``step``: what was before does not count."""
        self._since, self._step = time.monotonic(), step

    def stop(self, step: int) -> float:
        """End an interval at ``step`` and begin the next. Returns the interval's steps per second."""
        now, steps = time.monotonic(), step - self._step
        seconds = now - self._since
        self.seconds += seconds
        self._since, self._step = now, step
        return steps / max(seconds, 1e-9)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """The time within this context does not count as training."""
        began = time.monotonic()
        yield
        self._since += time.monotonic() - began
