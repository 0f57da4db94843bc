"""How OpenMP's threads wait in what is measured."""

from __future__ import annotations

from ganlab.cli.waiting import WAITS

#: In words, and what the environment of every contestant says of it.
POLICIES: dict[str, tuple[str, dict[str, str]]] = {
    "brief": ("Threads that wait spin for about a microsecond, then sleep: ganlab's own way, for all.", WAITS),
    "passive": ("Threads that wait sleep (OMP_WAIT_POLICY=PASSIVE for all).", {"OMP_WAIT_POLICY": "PASSIVE"}),
    "active": ("Threads that wait spin (OMP_WAIT_POLICY=ACTIVE for all).", {"OMP_WAIT_POLICY": "ACTIVE"}),
    "own": ("Threads wait as each contestant lets them when nothing is said (in ganlab a microsecond, elsewhere OpenMP's default).", {}),
}
