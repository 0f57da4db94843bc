"""Signals that stop a run after its step: Ctrl-C, SIGTERM of a service manager, SIGUSR1 of a batch scheduler before it evicts a job."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ganlab.runs.run import Run

#: The signals of these that the platform has.
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))


@contextmanager
def ended_by_signals(run: Run, leave: Callable[[Run], None] | None = None) -> Iterator[None]:
    """Within this context the first signal stops the run after its current step. A SIGINT after that ends the process at once.

    Other later signals change nothing: a scheduler warns with one signal and ends the job with another.

    Args:
        run: ``info["signal"]`` gets the name of the signal.
        leave: ends the process at once; None raises KeyboardInterrupt, which a script or notebook survives.
    """
    if threading.current_thread() is not threading.main_thread():  # Python delivers signals to the main thread only
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        if run.interrupted and number == signal.SIGINT:
            if leave is not None:
                leave(run)
            raise KeyboardInterrupt
        if not run.interrupted:
            run.stop()
            run.info["signal"] = signal.Signals(number).name

    before = {number: signal.signal(number, stop) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
