"""Where a run finds its data and leaves its folder, and who is told about it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Workspace:
    """Where a run finds and leaves things, and whom it tells.

    Attributes:
        runs: the folder of all runs.
        data: the root of the data sets; None is ``GANLAB_DATA``, else the user's cache folder.
        tell: called with one clear paragraph for each thing a person must know.
        watchers: objects with run hooks that are no part of the run, such as a live display; called after its tricks.
        tricks: objects with run hooks that a script brings: part of the run, and called after the recipe's tricks.
        sweep: of which sweep a new run is a part, as its ``run.json`` says under ``set``; empty for a run of its own.
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
        """The folder for what can be made again: ``GANLAB_CACHE``, else the user's cache folder."""
        if os.environ.get("GANLAB_CACHE"):
            return Path(os.environ["GANLAB_CACHE"]).expanduser()
        from platformdirs import user_cache_path

        return user_cache_path("ganlab")
