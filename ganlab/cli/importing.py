"""While libraries are imported: nobody looks for garbage, and Ctrl-C ends the process. Imports nothing that is slow itself."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator

from ganlab.cli.exit_codes import INTERRUPTED


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Around the import of what a command needs, in the process of a command."""
    with _leaving_at_once(), _no_garbage():
        yield


@contextlib.contextmanager
def _leaving_at_once() -> Iterator[None]:
    """Ctrl-C while libraries are imported ends the process: some swallow the exception that Python makes of it."""
    if threading.current_thread() is not threading.main_thread():  # signals are not its business
        yield
        return

    def leave(_number: int, _frame: object) -> None:
        os.write(2, b"stopped\n")
        os._exit(INTERRUPTED)

    before = signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _no_garbage() -> Iterator[None]:
    """The garbage collector rests, and never looks through what has been made meanwhile.

    Libraries are hundreds of thousands of objects that stay as long as the process. To look for garbage among them takes a sixth of
    the time of torch's import, and a tenth of a second in each full collection that comes later.
    """
    if "torch" in sys.modules or not gc.isenabled():  # nothing is to be saved, and what is there now may be somebody's garbage
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
