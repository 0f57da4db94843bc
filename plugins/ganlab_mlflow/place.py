"""Where a run is recorded: settings, tracking URIs, the default store, and texts without passwords."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")


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


def tracking_uri(asked: str, runs: Path) -> str:
    """The tracking URI for a folder of runs: ``asked``, else ``MLFLOW_TRACKING_URI``, else the sqlite file ``mlflow.db`` beside it."""
    return asked or os.environ.get("MLFLOW_TRACKING_URI", "") or f"sqlite:///{(runs.resolve().parent / 'mlflow.db').as_posix()}"


def sqlite_file(uri: str) -> Path | None:
    """The file of an sqlite store, or None if ``uri`` is something else.

    >>> sqlite_file("sqlite:///mlflow.db")
    PosixPath('mlflow.db')
    """
    scheme, separator, path = uri.partition(":///")
    return Path(path.partition("?")[0]) if separator and scheme.partition("+")[0] == "sqlite" and path else None


def redacted(text: str) -> str:
    """``text`` without the users and passwords in its URIs.

    >>> redacted("https://me:secret@host/x")
    'https://***@host/x'
    """
    return _PASSWORD.sub("***@", text)
