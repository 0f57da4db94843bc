"""Which stability trick helps? `mnist_adaptive` with its three tricks on and off, over five seeds: README's section and its figure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import figures
from measures import TrainedRecipe, read_trained
from training import train_seeds

from ganlab.comparison import RunGroup, Spread, verdicts

RECIPE, BUDGET, SEEDS = "mnist_adaptive", "train.epochs=40", (0, 1, 2, 3, 4)
TRICKS = ("adaptive_generator_steps", "clamp", "gradient_clipping")
#: Which of them are off, by what the section calls it.
GROUPS: dict[str, tuple[str, ...]] = {"all three": (), **{f"without {name}": (name,) for name in TRICKS}, "none of them": TRICKS}
METRICS = {"frechet_ratio": "FD / floor", "classes": "digits", "class_kl": "KL", "coverage": "coverage"}
FIGURE = Path("docs") / "tricks.png"


def overrides(off: tuple[str, ...]) -> tuple[str, ...]:
    """Of a group."""
    return (BUDGET, *(f"tricks.{name}.enabled=false" for name in off))


def train(folder: Path, jobs: int) -> None:
    """Train the runs that are missing."""
    for off in GROUPS.values():
        train_seeds(folder, RECIPE, overrides(off), jobs, (), SEEDS)


def write(folder: Path, root: Path) -> None:
    """Write the section between its two comments in README.md, and its figure."""
    runs = {name: read_trained(folder, RECIPE, overrides(off), SEEDS) for name, off in GROUPS.items()}
    figures.seeds(runs, {"frechet_ratio": "FD / floor (less is better)", "classes": "digits that are there"}, root / FIGURE)
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8")
    found = re.sub(r"(<!-- tricks -->\n).*?(<!-- end -->)", lambda match: match[1] + section(runs) + match[2], text, flags=re.DOTALL)
    readme.write_text(found, encoding="utf-8")
    print(f"wrote {readme} and {root / FIGURE}")


def section(runs: Mapping[str, TrainedRecipe]) -> str:
    """What stands between the two comments."""
    base, *others = (RunGroup(name, run.results) for name, run in runs.items())
    said = {verdict.group: verdict.words.replace(f"than {base.name} ", "") for verdict in verdicts([base, *others], "frechet_ratio")}
    head = ["", "G's updates", *METRICS.values(), "collapsed", f"by FD / floor, against {base.name}"]
    rows = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, run in runs.items():
        updates = Spread.of(result.info.counters["generator_updates"] for result in run.results)
        numbers = [f"{updates.mean:,.0f}", *(str(run.spread(metric)) for metric in METRICS)]
        words = said.get(name, "").split("; ")[0]
        rows.append(f"| {' | '.join([name, *numbers, f'{len(run.collapsed)} of {len(run.results)}', words])} |")
    return "\n".join(rows) + "\n"
