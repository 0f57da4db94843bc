"""How OpenMP's threads wait in what is measured."""

from __future__ import annotations

from ganlab.cli.process import WAIT_SETTINGS

#: In words, and what the environment of every contestant says of it.
POLICIES: dict[str, tuple[str, dict[str, str]]] = {
    "brief": (
        "Threads that wait spin for up to a tenth of a millisecond, then sleep, as those of the `ganlab` command do: for all.",
        WAIT_SETTINGS,
    ),
    "passive": ("Threads that wait sleep (OMP_WAIT_POLICY=PASSIVE for all).", {"OMP_WAIT_POLICY": "PASSIVE"}),
    "active": ("Threads that wait spin (OMP_WAIT_POLICY=ACTIVE for all).", {"OMP_WAIT_POLICY": "ACTIVE"}),
    "own": (
        "Threads wait as each contestant lets them when nothing is said (ganlab's spin briefly, others' by OpenMP's default).",
        {},
    ),
}
