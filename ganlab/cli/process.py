"""Settings of the command line's own process: how OpenMP's threads wait, and where modules are searched. Imports no torch."""

from __future__ import annotations

import contextlib
import os
import sys

#: OpenMP's threads spin for some ten microseconds to a tenth of a millisecond, then sleep. A step of a small network has dozens of
#: barriers, and a virtual machine takes a tenth of a millisecond to wake a thread. Threads that spin for longer slow every other process
#: on their cores down. docs/benchmarks.md has figures. OpenMP libraries other than GNU's know the first variable only, and sleep.
WAIT_SETTINGS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "3000"}


def set_wait_policy() -> None:
    """Set how OpenMP's threads wait, unless the environment says so. Call it before torch is imported: OpenMP reads it once."""
    if not WAIT_SETTINGS.keys() & os.environ.keys():
        os.environ.update(WAIT_SETTINGS)


def leave_out_current_folder() -> None:
    """Stop searching modules in the current folder where that comes from an empty entry of ``PYTHONPATH``, as in ``:/my/plugins``."""
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if len(entries) > 1 and "" in entries and not sys.flags.ignore_environment:
        with contextlib.suppress(OSError, ValueError):  # the folder was removed; it is not searched
            sys.path.remove(os.getcwd())  # the first one: an installed distribution may lie in the same folder
