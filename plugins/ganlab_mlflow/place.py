"""Where a run is recorded: settings, tracking URIs, the default store, and texts without passwords."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True)
class Settings:
    """What a mirror is told: the run's folder, where to, the options of :class:`ganlab_mlflow.tracker.MlflowTracker`, how many seconds
    it leaves to the training at first where no core is idle, and after how many seconds it stops in any case once the run is over.
    """

    run: str
    uri: str
    experiment: str
    images: bool = True
    checkpoints: str = "last"
    head_start: float = 0.0
    after_the_end: float = 300.0
    model: bool = True


def tracking_uri(asked: str, run: Path) -> str:
    """The tracking URI for a run's folder: as asked, else ``MLFLOW_TRACKING_URI``, else a store beside the folder of all runs."""
    return asked or os.environ.get("MLFLOW_TRACKING_URI", "") or default_store(run.resolve().parent)


def default_store(runs: Path) -> str:
    """The store for the runs in a folder: the sqlite file ``mlflow.db`` beside it."""
    return f"sqlite:///{(runs.resolve().parent / 'mlflow.db').as_posix()}"


def sqlite_file(uri: str) -> Path | None:
    """The file of an sqlite store, or None where ``uri`` is something else.

    >>> sqlite_file("sqlite:///mlflow.db")
    PosixPath('mlflow.db')
    """
    scheme, separator, path = uri.partition(":///")
    return Path(path.partition("?")[0]) if separator and scheme.partition("+")[0] == "sqlite" and path else None


def redacted(text: str) -> str:
    """``text`` with user and password taken out of its URIs.

    >>> redacted("https://me:secret@host/x")
    'https://***@host/x'
    """
    return _PASSWORD.sub("***@", text)
