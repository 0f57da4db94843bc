"""How OpenMP's threads wait for each other: a moment awake, then asleep.

Threads that stay awake make training several times slower as soon as anything else runs on the machine; threads that sleep at once take
up to a tenth longer where nothing does, for a small network's step has dozens of places to meet. OpenMP reads this when torch loads it.
"""

from __future__ import annotations

import os

#: 100 rounds of GNU's OpenMP, which PyTorch brings on Linux, are about a microsecond; other OpenMPs know the first name alone.
WAITS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "100"}


def wait_briefly() -> None:
    """Let this process and its children wait so, unless the environment says how they are to wait. Before torch is imported."""
    if not os.environ.keys() & WAITS.keys():
        os.environ.update(WAITS)
