"""What the orchestrator adds to a step of the bare engine: rung by rung, up to ``ganlab run`` as everybody types it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from support.contestants import Contestant
from support.rounds import Race, race
from support.setting import Setting
from support.tables import number, table

NO_TRACKER = ("tracking.enabled=false",)
OBSERVERS = tuple(f"tricks.{name}.enabled=false" for name in ("loss_plot", "system_metrics", "health"))
BARE = "bare"


def rungs(recipe: str) -> list[Contestant]:
    """From the bare engine to the whole: each has what the one before has, and something more."""
    return [
        Contestant(BARE, "the bare engine", {Path(recipe).stem: "bare_engine"}, (*NO_TRACKER, *OBSERVERS)),
        Contestant("records", "+ metrics, JSON lines, sheets, checkpoints", overrides=(*NO_TRACKER, *OBSERVERS), quiet=True),
        Contestant("observers", "+ loss plot, system metrics, health", overrides=NO_TRACKER, quiet=True),
        Contestant("tracker", "+ MLflow", quiet=True),
        Contestant("whole", "+ live display: `ganlab run`"),
    ]


def added(found: Race, key: str) -> list[float]:
    """What a contestant's step takes more than the bare engine's, as a share of the latter, round by round."""
    pairs = zip(found.rates(key), found.rates(BARE), strict=False)
    return [bare / rate - 1 for rate, bare in pairs]


def overhead(
    setting: Setting, rounds: int, folder: Path, *, seconds: float | None, steps: int | None, policy: str, tell: Callable[[str], None]
) -> list[str]:
    """The table of rungs."""
    found = race(setting, rungs(setting.recipe), rounds, folder, seconds=seconds, steps=steps, policy=policy, tell=tell)
    rows = []
    for one in found.contestants:
        rates, remarks = found.rates(one.key), "; ".join(found.remarks(one.key))
        more = added(found, one.key)
        cells = [number(statistics.median(rates)), f"{statistics.median(more):+.1%}", _range(more)] if more else ["-"] * 3
        rows.append([one.title, *cells, remarks])
    return [
        f"`{setting.recipe}`, {setting.threads} thread(s); a step's time beyond the bare engine's, medians of {rounds} rounds.",
        "",
        *table(("", "steps/s", "more than bare", "rounds", "remarks"), rows),
    ]


def _range(values: Sequence[float]) -> str:
    return f"{min(values):+.1%} to {max(values):+.1%}"
