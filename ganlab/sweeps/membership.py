"""A run that another process has started as one of a set: what it is told, and that it ends when that process does. Imports no torch."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import Any

VARIABLE = "GANLAB_MEMBER"


def told(member: dict[str, Any]) -> dict[str, str]:
    """The environment variable that tells a process which run of which set it is to be."""
    return {VARIABLE: json.dumps(member)}


def as_member() -> dict[str, Any]:
    """Which run of a set this process is to be, as its run.json will say; empty where it is none.

    From here on the process ends in good order, as after SIGTERM, when the one that has started it is gone: its standard input is a pipe
    from there, and nothing is ever written to it.
    """
    text = os.environ.pop(VARIABLE, "")  # what this process starts is no member
    if not text:
        return {}
    threading.Thread(target=_end_with_the_other, daemon=True).start()
    found: dict[str, Any] = json.loads(text)
    return found


def _end_with_the_other() -> None:
    try:
        while os.read(0, 1):
            continue
    except OSError:
        return
    os.kill(os.getpid(), signal.SIGTERM)
