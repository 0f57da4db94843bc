"""Where a run is recorded: settings, tracking URIs, and the default store."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ganlab.redaction import redacted as redacted
from ganlab.redaction import remember_secrets

PATIENCE = 120.0  # seconds that another process may take to open a store


@dataclass(frozen=True)
class Settings:
    """The settings of a mirror process.

    Attributes:
        run: the run's folder.
        uri: the tracking URI.
        experiment, images, checkpoints, model: options of :class:`ganlab_mlflow.tracker.MlflowTracker`.
        head_start: seconds for which the mirror waits at first if no core is idle.
        after_the_end: seconds after the end of the run in which the mirror must be done.
    """

    run: str
    uri: str
    experiment: str
    images: bool = True
    checkpoints: str = "last"
    head_start: float = 0.0
    after_the_end: float = 300.0
    model: bool = True

    def __post_init__(self) -> None:
        remember_secrets(self.uri)


def tracking_uri(asked: str, runs: Path) -> str:
    """The tracking URI for a folder of runs: ``asked``, else ``MLFLOW_TRACKING_URI``, else the sqlite file ``mlflow.db`` beside it."""
    uri = asked or os.environ.get("MLFLOW_TRACKING_URI", "") or f"sqlite:///{(runs.resolve().parent / 'mlflow.db').as_posix()}"
    remember_secrets(uri)
    return uri


def sqlite_file(uri: str) -> Path | None:
    """The file of an sqlite store, or None if ``uri`` is something else.

    >>> sqlite_file("sqlite:///mlflow.db")
    PosixPath('mlflow.db')
    """
    scheme, separator, path = uri.partition(":///")
    return Path(path.partition("?")[0]) if separator and scheme.partition("+")[0] == "sqlite" and path else None


def artifacts_of(store: Path) -> Path:
    """The folder for the artifacts of an sqlite store, beside it."""
    return store.resolve().parent / "mlartifacts"


@contextlib.contextmanager
def opening(uri: str, patience: float | None = None) -> Iterator[None]:
    """Let only one process at a time open an sqlite store: the first creates or migrates its tables, and a second would find half of them.

    Raises:
        filelock.Timeout: another process takes longer than ``patience`` seconds for it; None: PATIENCE.
    """
    store = sqlite_file(uri)
    if store is None:
        yield
        return
    from filelock import FileLock

    folder = artifacts_of(store)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock", timeout=PATIENCE if patience is None else patience):
        yield


def in_any_folder(uri: str) -> str:
    """``uri`` for a process with another working folder: the file of an sqlite store gets an absolute path.

    >>> in_any_folder("sqlite:////data/mlflow.db?timeout=5"), in_any_folder("http://host:5000")
    ('sqlite:////data/mlflow.db?timeout=5', 'http://host:5000')
    """
    file = sqlite_file(uri)
    if file is None:
        return uri
    scheme, _, rest = uri.partition(":///")
    return f"{scheme}:///{file.resolve().as_posix()}{rest.removeprefix(rest.partition('?')[0])}"
