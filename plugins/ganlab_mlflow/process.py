"""The mirror's process. It waits for an idle core, follows the run, and then sends other runs that are not delivered yet.

Modules that are needed later are imported later, because the imports here compete with the start of the training.

The first line of its standard input has the settings as JSON. The input ends when the run has ended, or when the training process is
killed.
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
from ganlab.commands import STOPPING
from ganlab.redaction import redacted
from ganlab_mlflow.place import Settings
from ganlab_mlflow.state import FILE, State

LOCK = ".mlflow.lock"  # in the run's folder
# MLflow's own retries would block for minutes; the mirror tries again when it next reads the folder.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # MLflow sets the level of its loggers when it is imported
    "GIT_PYTHON_REFRESH": "quiet",
}
DEFAULTS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "8", "OMP_NUM_THREADS": "1"}


def main(settings: Settings) -> int:
    """Mirror a run. The exit code is 0 if everything has been delivered, else 1."""
    for name in STOPPING:  # the training process handles these, and then ends the mirror
        signal.signal(getattr(signal, name), signal.SIG_IGN)
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
    """Send the runs beside this one that are not delivered, until ``ended`` is set: then this run comes first."""
    from ganlab_mlflow import describe
    from ganlab_mlflow.mirror import Mirror

    for run in left_behind(Path(settings.run), settings.uri):
        if ended is not None and ended.is_set():
            return
        with contextlib.suppress(Timeout, OSError, ValueError), the_only_one(run, 0):
            tracking = describe.read_recipe(run).get("tracking", {})
            own = {key: tracking[key] for key in ("images", "checkpoints", "model") if key in tracking}
            Mirror(replace(settings, run=str(run), experiment=State.load(run).experiment, **own)).attempt(last=True)


def left_behind(run: Path, uri: str) -> list[Path]:
    """The runs beside ``run`` that are over, have the same tracking URI, and have not been delivered completely."""
    from ganlab.commands import find_run

    runs = []
    for path in sorted(run.parent.iterdir()):
        if path != run and (path / FILE).is_file():
            state = State.load(path)
            wanted = state.uri == redacted(uri) and state.experiment and (state.model_missing or not state.complete)
            if wanted and ganlab.is_own_run(path):
                record = find_run(run.parent, str(path))
                runs += [] if record.locked or record.is_copy or record.status in ("running", "closing") else [path]
    return runs


@contextlib.contextmanager
def the_only_one(run: Path, patience: float = -1) -> Iterator[None]:
    """Hold the lock for sending a run: two processes would send pictures twice. The mirror of a killed run may still hold it.

    Args:
        run: its folder.
        patience: seconds to wait for another process; negative: until it ends, which takes at most ``Settings.after_the_end``.

    Raises:
        filelock.Timeout: another process still holds the lock.
    """
    lock = FileLock(run / LOCK)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise
    except OSError:
        pass  # the folder is gone or cannot be written: delivery reports that, or does not need it
    try:
        yield
    finally:
        lock.release()


def quieten() -> None:
    """Set up this process for MLflow: no retries, no telemetry, no log output."""
    os.environ.update(ENVIRONMENT)
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    warnings.simplefilter("ignore")
    for name in ("mlflow", "alembic", "sqlalchemy", "urllib3", "git"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def await_room(head_start: float, ended: threading.Event) -> None:
    """Wait until a core is idle, ``head_start`` seconds have passed, or the run is over."""
    end = time.monotonic() + head_start
    ended.wait(min(1.0, head_start))  # the load while the first step is prepared is not that of the training
    psutil.cpu_percent()  # the first call only starts the measurement
    while (left := end - time.monotonic()) > 0 and not ended.wait(min(2.0, left)):
        if (1 - psutil.cpu_percent() / 100) * (psutil.cpu_count() or 1) >= 1:
            return


def _await_the_end(ended: threading.Event, patience: float) -> None:
    sys.stdin.readline()
    ended.set()
    time.sleep(patience)
    os._exit(1)
