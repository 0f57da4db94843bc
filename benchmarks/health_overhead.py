"""What the trick `health` costs: ``python benchmarks/health_overhead.py [RECIPE ...]``.

Two equal runs side by side in one process, one with the trick and one without; they take turns of 100 steps, so that both meet the
same neighbours on the machine. Printed: the median and the lower quartile of the ratios of their times, and, since that noise is
larger than the cost, the time inside the trick's own hooks as a share of all.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from support.engine_steps import opened, seconds_of
from support.overhead import NO_TRACKER, OBSERVERS

from ganlab.runs.run import Run

BLOCK, BLOCKS = 100, 30
HEALTH = "tricks.health.enabled=false"


def begun(recipe: str, folder: Path, enabled: bool) -> Run:
    """A run of ``BLOCK * BLOCKS`` steps."""
    off = [*NO_TRACKER, *(other for other in OBSERVERS if other != HEALTH or not enabled)]
    return opened(recipe, folder, [*off, f"train.steps={BLOCK * BLOCKS}"])


def timed_hooks(run: Run) -> list[float]:
    """Put a clock around every hook of the trick, the engine's guard included; returns where the seconds add up."""
    spent = [0.0]

    def clocked(function: Any) -> Any:
        def call(*given: Any) -> Any:
            begin = time.perf_counter()
            try:
                return function(*given)
            finally:
                spent[0] += time.perf_counter() - begin

        return call

    for hook in ("before_update", "on_metrics"):
        for implementation in getattr(run.hooks, hook).get_hookimpls():
            if implementation.plugin_name == "health":
                implementation.function = clocked(implementation.function)
    return spent


def block(run: Run) -> float:
    """Seconds of ``BLOCK`` steps, with the hooks after each and metrics at their intervals."""

    def finish(step: int) -> None:
        run.hooks.after_step(run=run, step=step)
        if step % run.recipe.train.log_every == 0:
            run.timetable.log_metrics()

    return seconds_of(run, BLOCK, finish)


def main() -> None:
    for recipe in sys.argv[1:] or ["ring", "mnist_mlp", "mnist_adaptive"]:
        with tempfile.TemporaryDirectory() as folder:
            run, without = begun(recipe, Path(folder), True), begun(recipe, Path(folder), False)
            spent, total, ratios = timed_hooks(run), 0.0, []
            for number in range(BLOCKS):
                pair = [run, without] if number % 2 else [without, run]
                took = {one is run: block(one) for one in pair}
                total += took[True]
                ratios.append(took[True] / took[False])
        quartile = statistics.quantiles(ratios, n=4)[0]
        print(
            f"{recipe}: with / without, median {statistics.median(ratios):.3f} (lower quartile {quartile:.3f}); "
            f"inside its hooks {spent[0] / total:.2%} of {total / BLOCK / BLOCKS * 1e3:.2f} ms a step",
            flush=True,
        )


if __name__ == "__main__":
    main()
