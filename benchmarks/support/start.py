"""From a command to the first step: ``ganlab run``, beside a bare script that imports torch and loads the data."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from support import children
from support.busy import Seen, complaints
from support.contestants import Unable, run_ganlab
from support.rounds import order
from support.setting import Setting
from support.tables import number, table


def bare_start(setting: Setting, folder: Path, policy: str) -> tuple[float, Seen]:
    """Seconds from the start of a bare script to the moment when it could begin to train.

    Raises:
        Unable: it failed.
    """
    command = [sys.executable, "-m", "loops.bare_start", str(setting.save(folder / "setting.json"))]
    ended = children.run(command, children.environment(setting.threads, policy))
    try:
        return ended.told()["ready"] - ended.began, ended.seen
    except ValueError as error:
        raise Unable(f"failed: {error}") from None


def ganlab_start(setting: Setting, folder: Path, policy: str) -> tuple[float, Seen]:
    """Seconds from the start of ``ganlab run`` to the line of metrics that its first step writes: the step itself included.

    Raises:
        Unable: it failed.
    """
    runs = folder / "runs"
    known = set(runs.iterdir()) if runs.is_dir() else set()
    environment = children.environment(setting.threads, policy)
    outcome = run_ganlab(setting.with_(steps=1), folder, environment, ("train.log_every=1",))
    (made,) = (path for path in set(runs.iterdir()) - known if (path / "metrics.jsonl").is_file())
    first = json.loads((made / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[0])
    return first["time"] - outcome.ended.began, outcome.ended.seen


STARTS: dict[str, Callable[[Setting, Path, str], tuple[float, Seen]]] = {
    "a bare script: `import torch`, the data": bare_start,
    "`ganlab run`, to the end of its first step": ganlab_start,
}


def start(setting: Setting, rounds: int, folder: Path, *, policy: str, tell: Callable[[str], None]) -> list[str]:
    """The table of both, after a first round that only warms the file cache up."""
    taken: dict[str, list[tuple[float, Seen]]] = {name: [] for name in STARTS}
    for turn in range(rounds + 1):
        for name in order(list(STARTS), turn):
            seconds, seen = STARTS[name](setting, folder, policy)
            tell(f"{name}: {seconds:.2f} s{'' if turn else ' (not counted)'}")
            if turn:
                taken[name].append((seconds, seen))
    return start_table(setting, taken)


def start_table(setting: Setting, taken: dict[str, list[tuple[float, Seen]]]) -> list[str]:
    """What was measured, and its ratio."""
    bare = [seconds for seconds, _ in next(iter(taken.values()))]
    rows = []
    for name, measured in taken.items():
        seconds = [value for value, _ in measured]
        ratio = statistics.median(mine / theirs for mine, theirs in zip(seconds, bare, strict=True))
        remarks = "; ".join(complaints(seconds, [seen for _, seen in measured]))
        rows.append([name, number(statistics.median(seconds)), _range(seconds), number(ratio), remarks])
    return [f"`{setting.recipe}`, {setting.threads} thread(s).", "", *table(("", "seconds", "rounds", "x bare", "remarks"), rows)]


def _range(values: Sequence[float]) -> str:
    return f"{number(min(values))} to {number(max(values))}"
