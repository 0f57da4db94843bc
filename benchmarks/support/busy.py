"""Is anything else at work on the machine? Asked before and during each measurement, and of the spread between rounds."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

MOST_OTHERS = 0.05  # share of all cores that others may take before or during a measurement
MOST_LOAD = 0.25  # load average over the last minute, an idle core's share, before anything of ours has begun
MOST_SPREAD = 0.10  # of the rounds: (largest - smallest) / median
LOOK = 0.5  # seconds, before each measurement


@dataclass(frozen=True)
class Seen:
    """What others did around one measurement: shares of all cores, from 0 to 1."""

    before: float
    during: float


def working_seconds() -> float:
    """The seconds that all cores together have worked since the machine was started, for whomever; a hypervisor's theft included."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # they stand under user and nice, too
    return float(sum(times) - idle - guests)


def share_of_others(worked: float, ours: float, seconds: float, cores: int) -> float:
    """How much of all cores others have taken.

    Args:
        worked: seconds that all cores have worked. ours: those of the measured processes and of our own.
        seconds: by the clock. cores: how many there are.
    """
    return min(1.0, max(0.0, (worked - ours) / (seconds * cores)))


def look_around(seconds: float = LOOK) -> float:
    """The share of all cores that others take while we do nothing."""
    worked, own, began = working_seconds(), time.process_time(), time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    return share_of_others(working_seconds() - worked, time.process_time() - own, passed, os.cpu_count() or 1)


def spread(rates: Sequence[float]) -> float:
    """(largest - smallest) / median; 0 of fewer than two."""
    return (max(rates) - min(rates)) / statistics.median(rates) if len(rates) > 1 else 0.0


def complaints(rates: Sequence[float], seen: Sequence[Seen]) -> list[str]:
    """Why the measurements of one contestant are not to be trusted, in words; none where they are."""
    found = []
    before, during = (max((getattr(one, when) for one in seen), default=0.0) for when in ("before", "during"))
    if max(before, during) > MOST_OTHERS:
        found.append(f"others took up to {before:.0%} of the cores before and {during:.0%} during it")
    if spread(rates) > MOST_SPREAD:
        found.append(f"rounds differ by {spread(rates):.0%}")
    return found


def load_complaint(load: float, cores: int) -> str:
    """What is wrong with a load average of the last minute, before anything of ours has begun; empty where nothing is."""
    return f"load average {load:.1f} on {cores} cores before it began" if load > MOST_LOAD * cores else ""


def load_average() -> float:
    """Of the last minute."""
    return psutil.getloadavg()[0]
