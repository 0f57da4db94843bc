"""Measured processes: each contestant is one of its own, started alike, and what it took is told by the operating system."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import secrets
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from ganlab.cli.process import WAIT_SETTINGS
from support.busy import Seen, look_around, share_of_others, working_seconds
from support.setting import HERE
from support.waiting import POLICIES

MARK = "GANLAB_BENCHMARK"  # names the processes of one measurement, those that outlive their parent included
PATIENCE = 60.0  # seconds that are waited for these
KIB = 1024 if sys.platform == "linux" else 1  # ru_maxrss is in KiB on Linux, in bytes on macOS
TERMINAL = struct.pack("HHHH", 40, 120, 0, 0)  # rows, columns


@dataclass(frozen=True)
class Ended:
    """A process that has ended.

    Attributes:
        code: its exit status. said: its output, and its errors. began: when it was started, in seconds since 1970.
        peak: the most memory that it, or a child it waited for, had resident, in bytes. seen: what others did meanwhile.
    """

    code: int
    said: str
    began: float
    peak: int
    seen: Seen

    @property
    def last_line(self) -> str:
        """The last thing it said."""
        return next((line.strip() for line in reversed(self.said.splitlines()) if line.strip()), f"exit status {self.code}")

    def told(self) -> dict[str, Any]:
        """The JSON document in its last line.

        Raises:
            ValueError: there is none; with what it said in its place.
        """
        if self.code == 0:
            try:
                return dict(json.loads(self.last_line))
            except (json.JSONDecodeError, TypeError, ValueError):
                pass
        raise ValueError(self.last_line)


def environment(threads: int, policy: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What every contestant's process finds in its environment.

    Args:
        threads: of OpenMP and of the linear algebra library.
        policy: how OpenMP's threads wait: one of :data:`POLICIES`.
        more: of this contestant alone.
    """
    # Installed packages lie compiled on the disk. Where Python may not write that down, whatever runs from a work tree (ganlab, the
    # loops) would be compiled anew each time, and the libraries not.
    dropped = (*WAIT_SETTINGS, "MLFLOW_TRACKING_URI", "PYTHONDONTWRITEBYTECODE")
    found = {name: value for name, value in os.environ.items() if name not in dropped}
    found |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "PYTHONPATH": str(HERE)}
    found |= POLICIES[policy][1]
    return found | {"TERM": "xterm-256color", "PYTHONWARNINGS": "ignore"} | dict(more or {})


def run(
    command: Sequence[str],
    settings: Mapping[str, str],
    terminal: bool = False,
    watch: Callable[[int], None] | None = None,
    look: bool = True,
) -> Ended:
    """Run a process to its end.

    Args:
        command: its words. settings: its environment.
        terminal: give it one to draw on, as a person would; else a pipe.
        watch: called with the process's number as soon as it has been started.
        look: look around before it, which takes half a second.
    """
    mark = secrets.token_hex(8)
    before = look_around() if look else 0.0
    worked, own, clock, began = working_seconds(), time.process_time(), time.monotonic(), time.time()
    reading, writing = _terminal() if terminal else os.pipe()
    with subprocess.Popen(
        command, env={**settings, MARK: mark}, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing, start_new_session=True
    ) as child:
        os.close(writing)
        said: list[bytes] = []
        reader = threading.Thread(target=_read_all, args=(reading, said), daemon=True)
        reader.start()
        if watch is not None:
            watch(child.pid)
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:  # Ctrl-C is for the child, too
            child.terminate()
            raise
        child.returncode = os.waitstatus_to_exitcode(status)
    passed, ours = time.monotonic() - clock, usage.ru_utime + usage.ru_stime + time.process_time() - own
    during = share_of_others(working_seconds() - worked, ours + wait_for_marked(mark), passed, os.cpu_count() or 1)
    reader.join(timeout=5)
    text = b"".join(said).decode(errors="replace")
    return Ended(child.returncode, text, began, usage.ru_maxrss * KIB, Seen(before, during))


def _terminal() -> tuple[int, int]:
    reading, writing = pty.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, TERMINAL)
    return reading, writing


def _read_all(descriptor: int, into: list[bytes]) -> None:
    """Take what a process says, so that it need not wait; the end of a terminal is an error on Linux."""
    try:
        while piece := os.read(descriptor, 65536):
            into.append(piece)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def wait_for_marked(mark: str) -> float:
    """Wait for processes that the measured one has left behind (the tracker's may), so that they do not disturb the next.

    Their environment has ``mark`` under :data:`MARK`.

    Returns:
        The seconds that they had computed when the measured one ended.
    """
    left = [process for process in psutil.process_iter() if _marked(process, mark)]
    computed = 0.0
    for process in left:
        try:
            times = process.cpu_times()
            computed += times.user + times.system
        except psutil.Error:
            continue
    _, alive = psutil.wait_procs(left, PATIENCE)
    for process in alive:
        print(f"note: process {process.pid} of this measurement is still at work after {PATIENCE:.0f} s", file=sys.stderr)
    return computed


def _marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False
