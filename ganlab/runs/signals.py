"""Signals that end a run in good order: Ctrl-C, a service manager's SIGTERM, a batch scheduler's SIGUSR1 before it evicts."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ganlab.runs.run import Run

#: Those of them that the platform has.
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))


@contextmanager
def ended_by_signals(run: Run, leave: Callable[[Run], None] | None = None) -> Iterator[None]:
    """Inside, the first signal ends the run after the step that is going on; SIGINT, when it is ending already, leaves at once.

    Other signals that come later change nothing: a scheduler warns with one and ends with another.

    Args:
        run: its ``info["signal"]`` gets the signal's name.
        leave: how to leave at once; None raises KeyboardInterrupt, which a script or notebook survives.
    """
    if threading.current_thread() is not threading.main_thread():  # Python hands signals to the main thread only
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        if run.stopping and number == signal.SIGINT:
            if leave is not None:
                leave(run)
            raise KeyboardInterrupt
        if not run.stopping:
            run.stopping = True
            run.info["signal"] = signal.Signals(number).name

    before = {number: signal.signal(number, stop) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
