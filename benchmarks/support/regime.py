"""What limits a step: its arithmetic, the memory's bandwidth, or neither, which is overhead. A roofline in two lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from support.products import Work

LEAST = 1 / 3  # of a step's time that arithmetic or memory must account for
RULE = (
    "`arithmetic`: the step's matrix products at this machine's best rate of a large product take longer than moving their operands and "
    "Adam's traffic at its best rate of copying; `memory`: the other way round; `overhead`: the longer of the two is less than a third of "
    "the step."
)


@dataclass(frozen=True)
class Peaks:
    """What the machine can do at its best, with as many threads as are measured: flops and bytes in a second."""

    flops: float
    bytes: float


def regime(seconds: float, work: Work, peaks: Peaks) -> tuple[Literal["overhead", "memory", "arithmetic"], float]:
    """What limits a step that takes ``seconds``, and the share of its time that the limit accounts for."""
    arithmetic, memory = work.flops / peaks.flops, work.bytes / peaks.bytes
    share = max(arithmetic, memory) / seconds
    if share < LEAST:
        return "overhead", share
    return ("arithmetic" if arithmetic >= memory else "memory"), share
