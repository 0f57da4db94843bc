"""Settings of the command line's own process: how OpenMP's threads wait, and what freed memory it keeps. Imports no torch."""

from __future__ import annotations

import ctypes
import os
import sys

#: OpenMP's threads spin for about a tenth of a millisecond, then sleep. A step of a small network has dozens of barriers, and waking a
#: thread takes a tenth of a millisecond. Threads that spin for longer slow every other process on their cores down.
WAIT_SETTINGS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000"}
#: What glibc keeps: free bytes at the end of the heap, and blocks up to this size. Each step needs the same blocks again (MALLOPT(3)).
TRIM_THRESHOLD, MMAP_THRESHOLD = (-1, 256 << 20), (-3, 32 << 20)


def set_up_process() -> None:
    """Set how OpenMP's threads wait and what the allocator keeps, unless the environment says so. Call it before torch is imported."""
    if not WAIT_SETTINGS.keys() & os.environ.keys():
        os.environ.update(WAIT_SETTINGS)
    if sys.platform == "linux" and not any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        library = ctypes.CDLL(None)
        if hasattr(library, "mallopt"):  # musl has none
            library.mallopt(*TRIM_THRESHOLD)
            library.mallopt(*MMAP_THRESHOLD)
