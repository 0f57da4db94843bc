"""The engine's loop without ``ganlab run`` around it, for benchmarks of what is put around it. Imports torch: not for parents."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ganlab.game.loop import play_step
from ganlab.runs.run import Run
from ganlab.runs.start import open_run
from ganlab.runs.workspace import Workspace
from ganlab.testing import catalogue


def opened(recipe: str, folder: Path, overrides: Sequence[str], data_root: str | None = None) -> Run:
    """A new run whose tricks have been told that it begins; no step has been made."""
    workspace = Workspace(runs=folder, data=Path(data_root) if data_root else None, tell=lambda text: None)
    run = open_run(recipe, catalogue(), [*overrides, "train.device=cpu"], workspace)
    run.game.hooks.before_run()
    return run


def seconds_of(run: Run, count: int, finish: Callable[[int], None] = lambda step: None) -> float:
    """Play the next ``count`` steps in the engine's own loop; what comes after each is ``finish``, in place of the run's own.

    So there are no sheets and checkpoints, and no metrics and hooks unless ``finish`` sees to it.
    """
    begin = time.perf_counter()
    for _ in range(count):
        step = run.game.begin_step()
        play_step(run.game, step)
        finish(step)
    return time.perf_counter() - begin


class NoMetrics:
    """Stands where a run's metrics are, and keeps nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_values, **_named: None


class NoHooks:
    """Stands where a run's hooks are when it has no tricks: nobody answers."""

    def plan_step(self, **_named: Any) -> None:
        """The first answer, of which there is none."""

    def __getattr__(self, name: str) -> Any:
        return lambda **_named: []
