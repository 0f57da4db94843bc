"""Kill many runs, resume them, and print a table: ``python tests/kills/many.py --kills 200``.

Goes on until there have been so many kills and so many runs that ended, after them, as one that was never stopped.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from cases import cases
from plan import Bench, Outcome, sample, summary, table
from server import Server


def main() -> int:
    """Exit code 0 when every run ended exactly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="at least so many kills, and so many exact resumes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", action="store_true", help="leave the folder of all runs behind")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    outcomes: list[Outcome] = []
    begun = time.monotonic()
    with Server() as server:
        bench = Bench(folder, server)
        for number, (case, kinds) in enumerate(sample(cases(), 10 * given.kills, given.seed)):
            outcome = bench.carry_out(case, kinds, random.Random(f"{given.seed} {number}"))
            outcomes.append(outcome)
            if outcome.troubles:
                print(f"{case.name}: killed {', '.join(kinds)}:", *outcome.troubles, sep="\n  ", file=sys.stderr, flush=True)
            sums = summary(outcomes)
            if min(sums["kills"], sums["runs"] - sums["begun anew"]) >= given.kills:
                break
            if number % 10 == 9:
                print(f"{time.monotonic() - begun:.0f} s: {sums}", file=sys.stderr, flush=True)
    print(table(outcomes), "\n", ", ".join(f"{name}: {count}" for name, count in summary(outcomes).items()), sep="\n")
    if not given.keep:
        shutil.rmtree(folder)
    return 1 if summary(outcomes)["troubles"] else 0


if __name__ == "__main__":
    sys.exit(main())
