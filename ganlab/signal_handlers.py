"""Signal handlers that are restored afterwards."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

#: Names of the signals that stop a run: Ctrl-C, SIGTERM of a service manager, SIGUSR1 of a batch scheduler before it evicts a job.
STOPPING = ("SIGINT", "SIGTERM", "SIGUSR1")


@contextlib.contextmanager
def handle_signals(handler: Callable[[int, FrameType | None], object], *names: str) -> Iterator[None]:
    """Within this context ``handler`` handles some signals, and afterwards the previous handlers do.

    Does nothing outside of the main thread, where Python can set no signal handlers.

    Args:
        handler: as ``signal.signal`` takes it.
        names: of the signals, such as ``"SIGTERM"``. Those that the platform does not have are ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous_handler in previous.items():
            signal.signal(number, previous_handler)
