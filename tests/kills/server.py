"""A warm parent of real `ganlab` processes, and of other Python programs: it has imported everything, and forks a child for each.

A fresh Python needs four seconds for its imports here, a fork some milliseconds; from there on the child is a process like any other,
with the command line's own code, its own files and its own death. One job is one line of JSON on the standard input, one answer
one on the standard output. Started by :class:`Server`, which is the handle on it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import runpy
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
LIMIT = 120.0  # seconds that a child may take
TRACEBACK = 70  # exit code of a child whose command let an exception out


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, or minus a signal's number; what it printed; how long it took."""

    code: int
    text: str
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether it was killed, by SIGKILL."""
        return self.code == -signal.SIGKILL


class Server:
    """The handle on a warm parent. Use it in a ``with`` statement."""

    def __init__(self) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "COLUMNS": "200", "NO_COLOR": "1"}
        # Through a shell that ends at once, so that it is no child of this process: other tests look for children that were left behind.
        command = ["sh", "-c", 'exec 3<&0; "$@" <&3 3<&- &', "sh", sys.executable, str(HERE / "server.py")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.process.wait()  # for the shell
        self.jobs = 0

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.communicate()

    def run(self, folder: Path, *words: str, moment: dict[str, Any] | None = None, **more: Any) -> Ended:
        """`ganlab WORDS` in ``folder``, killed at ``moment`` (see moments.py).

        Args:
            folder: the working folder.
            words: of the command.
            moment: when to kill it; None lets it end.
            more: ``file_size`` and ``memory`` (beyond what it begins with), limits in bytes that the child sets itself; ``limit``, seconds
                after which it is ended; ``environment``, variables; ``constants``, other values of names of modules, by ``module:name``.
        """
        return self._job(folder, words=words, moment=moment, **more)

    def python(self, folder: Path, *words: str, environment: Mapping[str, str]) -> Ended:
        """`python WORDS` in ``folder``: a program's path or ``-m`` and a module, with its own words.

        What ganlab's warm parent has imported of other libraries is there at once; ``ganlab`` and all that begins so are imported anew.
        """
        return self._job(folder, program=words, environment=dict(environment))

    def _job(self, folder: Path, **job: Any) -> Ended:
        """Hand one job to the parent, and wait for its answer."""
        self.jobs += 1
        log = folder / f".log-{os.getpid()}-{self.process.pid}-{self.jobs}"
        job |= {"folder": str(folder), "log": str(log)}
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        text = log.read_text(encoding="utf-8", errors="replace")
        log.unlink()
        return Ended(answer["code"], text, answer["seconds"])


def serve() -> None:
    """Answer jobs until there are no more."""
    warm_up()
    for line in sys.stdin:
        print(json.dumps(carry_out(json.loads(line))), flush=True)


def warm_up() -> None:
    """Import what any run may need. No tensor is differentiated here: autograd would not survive the fork."""
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401
    import PIL.PngImagePlugin  # noqa: F401
    import sklearn.datasets
    import torch

    from ganlab.registry.catalogue import Catalogue

    torch.set_num_threads(1)
    Catalogue.of_installed()
    torch.optim.Adam([torch.zeros(1)])  # imports a thousand modules
    sklearn.datasets.load_digits()


def carry_out(job: dict[str, Any]) -> dict[str, Any]:
    """Fork, wait, and kill where the moment is the parent's to choose: so many seconds after the start or after a sign of the child's."""
    reading, writing = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reading)
        be_the_child(job, writing)
    os.close(writing)
    moment = job.get("moment") or {}
    if "seconds" in moment:
        await_the_moment(reading, moment)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    code = end_of(child, started + job.get("limit", LIMIT))
    os.close(reading)
    return {"code": code, "seconds": time.monotonic() - started}


def await_the_moment(reading: int, moment: dict[str, Any]) -> None:
    """Wait for the child's signs (``after`` of them, each a byte; the end of its life is one too), and then for ``seconds``."""
    for _ in range(moment.get("after", 0)):
        if not os.read(reading, 1):
            return
    end = time.monotonic() + moment["seconds"]
    while (left := end - time.monotonic()) > 0:
        if select.select([reading], [], [], left)[0] and not os.read(reading, 64):
            return


def end_of(child: int, limit: float) -> int:
    """The child's exit code, or minus the signal that ended it; a child that takes too long is ended by SIGTERM."""
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > limit:
            os.kill(child, signal.SIGABRT)
        time.sleep(0.002)


def be_the_child(job: dict[str, Any], sign: int) -> NoReturn:
    """From here on this is `ganlab`."""
    code = TRACEBACK
    try:
        os.chdir(job["folder"])
        log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for old, new in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(old, new)
        os.environ.update(job.get("environment", {}))
        if "program" in job:
            run_program(job["program"])
        import moments

        import ganlab.cli

        for name, value in job.get("constants", {}).items():
            module, _, constant = name.partition(":")
            setattr(importlib.import_module(module), constant, value)
        if job.get("moment"):
            moments.arm(job["moment"], sign)
        if job.get("file_size"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (job["file_size"], job["file_size"]))
        if job.get("memory"):
            limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + job["memory"]
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        sys.argv = ["ganlab", *job["words"]]
        ganlab.cli.main(list(job["words"]))
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else TRACEBACK
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def run_program(words: list[str]) -> NoReturn:
    """From here on this is `python WORDS`."""
    for name in [name for name in sys.modules if name.startswith("ganlab")]:
        del sys.modules[name]
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        sys.path.insert(0, str(Path(words[0]).parent))
        runpy.run_path(words[0], run_name="__main__")
    sys.exit(0)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    serve()
