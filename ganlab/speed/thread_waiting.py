"""How OpenMP's threads wait for each other: awake while the machine has nothing else to do, else asleep.

To wake a thread that sleeps takes a virtual machine a tenth of a millisecond, and a small network's step has dozens of places to meet: at
two threads it can take twice as long. Threads that wait awake, though, make training many times slower as soon as anything
else wants their cores. Which of the two is right is seen only while it goes on: from how long the process's own threads wait for a core.

GNU's OpenMP, which PyTorch brings on Linux, reads once how long its threads stay awake. It lets them sleep at once, though, while it has
more threads than there are cores (its manual, at ``GOMP_SPINCOUNT``): so a few that do nothing are what sends the others to sleep.
Imports no torch.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

#: 10,000 rounds of GNU's OpenMP are a tenth of a millisecond and more; other OpenMPs know the first name alone, and their threads sleep.
WAITS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000"}
EVERY = 1.0  # seconds from look to look
CROWDED = 0.15  # seconds in a second that the process's threads, all of them together, wait for a core
LONGEST = 64  # looks without a crowd that threads may have to sleep for before they are let awake again
FORGIVING = 10  # looks without a crowd, after which a crowded one is let pass


def wait_well() -> None:
    """Let the threads of this process, and of those that it starts, wait so, unless the environment says how. Before torch is imported."""
    if not said():
        os.environ.update(WAITS)


@contextmanager
def watching(threads: int) -> Iterator[None]:
    """Send OpenMP's threads to sleep as long as they are in somebody's way, unless the environment says how they are to wait.

    Args:
        threads: of OpenMP. One waits for nobody.
    """
    if sys.platform != "linux" or threads == 1 or said() not in ({}, WAITS):
        yield
        return
    watch = Watch()
    watch.start()
    try:
        yield
    finally:
        watch.stop()


def said() -> dict[str, str]:
    """What the environment says of waiting."""
    return {name: os.environ[name] for name in WAITS if name in os.environ}


class Watch(threading.Thread):
    """Looks once a second, and sends OpenMP's threads to sleep as long as they are in somebody's way."""

    def __init__(self) -> None:
        super().__init__(name="ganlab-waiting", daemon=True)
        self._ended = threading.Event()

    def run(self) -> None:
        """Until :meth:`stop`."""
        sleep, verdict = Sleep(), Verdict()
        at, before = time.monotonic(), waited()
        while not self._ended.wait(EVERY):
            now, after = time.monotonic(), waited()
            if verdict.asleep(crowded(before, after, now - at)):
                sleep.begin()
            else:
                sleep.end()
            at, before = now, after
        sleep.end()

    def stop(self) -> None:
        """Let all be as it was."""
        self._ended.set()
        self.join()


def waited(tasks: Path = Path("/proc/self/task")) -> dict[str, int] | None:
    """Nanoseconds that each of this process's threads has been ready to run and had no core; None where the system does not count them."""
    found, ran = {}, 0
    for task in tasks.glob("*/schedstat"):
        try:
            running, waiting, _slices = map(int, task.read_text(encoding="ascii").split())
        except (OSError, ValueError):  # a thread that has ended meanwhile
            continue
        found[task.parent.name] = waiting
        ran += running
    return found if ran else None  # a system that does not count says 0 of all


def crowded(before: Mapping[str, int] | None, after: Mapping[str, int] | None, seconds: float) -> bool:
    """Whether threads had to wait for a core in the time between two looks; yes, where nobody knows.

    >>> crowded({"1": 0}, {"1": 10**8}, 1.0), crowded({"1": 0}, {"1": 10**8, "2": 10**8}, 1.0)
    (False, True)
    """
    if before is None or after is None:
        return True
    return sum(nanoseconds - before.get(thread, 0) for thread, nanoseconds in after.items()) > CROWDED * 1e9 * seconds


class Verdict:
    """Whether threads are to sleep, from look to look.

    One crowded second is let pass where ten were quiet before: that is no neighbour, but a process that starts, or a file that is written.

    Two runs that share the cores are in each other's way only while they are awake: as soon as both sleep, there is room again. So
    whoever was awake in vain sleeps for twice as many looks the next time.
    """

    def __init__(self) -> None:
        self._pause, self._left, self._awake, self._calm = 0, 0, 1, FORGIVING

    def asleep(self, crowded: bool) -> bool:
        """After a look.

        Args:
            crowded: whether threads had to wait for a core since the last one.
        """
        quiet = self._awake > self._pause  # for so long that earlier crowds count no more
        if crowded and not (quiet and self._calm >= FORGIVING):
            if self._awake:
                self._pause = 1 if quiet else min(2 * self._pause, LONGEST)
            self._awake, self._left = 0, self._pause
        elif self._left:
            self._left -= 1
        if not self._left and not crowded:
            self._awake += 1
        self._calm = 0 if crowded else self._calm + 1
        return self._left > 0


class Sleep:
    """Holds threads that do nothing, one more in each GNU OpenMP of this process than there are cores."""

    def __init__(self) -> None:
        self._held: dict[str, threading.Thread] = {}
        self._over = threading.Event()

    def begin(self) -> None:
        """All others sleep at once when they wait, from now on: those of libraries, too, that are loaded since the last call."""
        for library in openmps() - self._held.keys():
            ready = threading.Event()
            thread = threading.Thread(target=_hold, args=(library, ready, self._over), name="ganlab-asleep", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system allows no more threads
                return
            self._held[library] = thread
            ready.wait()

    def end(self) -> None:
        """They stay awake again."""
        self._over.set()
        for thread in self._held.values():
            thread.join()
        self._held, self._over = {}, threading.Event()


def openmps() -> set[str]:
    """The files of all GNU OpenMPs that this process has loaded."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return {line.split(maxsplit=5)[5] for line in lines if "libgomp" in line.rpartition("/")[2]}


def _hold(library: str, ready: threading.Event, over: threading.Event) -> None:
    """Have a team of OpenMP's threads as long as this thread lives; they have nothing to do but to ask for a number, once."""
    import ctypes

    try:
        openmp, nothing = ctypes.CDLL(library), ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
        openmp.GOMP_parallel(nothing, None, ctypes.c_uint(len(os.sched_getaffinity(0)) + 1), ctypes.c_uint(0))
    except (AttributeError, OSError):
        pass
    finally:
        ready.set()
    over.wait()
