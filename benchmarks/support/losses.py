"""Do the contestants train alike? Both players' mean losses, over several seeds, beside those of the tutorial's loop."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.contestants import Contestant, Unable, measure
from support.rounds import Race
from support.setting import Setting
from support.tables import TUTORIAL, table

RELATIVE = 0.05  # of the tutorial's loss
ERRORS = 4.0  # standard errors of the difference of two means over seeds
ROLES = ("discriminator", "generator")
RULE = (
    f"Means over the second half of the steps and over the seeds; they agree if they differ by less than {ERRORS:.0f} standard errors of "
    f"the difference (from the spread between seeds), or by less than {RELATIVE:.0%} of the tutorial's."
)


@dataclass(frozen=True)
class Compared:
    """One loss of a contestant beside the tutorial's. ``bound``: how far they may differ."""

    mine: float
    theirs: float
    bound: float

    @property
    def agree(self) -> bool:
        """Whether they differ by no more than that."""
        return abs(self.mine - self.theirs) <= self.bound


def compare(mine: Sequence[float], theirs: Sequence[float]) -> Compared:
    """The means over seeds of two contestants, at least one value each."""
    first, second = statistics.fmean(mine), statistics.fmean(theirs)
    error = math.sqrt(sum(statistics.variance(values) / len(values) for values in (mine, theirs) if len(values) > 1))
    return Compared(first, second, max(RELATIVE * abs(second), ERRORS * error))


def check(
    race: Race, steps: int, seeds: Sequence[int], folder: Path, policy: str, tell: Callable[[str], None] = lambda text: None
) -> list[str]:
    """Train everybody for as many steps from several seeds, and say side by side what came of it, as a table."""
    found: dict[str, dict[str, list[float]]] = {}
    for one in race.contestants:
        if one.compares and one.key not in race.why_not:
            found[one.key] = _losses(one, race.setting, steps, seeds, folder, policy, tell)
    titles = {one.key: one.title for one in race.contestants}
    rows = []
    for key, losses in found.items():
        cells, agree = [], []
        for role in ROLES:
            mine, theirs = losses[role], found.get(TUTORIAL, {}).get(role, [])
            cells.append(f"{statistics.fmean(mine):.4f}" if mine else "-")
            if key != TUTORIAL and mine and theirs:
                compared = compare(mine, theirs)
                agree.append(f"{role[0].upper()} {'agrees' if compared.agree else 'DIFFERS'} (within {compared.bound:.3f})")
        rows.append([titles[key], *cells, ", ".join(agree)])
    head = ("", "D's loss", "G's loss", "remarks")
    return [f"Losses over {steps:,} steps, {len(seeds)} seeds. {RULE}", "", *table(head, rows)]


def _losses(
    one: Contestant, setting: Setting, steps: int, seeds: Sequence[int], folder: Path, policy: str, tell: Callable[[str], None]
) -> dict[str, list[float]]:
    """A contestant's mean losses, one of each player for each seed."""
    found: dict[str, list[float]] = {role: [] for role in ROLES}
    for seed in seeds:
        try:
            outcome = measure(one, setting.with_(steps=steps, seed=seed, losses=True), folder, policy, look=False)
        except Unable as error:
            tell(f"{one.title}, seed {seed}: {error}")
            continue
        for role in ROLES:
            found[role] += [outcome.losses[role]] if role in outcome.losses else []
        tell(f"{one.title}, seed {seed}: {', '.join(f'{role} {loss:.4f}' for role, loss in outcome.losses.items())}")
    return found
