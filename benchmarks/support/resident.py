"""How much memory a run has resident while it goes on: is it flat, and how does its peak compare with the tutorial's loop?"""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from support import children
from support.busy import complaints
from support.contestants import CONTESTANTS, Outcome, Unable, measure, run_ganlab
from support.setting import Setting
from support.tables import MIB, TUTORIAL, table

EVERY = 1.0  # seconds between two looks
FEWEST = 50  # samples; with fewer, the start of the process and its last evaluation are too much of it
SHARE, LEAST = 0.01, 4 * MIB  # growth that still counts as flat: of the level, or of what an allocator keeps by chance
RULE = (
    "Growth is the median of the last fifth of the samples, less that of the second fifth; memory counts as flat if that is less than "
    f"{SHARE:.0%} of the level or {LEAST // MIB} MiB."
)
TUTORIALS_STEPS = 1000  # at the most: its memory is that of its first epoch


@dataclass
class Samples:
    """The resident memory of a process, looked at in a thread while it lives."""

    every: float = EVERY
    bytes: list[int] = field(default_factory=list)

    def watch(self, pid: int) -> None:
        """Begin to look."""
        threading.Thread(target=self._look, args=(psutil.Process(pid),), daemon=True).start()

    def _look(self, process: psutil.Process) -> None:
        while True:
            try:
                self.bytes.append(process.memory_info().rss)
            except psutil.Error:
                return
            time.sleep(self.every)


@dataclass(frozen=True)
class Growth:
    """How memory went on after its beginning: ``level`` of its second fifth, ``grown`` until its last, in bytes."""

    level: float
    grown: float

    @property
    def flat(self) -> bool:
        """Whether it is no more than noise."""
        return self.grown < max(SHARE * self.level, LEAST)


def growth(samples: Sequence[int]) -> Growth:
    """Of samples at equal intervals, from the start of a process to its end; NaN of fewer than :data:`FEWEST`."""
    fifth = len(samples) // 5
    if len(samples) < FEWEST:
        return Growth(math.nan, math.nan)
    level = statistics.median(samples[fifth : 2 * fifth])
    return Growth(level, statistics.median(samples[-fifth:]) - level)


def memory(
    setting: Setting, steps: int, folder: Path, *, policy: str, tell: Callable[[str], None], every: float = EVERY, evaluate: bool = True
) -> list[str]:
    """Train for ``steps`` steps as ``ganlab run`` does, and then, for comparison, the tutorial's loop and a run without evaluations."""
    samples = Samples(every)
    environment = children.environment(setting.threads, policy)
    whole = run_ganlab(setting.with_(steps=steps), folder, environment, evaluate=evaluate, watch=samples.watch)
    tell(f"{steps:,} steps of ganlab run: {whole.ended.peak / MIB:,.0f} MiB at the most")
    fewer = setting.with_(steps=min(steps, TUTORIALS_STEPS))
    without = run_ganlab(fewer, folder, environment)
    (tutorial,) = (one for one in CONTESTANTS if one.key == TUTORIAL)
    try:
        loop: Outcome | None = measure(tutorial, fewer, folder, policy)
    except Unable as error:
        loop = None
        tell(f"{tutorial.title}: {error}")
    images = setting.samples * math.prod(setting.shape)  # a byte a pixel
    return memory_lines(setting, steps, growth(samples.bytes), whole, without, loop, images)


def memory_lines(
    setting: Setting, steps: int, found: Growth, whole: Outcome, without: Outcome, loop: Outcome | None, images: int
) -> list[str]:
    """What was found, in words and as a table."""
    flat = "too few samples to say" if math.isnan(found.grown) else "flat" if found.flat else "**not flat**"
    rows = [["`ganlab run`, evaluations included", f"{whole.ended.peak / MIB:,.0f}", "; ".join(complaints([], [whole.ended.seen]))]]
    rows.append(["`ganlab run` without evaluations", f"{without.ended.peak / MIB:,.0f}", ""])
    if loop is not None:
        bound = loop.ended.peak + images
        rows.append(["the tutorial's loop", f"{loop.ended.peak / MIB:,.0f}", ""])
        words = "kept" if whole.ended.peak <= bound else "kept without evaluations" if without.ended.peak <= bound else "**not kept**"
        rows.append(["the tutorial's loop and the resident data", f"{bound / MIB:,.0f}", words])
    grown = "" if math.isnan(found.grown) else f": {found.grown / MIB:+.1f} MiB on {found.level / MIB:,.0f} MiB"
    return [
        f"`{setting.recipe}`, {setting.threads} thread(s): over {steps:,} steps memory is {flat}{grown}. {RULE}",
        "",
        *table(("", "peak MiB", "remarks"), rows),
    ]
