"""Processes side by side, never more threads than there are cores; all of them are stopped together. Imports no torch."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ganlab.errors import GanlabError, UsageError

#: Each library that has threads of its own reads one of these; some prefer their own to OpenMP's.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of processor time in so many microseconds


def cores(quota: Path = QUOTA) -> int:
    """How many cores this process may use: those that it may run on, and no more than its container is given time for."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        time, period = quota.read_text(encoding="ascii").split()
        count = min(count, -(-int(time) // int(period)))  # "max" is no number
    return max(1, count)


@dataclass(frozen=True)
class Share:
    """What a process may use.

    Attributes:
        threads: on the CPU. gpu: what it is to see of the GPUs, as ``CUDA_VISIBLE_DEVICES`` has it; None: all of them.
    """

    threads: int
    gpu: str | None = None

    def environment(self) -> dict[str, str]:
        """The variables that say so."""
        threads = dict.fromkeys(THREADS, str(self.threads))
        return threads | ({"CUDA_VISIBLE_DEVICES": self.gpu} if self.gpu is not None else {})


def shares(jobs: int | None, threads: int, gpus: Sequence[str | None], available: int) -> list[Share]:
    """What each of the processes that go on side by side may use.

    Args:
        jobs: how many are wanted; None: one for each GPU, or as many as the cores allow where there is none.
        threads: of each.
        gpus: those that may be used, as ``CUDA_VISIBLE_DEVICES`` has them, None for one that each recipe names itself; empty for the CPU.
        available: cores.

    Raises:
        UsageError: so many need more threads than there are cores.
    """
    most = max(1, available // threads)
    if threads > available:
        raise UsageError(f"train.threads = {threads}: there are {available} cores", f"--set train.threads={available}, for instance")
    if jobs is not None and jobs > most:
        each = "1 thread" if threads == 1 else f"{threads} threads"
        raise UsageError(
            f"--jobs {jobs}: {jobs} processes of {each} each are more than the {available} core{'s' * (available > 1)} here; "
            "threads that wait for each other make all of them several times slower",
            f"--jobs {most}, or without --jobs",
        )
    count = jobs or min(len(gpus) or most, most)
    return [Share(threads, gpus[number % len(gpus)] if gpus else None) for number in range(count)]


@dataclass
class Worker:
    """A process at work.

    Attributes:
        process: it. share: what it uses. log: where what it prints goes. begin: where in that file its own begins.
    """

    process: subprocess.Popen[bytes]
    share: Share
    log: Path
    begin: int = 0

    def printed(self) -> str:
        """What it has printed, as far as that could be kept."""
        try:
            with open(self.log, "rb") as file:
                file.seek(self.begin)
                return file.read().decode(errors="replace")
        except OSError:
            return ""


@dataclass
class Pool:
    """As many processes as there are shares. Use it in a ``with`` statement: none is left when that ends."""

    shares: list[Share]
    workers: list[Worker] = field(default_factory=list)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self.workers:
            with contextlib.suppress(OSError):
                worker.process.kill()
            worker.process.wait()
            _close(worker)

    def free(self) -> Share | None:
        """A share that nobody uses."""
        used = [worker.share for worker in self.workers]
        for share in self.shares:
            if share in used:
                used.remove(share)
            else:
                return share
        return None

    def start(self, words: Sequence[str], share: Share, log: Path, environment: Mapping[str, str]) -> Worker:
        """Start ``ganlab WORDS``.

        Raises:
            GanlabError: the system does not let it.
        """
        command = [sys.executable, "-m", "ganlab", *words]
        variables = {**os.environ, **share.environment(), **environment, "NO_COLOR": "1"}
        with contextlib.ExitStack() as files:
            try:
                file = files.enter_context(open(log, "ab"))
                output, begin = file.fileno(), file.tell()
            except OSError:  # a full disk: the run may say so itself
                output, begin = subprocess.DEVNULL, 0
            try:
                # A session of its own: Ctrl-C reaches this process only, which then stops all of them once.
                process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=variables, start_new_session=True
                )
            except OSError as error:
                raise GanlabError(f"no process can be started: {error.strerror}", "with --jobs fewer go on side by side") from error
        worker = Worker(process, share, log, begin)
        self.workers.append(worker)
        return worker

    def ended(self) -> list[Worker]:
        """Those that have ended since the last call."""
        found = [worker for worker in self.workers if worker.process.poll() is not None]
        for worker in found:
            self.workers.remove(worker)
            _close(worker)
        return found

    def signal(self, number: int = signal.SIGINT) -> None:
        """Send a signal to all of them: the first SIGINT ends a run after its step, with everything saved; the second at once."""
        for worker in self.workers:
            with contextlib.suppress(OSError):
                worker.process.send_signal(number)


def _close(worker: Worker) -> None:
    """Close the pipe whose end would tell the process that nobody waits for it any more."""
    if worker.process.stdin is not None:
        with contextlib.suppress(OSError):
            worker.process.stdin.close()


def why(worker: Worker) -> str:
    """Why a process has failed, in one line: its error message, or the signal that it was killed by. Empty where it did not fail."""
    code = worker.process.returncode
    if code == 0:
        return ""
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"killed by {name}" + (", as the system does when there is no memory left" if name == "SIGKILL" else "")
    printed = worker.printed()
    _, found, error = printed.rpartition("\nerror: ") if "\nerror: " in printed else printed.rpartition("error: ")
    if not found:
        last = [line for line in printed.splitlines() if line.strip()]
        return f"exit code {code}" + (f": {last[-1].strip()}" if last else "")
    return " ".join(error.partition("\nhint: ")[0].split())
