"""Tables of measurements, in Markdown: what is printed is what is written down."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from support.rounds import Race, varies

MIB = 2**20
TUTORIAL, FLOOR = "tutorial", "floor"
SPEED = ("", "steps/s", "rounds", "x tutorial's", "of the floor", "peak MiB", "remarks")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; all columns but the first, ``regime`` and ``remarks`` are right-aligned."""
    rule = ["---" if not place or name in ("regime", "remarks") else "--:" for place, name in enumerate(head)]
    return [f"| {' | '.join(row)} |" for row in (head, rule, *([cell.replace("|", "/") for cell in row] for row in rows))]


def number(value: float | None) -> str:
    """Three digits that mean something; a dash for nothing."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def speed_table(race: Race) -> list[str]:
    """The table of one race, and what is to be said of all of it."""
    rows = []
    for one in race.contestants:
        rates, remarks = race.rates(one.key), "; ".join(race.remarks(one.key))
        if not rates:
            rows.append([one.title, *["-"] * 5, remarks])
            continue
        ratio, share = race.ratio(one.key, TUTORIAL), race.ratio(one.key, FLOOR)
        peak = max(outcome.ended.peak for outcome in race.outcomes[one.key]) / MIB
        cells = [number(statistics.median(rates)), f"{number(min(rates))} to {number(max(rates))}", number(ratio)]
        rows.append([one.title, *cells, number(share), f"{peak:,.0f}", remarks])
    lines = table(SPEED, rows)
    busy = [one.title for one in race.contestants if race.rates(one.key) and race.remarks(one.key)]
    if busy:
        lines += ["", f"**The machine was not quiet** (see the remarks on {', '.join(busy)}): not figures to rely on."]
    if varies(race.setting):
        lines += ["", _of_updates(race)]
    return lines


def _of_updates(race: Race) -> str:
    """How often the generator was updated, where the recipe does not say: everybody took equally many steps then."""
    found = []
    for one in race.contestants:
        if outcomes := race.outcomes.get(one.key):
            rate = statistics.median(outcome.updates["generator"] / outcome.steps for outcome in outcomes)
            found.append(f"{one.title} {rate:.2f}")
    return f"Updates of the generator in a step: {', '.join(found)}."
