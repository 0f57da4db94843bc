"""Signal handlers that are restored afterwards."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

#: Names of the signals that stop a run: Ctrl-C, SIGTERM of a service manager, SIGUSR1, SIGUSR2 or SIGXCPU of a batch scheduler before it
#: ends a job, SIGHUP when the terminal is closed or the connection is lost.
STOPPING = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGHUP")


@contextlib.contextmanager
def handle_signals(handler: Callable[[int, FrameType | None], object], *names: str) -> Iterator[None]:
    """Within this context ``handler`` handles some signals, and afterwards the previous handlers do.

    Does nothing outside of the main thread, where Python can set no signal handlers.

    Args:
        handler: as ``signal.signal`` takes it.
        names: of the signals, such as ``"SIGTERM"``. Those that the platform does not have are left out, and so is SIGHUP where this
            process ignores it: ``nohup`` starts a process so that it outlives its terminal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name) and not (name == "SIGHUP" and _ignored(name))]
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous_handler in previous.items():
            signal.signal(number, previous_handler)


def _ignored(name: str) -> bool:
    return signal.getsignal(getattr(signal, name)) is signal.SIG_IGN
