"""The trick itself: it reads metrics, and tells what it finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from ganlab.components import Role
from ganlab.errors import GanlabError
from ganlab.hookspecs import hookimpl
from ganlab_health.advice import Advice
from ganlab_health.findings import FINDINGS, NAMES, Finding
from ganlab_health.measure import Gauge
from ganlab_health.seen import Seen
from ganlab_health.streak import Streak

if TYPE_CHECKING:
    from ganlab import Run, Turn

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Name = Literal[
    "discriminator_at_zero",
    "discriminator_always_right",
    "generator_stalled",
    "adaptive_capped",
    "scores_clamped",
    "discriminator_gradient_large",
    "discriminator_gradient_clipped",
    "generator_gradient_large",
    "generator_gradient_clipped",
    "fakes_alike",
    "loss_falls_in_vain",
    "logarithm_of_nothing",
    "both_losses_high",
    "never_started",
    "generator_not_trained",
    "discriminator_not_trained",
]
LOOK = 20  # steps from one look to the next, at least: where each step is logged, most are left out
POINTS = 9  # of the past, at least
FINEST = 20  # points of the past for each ``patience``, at most


@dataclass
class Health:
    """Watch a run, and warn when it is going wrong: what was seen, since when, what it usually means, what to try. Never fails one.

    A finding is told once, and again only after it had gone away. See docs/health.md for each of them and its source. "T2" below is
    the tutorial "GANs from scratch", "T3" that of adaptive generator steps.

    Logged, measured once in ``measure_every`` steps: ``health/variety``, the spread of
    the fakes (root of the sum of the variances of all features, over at most 256 samples of a batch) as a share of that of
    the real samples; and, where gradient_clipping does not log it, each player's gradient norm as ``health/<player>_gradient_norm``
    (an infinite one as 1e6). Signs that need probabilities are left out where the loss's scores are no logits.

    Options:
        patience: steps for which something must be seen, in at least five logging intervals, before it is told; and for which
            it must not be seen before it counts as gone. Ours; some findings take a multiple of it.
        measure_every: steps between two measurements. Ours.
        loss_zero: D's loss, real and fake together, is at 0 below it. T3's pitfall ("its loss reaches 0 and stays there"); the
            number is ours: full runs of the shipped recipes stay above it.
        always_right: D's accuracy on both sides from which it is always right. T2 wants D right half of the time; the number is ours.
        stalled_below: G's saturating loss is flat where |mean log(1 - D(G(z)))| is below it. T3's number.
        capped: steps in ``patience`` in which the adaptive rule hits its cap. T3's own loop has none; a run of mnist_adaptive with
            unfit widths had about 8 in 1,000, a healthy one has none.
        clamped: share of scores held by the clamp. T3's clamps are dead zones for gradients; the number is ours.
        gradient_norm: greatest norm of a gradient, before clipping. T3's pitfall ("exploding gradients"); the usual rule of thumb.
        clip_rate: share of clipped updates, if their norm is also ``clipped_by`` times the limit. Ours: T3's recipe is well with
            all of its updates clipped, from norms of up to 15 times the limit.
        clipped_by: see there.
        variety: spread of the fakes, as a share of the real one, below which they are nearly the same. Ours: fakes of a healthy
            mnist_adaptive are at 0.05 before they become digits, those of mnist_one_class at 0.02.
        variety_lost: share of the greatest spread that fakes have had, if that was half of the real one, below which it is lost. Ours.
        falling: share of its value by which G's loss falls, over twice ``patience``, before that is expected to show. Ours.
        weak_above: D's loss from which on it is too weak to teach. T3's number, in its rule for when G may train.
        ignore: findings that are not told.
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
    hits: list[list[float]] = field(default_factory=list, init=False, repr=False)  # [step, hits of the adaptive cap], over patience
    #: By player: its updates, and the step up to which it has had them.
    idle: dict[Role, list[int]] = field(default_factory=lambda: {"generator": [0, 0], "discriminator": [0, 0]}, init=False, repr=False)
    past: list[list[float]] = field(default_factory=list, init=False, repr=False)  # [step, G's loss, D(x) - D(G(z)), variety or -1]
    bounded: bool = field(default=True, init=False, repr=False)  # D's loss was never negative
    saturating: bool = field(default=False, init=False, repr=False)  # G's loss on logits was negative
    started: bool = field(default=False, init=False, repr=False)  # some loss was below chance, or the fakes had some spread
    varied: float = field(default=0.0, init=False, repr=False)  # the greatest variety, at most 1
    head_start: bool = field(default=False, init=False, repr=False)  # G is meant to wait
    owners: dict[str, str] = field(default_factory=dict, init=False, repr=False)  # of the run's tricks, by name
    planners: list[str] = field(default_factory=list, init=False, repr=False)  # the owners of those that plan steps
    vetoed_by: dict[Role, list[str]] = field(default_factory=dict, init=False, repr=False)  # the run's
    limits: dict[str, float] = field(default_factory=dict, init=False, repr=False)  # of gradient_clipping, by player

    def __post_init__(self) -> None:
        self.gauge = Gauge(self.measure_every)

    @hookimpl
    def before_run(self, run: Run) -> None:
        for trick in run.recipe.tricks:
            if trick.use == "gradient_clipping":
                player, most = trick.options.get("player"), trick.options.get("max_norm")
                self.limits |= {role: float(most) for role in run.players if player in ("both", role) and isinstance(most, float | int)}
            self.head_start |= trick.use == "discriminator_head_start"
        self.gauge.clipped = frozenset(self.limits)
        self.owners, self.vetoed_by = {trick.name: trick.owner for trick in run.tricks}, run.vetoed_by
        self.planners = [trick.owner for trick in run.tricks if "plan_step" in trick.methods()]

    @hookimpl
    def before_update(self, run: Run, turn: Turn) -> None:
        self.gauge.measure(run, turn)

    @hookimpl
    def on_metrics(self, run: Run, step: int, metrics: dict[str, float]) -> None:
        if hits := metrics.get("adaptive/capped"):
            self.hits.append([step, hits])
        if step - self.looked < LOOK and step < run.total_steps:
            return
        seen = Seen.of(run, self.looked + 1, step, metrics)
        self.looked = step
        self._remember(seen)
        self._count_updates(seen)
        for finding in FINDINGS:
            self._judge(run, finding, seen)

    @hookimpl
    def after_run(self, run: Run) -> None:
        run.info["findings"] = [name for name, streak in self.streaks.items() if streak.told and name not in self.ignore]

    def _remember(self, seen: Seen) -> None:
        """Add the interval to the past, and drop what is too old."""
        self.saturating |= seen.generator is not None and seen.generator < 0
        self.hits = [hit for hit in self.hits if hit[0] > seen.step - self.patience]
        if seen.raw_generator is None or (self.past and seen.step - self.past[-1][0] < self.patience / FINEST):
            return
        margin = seen.metrics.get("score/real", 0.0) - seen.metrics.get("score/fake", 0.0)
        self.past.append([seen.step, seen.raw_generator, margin, seen.metrics.get("health/variety", -1.0)])
        while len(self.past) > POINTS and self.past[1][0] <= seen.step - 2 * self.patience:
            del self.past[0]

    def _count_updates(self, seen: Seen) -> None:
        """Note up to which step each player has been updated."""
        for role, idle in self.idle.items():
            updates = int(seen.metrics.get(f"updates/{role}", 0))
            if updates != idle[0]:
                idle[:] = [updates, seen.step]

    def why_idle(self, role: Role) -> str:
        """Who keeps a player from playing, in half a sentence."""
        vetoes = [self.owners[name] for name in self.vetoed_by.get(role, [])]
        if vetoes:
            return f"{' and '.join(vetoes)} {'veto' if len(vetoes) > 1 else 'vetoes'} its turns (hook may_play)"
        if self.planners:
            return f"{self.planners[0]} plans no turn of it (hook plan_step)"
        return "none of its turns has been played to its end"

    @property
    def past_is_long(self) -> bool:
        """Whether the past goes back over twice ``patience``."""
        return len(self.past) >= POINTS and self.past[-1][0] - self.past[0][0] >= 2 * self.patience

    def _judge(self, run: Run, finding: Finding, seen: Seen) -> None:
        """Look for one finding, and tell it if it is time."""
        sign = finding.sign(seen, self)
        if sign is None:
            return
        covered = any(self.streaks[name].told for name in finding.unless)
        there, streak = bool(sign) and not covered, self.streaks[finding.name]
        if finding.at_once and there:
            due = streak.look(True, self._begin(finding), seen.step, patience=0, least=1)
        else:
            due = streak.look(there, seen.begin, seen.step, finding.patience * self.patience)
        if due and finding.name not in self.ignore:
            self._tell(run, finding, sign, streak.since)

    def _begin(self, finding: Finding) -> int:
        """Since when what a sign sees that looks back has been going on."""
        if finding.name.endswith("_not_trained"):
            return self.idle["generator" if finding.name.startswith("generator") else "discriminator"][1] + 1
        points = self.hits if finding.name == "adaptive_capped" else self.past
        return int(points[0][0]) if points else self.looked

    def _tell(self, run: Run, finding: Finding, sign: str, since: int) -> None:
        """Warn, and go on whatever comes of it."""
        tries = finding.tries(Advice(run))
        text = f"Health, at step {self.looked:,} ({finding.name}): {sign}, since step {since:,}. {finding.means}"
        if tries:
            text += f" Try one of: {', '.join(tries)}."
        try:
            run.announce(text)
        except (GanlabError, OSError):  # a full disk; what saves the run will say so
            run.tell(text)

    def state_dict(self) -> dict[str, Any]:
        """What has been seen, told and measured."""
        return {
            "streaks": {name: streak.state() for name, streak in self.streaks.items()},
            "gauge": self.gauge.state(),
            "looked": self.looked,
            "hits": [list(hit) for hit in self.hits],
            "idle": {role: list(idle) for role, idle in self.idle.items()},
            "past": [list(point) for point in self.past],
            "bounded": self.bounded,
            "saturating": self.saturating,
            "started": self.started,
            "varied": self.varied,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what ``state_dict`` gave."""
        self.streaks = {name: Streak(**state["streaks"].get(name, {})) for name in NAMES}
        self.gauge.due = dict(state["gauge"]["due"])
        self.gauge.now = {"generator": 0, "discriminator": 0}
        self.looked, self.bounded = state["looked"], state["bounded"]
        self.saturating, self.started, self.varied = state["saturating"], state["started"], state["varied"]
        self.idle = {role: list(state.get("idle", {}).get(role, [0, self.looked])) for role in self.idle}  # older checkpoints have none
        self.hits, self.past = [list(hit) for hit in state["hits"]], [list(point) for point in state["past"]]
