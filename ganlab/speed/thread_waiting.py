"""How OpenMP's threads wait for each other: they spin while the machine has nothing else to do, and sleep otherwise.

Waking a sleeping thread takes a virtual machine a tenth of a millisecond, and a step of a small network has dozens of barriers. With two
threads that sleep, the step can take twice as long. But threads that spin make training many times slower as soon as another process
needs their cores. The right choice is only known at run time, from how long this process's threads wait for a core.

GNU's OpenMP, which PyTorch ships on Linux, reads once how long its threads spin. But while it has more threads than there are cores, its
threads sleep at once (see ``GOMP_SPINCOUNT`` in its manual). So this module sends them to sleep by starting a team of idle threads.
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

#: 10,000 rounds of GNU's OpenMP take a tenth of a millisecond or more. Other OpenMP libraries know only the first variable, and sleep.
WAIT_SETTINGS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000"}
CHECK_INTERVAL = 1.0  # seconds between two checks
MAX_WAITING = 0.15  # seconds per second that all threads of the process together may wait for a core
MAX_PAUSE = 64  # uncontended checks that threads must sleep for, at most, before they may spin again
QUIET_CHECKS = 10  # uncontended checks, after which a single contended one has no effect


def set_wait_policy() -> None:
    """Let OpenMP's threads spin briefly, then sleep, in this process and its children. Call it before torch is imported.

    Does nothing if the environment sets a policy.
    """
    if not environment_settings():
        os.environ.update(WAIT_SETTINGS)


@contextmanager
def adaptive_waiting(threads: int) -> Iterator[None]:
    """Let OpenMP's threads sleep while other processes need their cores. Does nothing if the environment sets another policy.

    Args:
        threads: OpenMP's number of threads. A single thread never waits.
    """
    if sys.platform != "linux" or threads == 1 or environment_settings() not in ({}, WAIT_SETTINGS):
        yield
        return
    monitor = ContentionMonitor()
    monitor.start()
    try:
        yield
    finally:
        monitor.stop()


def environment_settings() -> dict[str, str]:
    """The environment variables that set how threads wait, with their values."""
    return {name: os.environ[name] for name in WAIT_SETTINGS if name in os.environ}


class ContentionMonitor(threading.Thread):
    """Checks once a second how long the process's threads wait for a core, and lets OpenMP's threads spin or sleep accordingly."""

    def __init__(self) -> None:
        super().__init__(name="ganlab-waiting", daemon=True)
        self._stopped = threading.Event()

    def run(self) -> None:
        """Check until :meth:`stop` is called."""
        idle_threads, decision = IdleThreads(), SleepDecision()
        last_check, before = time.monotonic(), waiting_times()
        while not self._stopped.wait(CHECK_INTERVAL):
            now, after = time.monotonic(), waiting_times()
            if decision.should_sleep(is_contended(before, after, now - last_check)):
                idle_threads.start()
            else:
                idle_threads.stop()
            last_check, before = now, after
        idle_threads.stop()

    def stop(self) -> None:
        """Stop checking, and let threads spin again."""
        self._stopped.set()
        self.join()


def waiting_times(tasks: Path = Path("/proc/self/task")) -> dict[str, int] | None:
    """For each thread of this process, the nanoseconds that it was ready to run and had no core. None if Linux does not count them."""
    times, total_running = {}, 0
    for task in tasks.glob("*/schedstat"):
        try:
            running, waiting, _slices = map(int, task.read_text(encoding="ascii").split())
        except (OSError, ValueError):  # the thread has ended meanwhile
            continue
        times[task.parent.name] = waiting
        total_running += running
    return times if total_running else None  # a kernel that does not count reports 0 everywhere


def is_contended(before: Mapping[str, int] | None, after: Mapping[str, int] | None, seconds: float) -> bool:
    """Whether threads had to wait for a core between two checks. True if that is unknown.

    >>> is_contended({"1": 0}, {"1": 10**8}, 1.0), is_contended({"1": 0}, {"1": 10**8, "2": 10**8}, 1.0)
    (False, True)
    """
    if before is None or after is None:
        return True
    return sum(nanoseconds - before.get(thread, 0) for thread, nanoseconds in after.items()) > MAX_WAITING * 1e9 * seconds


class SleepDecision:
    """Decides at each check whether threads are to sleep.

    One contended check after ten quiet ones has no effect: it comes from a starting process or a file that is written, not from another
    training.

    Two trainings that share the cores disturb each other only while they spin. As soon as both sleep, there is no contention, and both
    would spin again. So each time that threads tried to spin in vain, they sleep for twice as many checks.
    """

    def __init__(self) -> None:
        self._pause = 0  # checks that threads sleep for after contention
        self._left = 0  # checks of the current pause that are left
        self._spinning = 1  # uncontended checks since the last pause
        self._uncontended = QUIET_CHECKS  # uncontended checks since the last contended one

    def should_sleep(self, contended: bool) -> bool:
        """Whether threads are to sleep until the next check.

        Args:
            contended: whether threads had to wait for a core since the last check.
        """
        quiet = self._spinning > self._pause  # spinning has worked for so long that earlier contention does not count
        if contended and not (quiet and self._uncontended >= QUIET_CHECKS):
            if self._spinning:
                self._pause = 1 if quiet else min(2 * self._pause, MAX_PAUSE)
            self._spinning, self._left = 0, self._pause
        elif self._left:
            self._left -= 1
        if not self._left and not contended:
            self._spinning += 1
        self._uncontended = 0 if contended else self._uncontended + 1
        return self._left > 0


class IdleThreads:
    """A team of idle threads in each GNU OpenMP library of this process, one more than there are cores: all other threads then sleep."""

    def __init__(self) -> None:
        self._teams: dict[str, threading.Thread] = {}  # by library
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start a team in each library that has none yet. Libraries may have been loaded since the last call."""
        for library in gnu_openmp_libraries() - self._teams.keys():
            ready = threading.Event()
            thread = threading.Thread(target=_hold_team, args=(library, ready, self._stopped), name="ganlab-asleep", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system allows no more threads
                return
            self._teams[library] = thread
            ready.wait()

    def stop(self) -> None:
        """End all teams: OpenMP's other threads spin again."""
        self._stopped.set()
        for thread in self._teams.values():
            thread.join()
        self._teams, self._stopped = {}, threading.Event()


def gnu_openmp_libraries() -> set[str]:
    """The files of all GNU OpenMP libraries that this process has loaded."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return {line.split(maxsplit=5)[5] for line in lines if "libgomp" in line.rpartition("/")[2]}


def _hold_team(library: str, ready: threading.Event, stopped: threading.Event) -> None:
    """Keep a team of OpenMP threads as long as this thread lives. Each of them calls ``getpid`` once and has nothing else to do."""
    import ctypes

    try:
        openmp, no_work = ctypes.CDLL(library), ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
        openmp.GOMP_parallel(no_work, None, ctypes.c_uint(len(os.sched_getaffinity(0)) + 1), ctypes.c_uint(0))
    except (AttributeError, OSError):
        pass
    finally:
        ready.set()
    stopped.wait()
