"""The process that the mirror lives in: light enough to do no harm while it waits for its turn.

What it imports here it imports while the training begins, so all that is needed only later is imported later.

It is told what to do in one line of JSON on its standard input, and that the run has ended by another line, or by the end of the
input, which also comes when the training process is killed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

import ganlab
from ganlab_mlflow.place import Settings, redacted
from ganlab_mlflow.state import FILE, State

LOCK = ".mlflow.lock"  # in the run's folder
# MLflow's own retries would block for minutes; here the next look at the folder is the retry.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # it sets its loggers' level when it is imported
    "GIT_PYTHON_REFRESH": "quiet",
}
DEFAULTS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "8", "OMP_NUM_THREADS": "1"}


def main(settings: Settings) -> int:
    """Mirror a run. The exit code is 0 when everything has been delivered, else 1."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the training process answers these, and then ends the mirror
        signal.signal(number, signal.SIG_IGN)
    ended = threading.Event()
    threading.Thread(target=_await_the_end, args=(ended, settings.after_the_end), daemon=True).start()
    await_room(settings.head_start, ended)
    quieten()
    from ganlab_mlflow.mirror import Mirror

    with the_only_one(Path(settings.run)):
        done = Mirror(settings).follow(ended, lambda: catch_up(settings, ended))
    if done:
        catch_up(settings)
    return 0 if done else 1


def catch_up(settings: Settings, ended: threading.Event | None = None) -> None:
    """Send what runs beside this one could not, now that the tracker answers; until ``ended`` is set, for then this run comes first."""
    from ganlab_mlflow import describe
    from ganlab_mlflow.mirror import Mirror

    for run in left_behind(Path(settings.run), settings.uri):
        if ended is not None and ended.is_set():
            return
        with contextlib.suppress(Timeout, OSError, ValueError), the_only_one(run, 0):
            asked = describe.read_recipe(run).get("tracking", {})
            own = {key: asked[key] for key in ("images", "checkpoints", "model") if key in asked}
            Mirror(replace(settings, run=str(run), experiment=State.load(run).experiment, **own)).attempt(last=True)


def left_behind(run: Path, uri: str) -> list[Path]:
    """The runs beside ``run`` that are over, and were to go to the same place, but have not been delivered whole."""
    found = []
    for path in sorted(run.parent.iterdir()):
        if path != run and (path / FILE).is_file():
            state = State.load(path)
            wanted = state.uri == redacted(uri) and state.experiment and (state.model_missing or not state.complete)
            if wanted and is_over(path) and ganlab.is_own_run(path):
                found.append(path)
    return found


def is_over(run: Path) -> bool:
    """Whether nobody writes a run any more."""
    try:
        with FileLock(run / ".lock", timeout=0):
            return True
    except (Timeout, OSError):
        return False


@contextlib.contextmanager
def the_only_one(run: Path, patience: float = -1) -> Iterator[None]:
    """Inside, no other process sends this run: two at once would send pictures twice. That of a run that was killed may be at it still.

    Args:
        run: its folder.
        patience: seconds to wait for another; less than 0 is as long as it takes, which is ``Settings.after_the_end`` at most.

    Raises:
        filelock.Timeout: another one is at it.
    """
    lock = FileLock(run / LOCK)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise
    except OSError:
        pass  # the folder is gone or may not be written: delivery says so itself, or needs nothing there
    try:
        yield
    finally:
        lock.release()


def quieten() -> None:
    """Set up this process for MLflow: few retries, no telemetry, no chatter."""
    os.environ.update(ENVIRONMENT)
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    warnings.simplefilter("ignore")
    for name in ("mlflow", "alembic", "sqlalchemy", "urllib3", "git"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def await_room(head_start: float, ended: threading.Event) -> None:
    """Leave the machine to the training until a core is idle, ``head_start`` seconds have passed, or the run is over."""
    end = time.monotonic() + head_start
    ended.wait(min(1.0, head_start))  # the first step is being prepared, which says nothing about those to come
    psutil.cpu_percent()  # begins to count
    while (left := end - time.monotonic()) > 0 and not ended.wait(min(2.0, left)):
        if (1 - psutil.cpu_percent() / 100) * (psutil.cpu_count() or 1) >= 1:
            return


def _await_the_end(ended: threading.Event, patience: float) -> None:
    sys.stdin.readline()
    ended.set()
    time.sleep(patience)
    os._exit(1)
