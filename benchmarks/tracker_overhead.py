"""How much does the MLflow tracker slow training? Runs one recipe with and without it, in turns, and compares steps per second.

    python benchmarks/tracker_overhead.py --recipe mnist_adaptive --steps 4000 --rounds 5

Each round has a run with tracking and one without, in alternating order, so that whatever else the machine does hits both. What is
compared is ``training_seconds`` of run.json, which leaves out what comes before the first step and after the last. Nothing is left
behind.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

from support.busy import spread
from support.contestants import Contestant
from support.overhead import NO_TRACKER
from support.rounds import race
from support.setting import settle
from support.tables import number, table

TRACKED = Contestant("tracked", "tracked", quiet=True)
NOT = Contestant("not", "not tracked", overrides=NO_TRACKER, quiet=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="ring", help="name of a shipped recipe, or a TOML file (default: ring)")
    parser.add_argument("--steps", type=int, default=3000, help="of each run (default: 3000)")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of runs (default: 5)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="(default: one a core)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="passed on to both runs")
    options = parser.parse_args()
    setting = settle(options.recipe, options.set).with_(threads=options.threads)
    print(f"{options.recipe}, {options.steps} steps, {options.rounds} rounds", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        found = race(setting, [TRACKED, NOT], options.rounds, Path(folder), steps=options.steps, tell=lambda text: print(text, flush=True))
    rows = [
        [one.title, number(statistics.median(rates)) if (rates := found.rates(one.key)) else "-", "; ".join(found.remarks(one.key))]
        for one in found.contestants
    ]
    print("\n".join(table(("", "steps/s", "remarks"), rows)))
    ratios = [on / off for on, off in zip(found.rates("tracked"), found.rates("not"), strict=False)]
    if ratios:
        print(f"ratio {statistics.median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f}")
        print(f"spread of the untracked runs: {spread(found.rates('not')):.1%}")


if __name__ == "__main__":
    main()
