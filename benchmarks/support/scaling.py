"""How the cost of a step grows with the batch, the widths and the data, and what limits it."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from support import children
from support.contestants import Contestant
from support.planted import planted_folder, planted_mnist
from support.products import work
from support.regime import RULE, Peaks, regime
from support.rounds import race
from support.setting import Setting, settle
from support.tables import number, table

BATCHES = (32, 100, 320, 1000, 3000, 6000)
WIDTHS = (64, 256, 1024, 4096)
SIZES = (1000, 10_000, 100_000, 1_000_000)
QUIET = Contestant("ganlab", "ganlab run --quiet", quiet=True)


@dataclass(frozen=True)
class Point:
    """One setting to measure: the table it belongs to, what its first column says, and how the recipe is changed."""

    table: str
    says: str
    overrides: tuple[str, ...]
    data_root: str


@dataclass(frozen=True)
class Grid:
    """What is varied, one at a time."""

    batches: Sequence[int] = BATCHES
    widths: Sequence[int] = WIDTHS
    sizes: Sequence[int] = SIZES

    def points(self, data_root: str, folder: Path) -> Iterator[Point]:
        """All of them; data of any size are made below ``folder`` when their turn comes."""
        for batch in self.batches:
            yield Point("batch", f"{batch:,}", (f"train.batch_size={batch}",), data_root)
        for width in self.widths:
            hidden = f"hidden=[{width},{width}]"
            yield Point("width", f"{width:,}", (f"generator.{hidden}", f"discriminator.{hidden}"), data_root)
        for size in self.sizes:
            yield Point("images", f"{size:,} resident", (), str(planted_mnist(folder / f"mnist-{size}", size)))
        for size in self.sizes:
            path = planted_folder(folder / f"folder-{size}", size)
            where = f'data={{use="image_folder",path="{path}",size=28,channels=1,resident="never"}}'
            yield Point("images", f"{size:,} streamed", (where,), data_root)


def peaks(setting: Setting, folder: Path, policy: str) -> Peaks:
    """What the machine can do at its best with the setting's threads."""
    command = [sys.executable, "-m", "loops.peaks", str(setting.save(folder / "setting.json"))]
    told = children.run(command, children.environment(setting.threads, policy)).told()
    return Peaks(told["flops"], told["bytes"])


def scaling(
    setting: Setting,
    grid: Grid,
    rounds: int,
    folder: Path,
    *,
    seconds: float | None,
    steps: int | None,
    policy: str,
    tell: Callable[[str], None],
) -> list[str]:
    """A table for each thing that is varied."""
    best = peaks(setting, folder, policy)
    rows: dict[str, list[list[str]]] = {}
    for point in grid.points(setting.data_root, folder):
        tell(f"{point.table} {point.says}")
        here = settle(setting.recipe, (*setting.overrides, *point.overrides), point.data_root).with_(threads=setting.threads)
        found = race(here, [QUIET], rounds, folder, seconds=seconds, steps=steps, policy=policy, tell=tell)
        rates, needed = found.rates(QUIET.key), work(here)
        cells = ["-"] * 5
        if rates:
            rate = statistics.median(rates)
            name, share = regime(1 / rate, needed, best)
            images = rate * here.document["train"]["batch_size"]
            cells = [number(rate), number(images), number(rate * needed.flops / 1e9), name, f"{share:.0%}"]
        rows.setdefault(point.table, []).append([point.says, *cells, "; ".join(found.remarks(QUIET.key))])
    lines = [
        f"`{setting.recipe}`, {setting.threads} thread(s), `ganlab run --quiet`, one thing varied at a time. This machine's best: "
        f"{best.flops / 1e9:,.0f} GFLOP/s in a large product, {best.bytes / 1e9:,.1f} GB/s in a large copy.",
        "",
        f"{RULE} The share is that of the step's time which the limit accounts for.",
    ]
    for name, found_rows in rows.items():
        lines += ["", *table((name, "steps/s", "images/s", "GFLOP/s", "regime", "share", "remarks"), found_rows)]
    return lines
