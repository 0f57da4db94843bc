"""How a child process learns which sweep its run belongs to, reports why it failed, and stops when its parent process exits.

Imports no torch.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

from ganlab.redaction import redacted

VARIABLE = "GANLAB_SWEEP_MEMBERSHIP"  # the variable with `set` of the run's run.json, as JSON
FAILURE_FILE = "GANLAB_SWEEP_FAILURE_FILE"  # the variable with the path of the file that takes the message of an error


def join_sweep() -> dict[str, Any]:
    """Return the membership that the parent process has passed on, as ``run.json`` will record it. Empty outside of a sweep.

    In a sweep, this process from now on receives SIGTERM when its parent exits, so it saves its run and ends. Its standard input is a
    pipe from the parent, which writes nothing to it; end of file means that the parent is gone.
    """
    text = os.environ.pop(VARIABLE, "")  # child processes of this process do not belong to the sweep
    if not text:
        return {}
    threading.Thread(target=_stop_when_parent_exits, daemon=True).start()
    membership: dict[str, Any] = json.loads(text)
    return membership


def report_failure(message: str) -> None:
    """Pass the message of the error that ends this process to its parent. Does nothing outside of a sweep."""
    if FAILURE_FILE in os.environ:
        with contextlib.suppress(OSError):
            Path(os.environ[FAILURE_FILE]).write_text(redacted(message), encoding="utf-8")


def _stop_when_parent_exits() -> None:
    try:
        while os.read(0, 1):
            continue
    except OSError:
        return
    os.kill(os.getpid(), signal.SIGTERM)
