"""Signals that stop a run after its step."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ganlab.runs.run import Run
from ganlab.signal_handlers import STOPPING, handle_signals


@contextmanager
def ended_by_signals(run: Run, leave: Callable[[Run], None] | None = None) -> Iterator[None]:
    """Within this context the first signal stops the run after its current step. A SIGINT after that ends the process at once.

    Other later signals change nothing: a scheduler warns with one signal and ends the job with another. Once the run is finished, and
    only its delivery is going on, the first SIGINT ends the process.

    Args:
        run: ``info["signal"]`` gets the name of the signal.
        leave: ends the process at once; None raises KeyboardInterrupt, which a script or notebook survives.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and (run.interrupted or run.info["status"] == "finished"):
            if leave is not None:
                leave(run)
            raise KeyboardInterrupt
        if not run.interrupted:
            run.stop()
            run.info["signal"] = signal.Signals(number).name

    with handle_signals(stop, *STOPPING):
        yield
