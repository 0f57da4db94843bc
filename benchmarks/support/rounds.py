"""Measuring contestants in turns: every round has each of them once, in another order, so that all meet the same machine."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.busy import complaints
from support.contestants import Contestant, Outcome, Unable, measure, ready
from support.setting import Setting

PILOT_IMAGES = 6000  # how long the pilot runs are: so many images, two steps at the least


@dataclass
class Race:
    """The measurements of one recipe with one number of threads.

    Attributes:
        setting: of all. steps: of each contestant, that are timed. outcomes: by contestant, a round each.
        why_not: what keeps the others out.
    """

    setting: Setting
    contestants: list[Contestant]
    steps: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    why_not: dict[str, str] = field(default_factory=dict)

    def rates(self, key: str) -> list[float]:
        """Steps per second of a contestant, round by round; empty where it was not measured."""
        return [outcome.rate for outcome in self.outcomes.get(key, [])]

    def ratio(self, key: str, other: str) -> float | None:
        """How many times as fast as another: the median over the rounds, in each of which both were measured."""
        pairs = [mine / theirs for mine, theirs in zip(self.rates(key), self.rates(other), strict=False)]
        return statistics.median(pairs) if pairs else None

    def remarks(self, key: str) -> list[str]:
        """What is to be said of a contestant's figures."""
        if key in self.why_not:
            return [self.why_not[key]]
        return complaints(self.rates(key), [outcome.ended.seen for outcome in self.outcomes[key]])


def varies(setting: Setting) -> bool:
    """Whether what a step computes depends on the course of the training: then only equal numbers of steps are equal work."""
    return any(trick["use"] == "adaptive_generator_steps" for trick in setting.document["tricks"])


def order(keys: Sequence[str], number: int) -> list[str]:
    """The order of a round: each begins one place further on, and every other round goes backwards."""
    turned = [*keys[number % len(keys) :], *keys[: number % len(keys)]]
    return turned[::-1] if number % 2 else turned


def race(
    setting: Setting,
    contestants: Sequence[Contestant],
    rounds: int,
    folder: Path,
    *,
    seconds: float | None = None,
    steps: int | None = None,
    policy: str = "brief",
    tell: Callable[[str], None] = lambda text: None,
) -> Race:
    """Measure all that can be, in turns.

    Args:
        seconds: that a contestant should take in each round; a pilot run, not counted, says how many steps that is.
        steps: of each contestant, in place of ``seconds``; there is no pilot run then.

    On a GPU an interval of logging comes before the steps that are timed.
    """
    setting = setting.with_(warm_up=setting.document["train"]["log_every"] if setting.on_gpu else 0)
    found = Race(setting, [one for one in contestants if one.plays(setting)])
    known = {one.key: one for one in found.contestants}
    for one in found.contestants:
        if why := ready(one, setting):
            found.why_not[one.key] = why
    if steps is None:
        assert seconds is not None
        _pilot(found, seconds, folder, policy, tell)
    else:
        found.steps = dict.fromkeys(known, steps)
    for number in range(rounds):
        keys = order([key for key in known if key not in found.why_not], number)
        if not number:  # those that count need to know how often the generator plays
            keys.sort(key=lambda key: not known[key].compares)
        for key in keys:
            _take(found, known[key], folder, policy, lambda text, number=number: tell(f"round {number + 1}: {text}"))
    return found


def generator_rate(found: Race) -> float:
    """Updates of the generator in a step, of the latest measurement of who plays the game as it is."""
    for one in found.contestants:
        if one.compares and found.outcomes.get(one.key):
            latest = found.outcomes[one.key][-1]
            return latest.updates["generator"] / latest.steps / found.setting.document["schedule"]["generator_steps"]
    return 1.0


def _take(found: Race, one: Contestant, folder: Path, policy: str, tell: Callable[[str], None]) -> None:
    """One measurement; a contestant that fails is out, with the reason."""
    setting = found.setting.with_(steps=found.setting.warm_up + found.steps[one.key], generator_rate=generator_rate(found))
    try:
        outcome = measure(one, setting, folder, policy)
    except Unable as error:
        found.why_not[one.key] = str(error)
        found.outcomes.pop(one.key, None)
        tell(f"{one.title}: {error}")
        return
    found.outcomes.setdefault(one.key, []).append(outcome)
    seen, timed = outcome.ended.seen, outcome.steps - outcome.warm_up
    tell(f"{one.title}: {outcome.rate:,.1f} steps/s ({timed:,} steps; others {seen.before:.0%} before, {seen.during:.0%} during)")


def _pilot(found: Race, seconds: float, folder: Path, policy: str, tell: Callable[[str], None]) -> None:
    """Find out how many steps take ``seconds``: a contestant's own, or, where only equal steps are equal work, the tutorial's."""
    steps = found.setting.warm_up + max(2, PILOT_IMAGES // found.setting.document["train"]["batch_size"])
    rates: dict[str, float] = {}
    for one in found.contestants:
        if one.key not in found.why_not:
            try:
                rates[one.key] = measure(one, found.setting.with_(steps=steps), folder, policy, look=False).rate
            except Unable as error:
                found.why_not[one.key] = str(error)
                tell(f"{one.title}: {error}")
    slowest = min(rates.values(), default=1.0)
    found.steps = {key: max(2, round(seconds * (slowest if varies(found.setting) else rate))) for key, rate in rates.items()}
