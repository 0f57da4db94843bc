"""How much does the MLflow tracker slow training? Runs one recipe with and without it, in turns, and compares steps per second.

    python benchmarks/tracker_overhead.py --recipe mnist_adaptive --steps 4000 --rounds 5

Each round has a run with tracking and one without, in alternating order, so that whatever else the machine does hits both. What is
compared is ``training_seconds`` of run.json, which leaves out what comes before the first step and after the last. The first round
also makes the store, which takes MLflow some seconds of computing. Nothing is left behind.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def rate(folder: Path, recipe: str, steps: int, tracked: bool, overrides: list[str]) -> float:
    """Steps per second of one run."""
    runs = folder / "runs"
    known = set(runs.iterdir()) if runs.is_dir() else set()
    sets = [f"train.steps={steps}", f"tracking.enabled={str(tracked).lower()}", *overrides]
    command = [sys.executable, "-m", "ganlab", "run", recipe, "--quiet", "--runs-dir", str(runs)]
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    subprocess.run([*command, *(word for item in sets for word in ("--set", item))], check=True, env=environment, stdout=subprocess.DEVNULL)
    (made,) = set(runs.iterdir()) - known
    info = json.loads((made / "run.json").read_text(encoding="utf-8"))
    assert bool(info.get("mlflow", {}).get("complete")) is tracked, "the tracker did not do what was asked"
    return float(info["counters"]["step"] / info["training_seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="ring", help="name of a shipped recipe, or a TOML file (default: ring)")
    parser.add_argument("--steps", type=int, default=3000, help="of each run (default: 3000)")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of runs (default: 5)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="passed on to both runs")
    options = parser.parse_args()
    with_tracker, without = [], []
    print(f"{options.recipe}, {options.steps} steps, {options.rounds} rounds; steps/s")
    print(f"{'round':>5} {'tracked':>9} {'not':>9} {'ratio':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            pair = {}
            for tracked in (True, False) if number % 2 else (False, True):
                pair[tracked] = rate(Path(folder), options.recipe, options.steps, tracked, options.set)
            with_tracker.append(pair[True])
            without.append(pair[False])
            print(f"{number + 1:>5} {pair[True]:>9.1f} {pair[False]:>9.1f} {pair[True] / pair[False]:>7.3f}", flush=True)
    ratios = [on / off for on, off in zip(with_tracker, without, strict=True)]
    medians = statistics.median(with_tracker), statistics.median(without)
    print(f"{'all':>5} {medians[0]:>9.1f} {medians[1]:>9.1f} {statistics.median(ratios):>7.3f}   (medians)")
    print(f"ratio from {min(ratios):.3f} to {max(ratios):.3f}; of the medians {medians[0] / medians[1]:.3f}")
    print(f"spread of the untracked runs: {(max(without) - min(without)) / medians[1]:.1%}")


if __name__ == "__main__":
    main()
