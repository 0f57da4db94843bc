"""The folders that a run reads and writes, and the objects that watch it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Workspace:
    """The folders that a run reads and writes, and the objects that watch it.

    Attributes:
        runs: the folder of all runs.
        data: the root of the data sets; None is ``GANLAB_DATA``, else the user's cache folder.
        tell: called with one paragraph for each thing that a person must know.
        watchers: objects with run hooks that do not belong to the run, such as a live display; called after its tricks.
        tricks: objects with run hooks that a script passes; they belong to the run and are called after the recipe's tricks.
        sweep: the sweep that a new run belongs to, as ``run.json`` has it under ``set``; empty for a single run.
    """

    runs: Path = Path("runs")
    data: Path | None = None
    tell: Callable[[str], None] | None = None
    watchers: list[object] = field(default_factory=list)
    tricks: list[object] = field(default_factory=list)
    sweep: dict[str, Any] = field(default_factory=dict)

    def data_root(self) -> Path:
        """The folder that data is read from and downloaded into."""
        if self.data is not None:
            return self.data.expanduser()
        if os.environ.get("GANLAB_DATA"):
            return Path(os.environ["GANLAB_DATA"]).expanduser()
        return self.cache_root() / "data"

    def cache_root(self) -> Path:
        """The folder for files that can be made again: ``GANLAB_CACHE``, else the user's cache folder."""
        if os.environ.get("GANLAB_CACHE"):
            return Path(os.environ["GANLAB_CACHE"]).expanduser()
        from platformdirs import user_cache_path

        return user_cache_path("ganlab")
