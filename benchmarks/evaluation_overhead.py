"""What the evaluations of runs cost: ``python benchmarks/evaluation_overhead.py RUN_FOLDER ...``.

Reads what the runs have written down themselves: the time of each evaluation stands in ``system.jsonl``, and ``training_seconds`` of
``run.json`` leaves evaluations out, so that their ratio is the share by which they lengthen training. Runs of one recipe are one row.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path


def seconds(run: Path, which: str) -> list[float]:
    """What each evaluation of a run took: ``which`` is ``"quick"`` or ``"final"``."""
    lines = map(json.loads, (run / "system.jsonl").read_text(encoding="utf-8").splitlines())
    return [
        line["metrics"][f"speed/{which}_evaluation_seconds"] for line in lines if f"speed/{which}_evaluation_seconds" in line["metrics"]
    ]


def main() -> None:
    runs: dict[str, list[Path]] = {}
    for name in sys.argv[1:] or sys.exit(__doc__):
        info = json.loads((Path(name) / "run.json").read_text(encoding="utf-8"))
        if info["status"] == "finished" and seconds(Path(name), "quick"):
            runs.setdefault(f"{info['recipe']}, {info['total_steps']:,} steps", []).append(Path(name))
    print(f"{'recipe':<46} {'runs':>4} {'training':>9} {'quick ones':>18} {'slower by':>9} {'at the end':>10}")
    for recipe, folders in sorted(runs.items()):
        training = [json.loads((folder / "run.json").read_text(encoding="utf-8"))["training_seconds"] for folder in folders]
        quick = [seconds(folder, "quick") for folder in folders]
        share = statistics.median(sum(found) / spent for found, spent in zip(quick, training, strict=True))
        each = statistics.median(value for found in quick for value in found)
        final = statistics.median(sum(seconds(folder, "final")) for folder in folders)
        count = statistics.median(map(len, quick))
        row = f"{recipe:<46} {len(folders):>4} {statistics.median(training):>7.0f} s {count:>4.0f} of {each:>6.2f} s each"
        print(f"{row} {share:>8.1%} {final:>8.1f} s")


if __name__ == "__main__":
    main()
