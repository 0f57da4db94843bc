"""The trick ``health``: evaluates the signs on each interval's metrics, and warns."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from ganlab.errors import GanlabError
from ganlab.hookspecs import hookimpl
from ganlab_health.advice import Advice
from ganlab_health.context import Context, RunFacts
from ganlab_health.findings import FINDINGS, NAMES, Finding
from ganlab_health.history import CapHits, History
from ganlab_health.interval import Interval
from ganlab_health.measure import Gauge
from ganlab_health.streak import Streak

if TYPE_CHECKING:
    from ganlab import Run, Turn

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
if TYPE_CHECKING:
    Name = str
else:
    Name = Literal[NAMES]  # one of these names
LOOK = 20  # steps between looks, at least: if every step is logged, most logs are skipped


@dataclass
class Health:
    """Watch a run, and warn when training goes wrong: what was seen, since when, what it usually means, what to try. Never fails a run.

    A finding causes one warning, and another one only after it had gone away. docs/health.md describes each finding and its source.
    "T2" below is the tutorial "GANs from scratch", "T3" the tutorial of adaptive generator steps.

    It logs two metrics, measured once in ``measure_every`` steps. ``health/variety`` is the spread of the fakes relative to that of the
    real samples. (The spread is the root of the sum of the variances of all features, over at most 256 samples of a batch.)
    ``health/<player>_gradient_norm`` is a player's gradient norm, unless gradient_clipping logs it (an infinite one as 1e6). Signs that
    need probabilities are skipped if the loss's scores are no logits.

    Options:
        patience: steps for which a sign must be present, in at least five logging intervals, before it causes a warning; and for which
            it must be absent before it counts as gone. Our number; some findings use a multiple of it.
        measure_every: steps between two measurements. Our number.
        loss_zero: D's loss, real and fake together, is close to 0 below it. T3's pitfall ("its loss reaches 0 and stays there"); the
            number is ours: full runs of the shipped recipes stay above it.
        always_right: accuracy of D on both sides from which it is always right. T2 wants D right half of the time; the number is ours.
        stalled_below: G's saturating loss is flat if |mean log(1 - D(G(z)))| is below it. T3's number.
        capped: steps in ``patience`` in which the adaptive rule hits its cap. T3's own loop has no cap; a run of mnist_adaptive with
            unsuitable widths hit it about 8 times in 1,000 steps, a healthy one never.
        clamped: share of scores that the clamp limits. T3's clamps are dead zones for gradients; the number is ours.
        gradient_norm: largest norm of a gradient, before clipping. T3's pitfall ("exploding gradients"); a usual rule of thumb.
        clip_rate: share of clipped updates, if their norm is also ``clipped_by`` times the limit. Our number: T3's recipe trains well
            with all of its updates clipped, from norms of up to 15 times the limit.
        clipped_by: see ``clip_rate``.
        variety: variety below which the fakes are nearly the same. Our number: fakes of a healthy mnist_adaptive are at 0.05 before
            they become digits, those of mnist_one_class at 0.02.
        variety_lost: share of the largest variety so far, if that was at least 0.5, below which variety is lost. Our number.
        falling: share of its value by which G's loss falls, over twice ``patience``, before the samples should improve. Our number.
        weak_above: D's loss from which it is too weak to teach. T3's number, in its rule for when G may train.
        ignore: findings that cause no warning.
    """

    only_watches: ClassVar[bool] = True

    patience: Annotated[int, Field(ge=1)] = 1000
    measure_every: Annotated[int, Field(ge=1)] = 100
    loss_zero: Positive = 0.01
    always_right: Share = 0.9999
    stalled_below: Positive = 0.1
    capped: Annotated[int, Field(ge=1)] = 5
    clamped: Share = 0.5
    gradient_norm: Positive = 100.0
    clip_rate: Share = 0.99
    clipped_by: Annotated[float, Field(ge=1)] = 25.0
    variety: Share = 0.01
    variety_lost: Share = 0.2
    falling: Share = 0.2
    weak_above: Positive = 1.75
    ignore: tuple[Name, ...] = ()

    streaks: dict[str, Streak] = field(default_factory=lambda: {name: Streak() for name in NAMES}, init=False, repr=False)
    looked: int = field(default=0, init=False, repr=False)  # the step of the latest look
    history: History = field(default_factory=History, init=False, repr=False)
    facts: RunFacts = field(default_factory=RunFacts, init=False, repr=False)

    def __post_init__(self) -> None:
        self.gauge = Gauge(self.measure_every)

    @hookimpl
    def before_run(self, run: Run) -> None:
        self.facts = RunFacts.of(run)
        self.gauge.clipped = frozenset(self.facts.gradient_limits)

    @hookimpl
    def before_update(self, run: Run, turn: Turn) -> None:
        self.gauge.measure(run, turn)

    @hookimpl
    def on_metrics(self, run: Run, step: int, metrics: dict[str, float]) -> None:
        if hits := metrics.get("adaptive/capped"):
            self.history.cap_hits.append(CapHits(step, hits))
        if step - self.looked < LOOK and step < run.total_steps:
            return
        interval = Interval.of(run, self.looked + 1, step, metrics)
        self.looked = step
        self.history.add(interval, self.patience)
        for finding in FINDINGS:
            self._evaluate(run, finding, interval)

    @hookimpl
    def after_run(self, run: Run) -> None:
        run.info["findings"] = [name for name, streak in self.streaks.items() if streak.told and name not in self.ignore]

    def _evaluate(self, run: Run, finding: Finding, interval: Interval) -> None:
        """Evaluate the sign of one finding, and warn if it is time."""
        sign = finding.sign(interval, Context(self, self.history, self.facts))
        if sign is None:
            return
        covered = any(self.streaks[name].told for name in finding.unless)
        present, streak = bool(sign) and not covered, self.streaks[finding.name]
        if finding.begin is not None and present:
            warn = streak.look(True, finding.begin(self.history), interval.step, patience=0, min_looks=1)
        else:
            warn = streak.look(present, interval.begin, interval.step, finding.patience * self.patience)
        if warn and finding.name not in self.ignore:
            self._warn(run, finding, sign, streak.since)

    def _warn(self, run: Run, finding: Finding, sign: str, since: int) -> None:
        """Announce a finding. The run goes on even if the announcement cannot be written."""
        tries = finding.tries(Advice(run))
        text = f"Health, at step {self.looked:,} ({finding.name}): {sign}, since step {since:,}. {finding.means}"
        if tries:
            text += f" Try one of: {', '.join(tries)}."
        try:
            run.announce(text)
        except (GanlabError, OSError):  # a full disk, for instance; saving the run will report it
            run.tell(text)

    def state_dict(self) -> dict[str, Any]:
        """The streaks, the state of the measurements, and the history."""
        return {
            "streaks": {name: asdict(streak) for name, streak in self.streaks.items()},
            "gauge": self.gauge.state(),
            "looked": self.looked,
            **self.history.state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        self.streaks = {name: Streak(**state["streaks"].get(name, {})) for name in NAMES}
        self.gauge.load(state["gauge"])
        self.looked = state["looked"]
        self.history.load(state, self.looked)
