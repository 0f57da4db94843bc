"""Child processes that run ``ganlab`` side by side, each with a share of the machine; all of them stop together. Imports no torch."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ganlab.child_process import python_command, python_environment
from ganlab.errors import GanlabError
from ganlab.sweeps.membership import FAILURE_FILE

#: Each library with a thread pool of its own reads one of these. Some prefer their own variable to OpenMP's.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True)
class Share:
    """The part of the machine that one child process may use.

    Attributes:
        threads: on the CPU. gpu: the value of ``CUDA_VISIBLE_DEVICES``; None leaves the variable as it is.
    """

    threads: int
    gpu: str | None = None

    def environment(self) -> dict[str, str]:
        """The environment variables that limit a process to this share."""
        threads = dict.fromkeys(THREADS, str(self.threads))
        return threads | ({"CUDA_VISIBLE_DEVICES": self.gpu} if self.gpu is not None else {})


@dataclass
class Worker:
    """A child process.

    Attributes:
        process: the process. share: what it may use.
        log: the file with its output. log_start: where its own output begins there, in bytes; a process before it may have used the file.
        failure: the file into which it writes the message of the error that ends it.
    """

    process: subprocess.Popen[bytes]
    share: Share
    log: Path
    log_start: int
    failure: Path

    def output(self) -> str:
        """What the process has printed; empty where the log cannot be read."""
        with contextlib.suppress(OSError), open(self.log, "rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace")
        return ""

    def failure_reason(self) -> str:
        """Why the process failed, in one line: its error message, the signal that killed it, or the last line that it printed.

        Empty where it succeeded.
        """
        code = self.process.returncode
        if code == 0:
            return ""
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            return f"killed by {name}" + (", as the system does when there is no memory left" if name == "SIGKILL" else "")
        with contextlib.suppress(OSError):
            return " ".join(self.failure.read_text(encoding="utf-8").split())
        lines = self.output().strip().splitlines()
        return f"exit code {code}" + (f": {lines[-1].strip()}" if lines else "")

    def close_pipe(self) -> None:
        """Close the pipe to its standard input, by which it notices that this process has exited."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()


@dataclass
class Pool:
    """At most one child process for each share. It is a context manager, which kills those that are left when it exits."""

    shares: list[Share]
    workers: list[Worker] = field(default_factory=list)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self.workers:
            with contextlib.suppress(OSError):
                worker.process.kill()
            worker.process.wait()
            worker.close_pipe()

    def free_share(self) -> Share | None:
        """A share that no process uses; None where all are in use."""
        used = [worker.share for worker in self.workers]
        for share in self.shares:
            if share in used:
                used.remove(share)
            else:
                return share
        return None

    def start(self, arguments: Sequence[str], share: Share, log: Path, environment: Mapping[str, str]) -> Worker:
        """Start ``ganlab ARGUMENTS`` with the variables of ``environment`` beside those of this process and of the share.

        Raises:
            GanlabError: the system cannot start a process.
        """
        command = python_command("-m", "ganlab", *arguments)
        failure = log.with_suffix(".error")
        with contextlib.suppress(OSError):
            failure.unlink(missing_ok=True)
        variables = {**python_environment(), **share.environment(), **environment, FAILURE_FILE: str(failure), "NO_COLOR": "1"}
        with contextlib.ExitStack() as files:
            try:
                file = files.enter_context(open(log, "ab"))
                output, log_start = file.fileno(), file.tell()
            except OSError:  # a full disk, for instance: the run may fail with a clear message of its own
                output, log_start = subprocess.DEVNULL, 0
            try:
                # A session of its own: Ctrl-C reaches this process only, which then stops each child process once.
                process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=variables, start_new_session=True
                )
            except OSError as error:
                raise GanlabError(f"no process can be started: {error.strerror}", "a smaller --jobs starts fewer of them") from error
        worker = Worker(process, share, log, log_start, failure)
        self.workers.append(worker)
        return worker

    def collect_ended(self) -> list[Worker]:
        """Remove and return the workers whose processes have ended since the last call."""
        ended = [worker for worker in self.workers if worker.process.poll() is not None]
        for worker in ended:
            self.workers.remove(worker)
            worker.close_pipe()
        return ended

    def signal(self, number: int = signal.SIGINT) -> None:
        """Send a signal to all processes. The first SIGINT ends a run after its step, with everything saved; the second at once."""
        for worker in self.workers:
            with contextlib.suppress(OSError):
                worker.process.send_signal(number)
