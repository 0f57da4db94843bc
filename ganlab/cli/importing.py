"""Import a command's libraries: without garbage collection, with Ctrl-C ending the process at once, without torch's compiler."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterator

from ganlab.cli.exit_codes import INTERRUPTED
from ganlab.signal_handlers import handle_signals


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Put this around the imports that a command needs: they are faster, and Ctrl-C during them is not lost."""
    with handle_signals(_exit_at_once, "SIGINT"), _no_collection():
        yield
        if "torch" in sys.modules:
            from ganlab.cli.lazy_compiler import delay_compiler_import

            delay_compiler_import()


def _exit_at_once(_number: int, _frame: object) -> None:
    """A handler for Ctrl-C. Some libraries swallow a KeyboardInterrupt that is raised while they are imported."""
    os.write(2, b"stopped\n")
    os._exit(INTERRUPTED)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Turn the garbage collector off, and exclude the objects created meanwhile from all later collections.

    Libraries create hundreds of thousands of objects that live as long as the process. Collecting among them takes a sixth of the time
    of torch's import, and a tenth of a second in each later full collection.
    """
    if "torch" in sys.modules or not gc.isenabled():  # there is no time to save, and the caller's own objects may become garbage
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
