"""Tricks that make pictures; here ``loss_plot``: the run at a glance."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganlab.hookspecs import Register, hookimpl
from ganlab_figures.last_batch import LastBatch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ganlab import Run

FILE = "losses.png"
SHARE = 0.01  # of the time of a run that may go into drawing
FIRST = 0.6  # seconds that the first drawing is taken to need, with the import of matplotlib: a minute of a run has to pay for it
SMOOTH_FROM = 200  # points from which on a running mean is drawn over the values
COLOURS = {"discriminator": "#0072b2", "generator": "#d55e00"}  # told apart by colour-blind people too

Points = tuple[np.ndarray, np.ndarray]  # steps and values, both (count,)


@dataclass
class LossPlot:
    """Draw ``losses.png`` in the run's folder: both losses, the discriminator's scores, and who was updated how often.

    Drawn anew at the end of an epoch, as often as takes one percent of the time, and at the end of the run.
    """

    cost: float = field(default=FIRST, init=False, repr=False)  # seconds of the latest drawing
    drawn: float = field(default=0.0, init=False, repr=False)  # when that was

    @hookimpl
    def before_run(self) -> None:
        self.drawn = time.monotonic()

    @hookimpl
    def after_epoch(self, run: Run) -> None:
        if time.monotonic() - self.drawn > self.cost / SHARE:
            self._draw(run)

    @hookimpl
    def after_run(self, run: Run) -> None:
        self._draw(run)

    def _draw(self, run: Run) -> None:
        start = time.monotonic()
        metrics = read_metrics(run.path / "metrics.jsonl")
        if metrics:
            with contextlib.suppress(OSError):  # a full disk: metrics and checkpoints say so louder
                draw(metrics, Captions.of(run), run.path / FILE)
        self.drawn = time.monotonic()
        self.cost = self.drawn - start


@dataclass(frozen=True)
class Captions:
    """What the picture says besides the numbers.

    Attributes:
        title: the recipe and the run.
        probabilities: the scores are logged as probabilities, D(x) and D(G(z)).
        equilibrium: the discriminator's loss when it can only guess, and how to call it; None where that is not known.
        steps_per_epoch: for the axis of epochs; 0 leaves it out.
    """

    title: str
    probabilities: bool = True
    equilibrium: tuple[float, str] | None = None
    steps_per_epoch: int = 0

    @classmethod
    def of(cls, run: Run) -> Captions:
        """The captions for a run."""
        equilibrium = None
        if run.recipe.losses["discriminator"].use == "bce":
            halved = run.schedule.discriminator_loss == "mean"
            equilibrium = (math.log(2), "log 2: D can only guess") if halved else (math.log(4), "log 4: D can only guess")
        return cls(run.id, run.losses["discriminator"].logits, equilibrium, run.steps_per_epoch)


def read_metrics(path: Path) -> dict[str, Points]:
    """The content of ``metrics.jsonl``: steps and values of each metric; what was not finite is left out."""
    columns: dict[str, list[tuple[int, float]]] = {}
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        for text in file:
            with contextlib.suppress(ValueError):  # a line that a crash tore
                line = json.loads(text)
                for name, value in line["metrics"].items():
                    if value is not None:
                        columns.setdefault(name, []).append((line["step"], value))
    return {name: (np.array([step for step, _ in points]), np.array([value for _, value in points])) for name, points in columns.items()}


def draw(metrics: dict[str, Points], captions: Captions, path: Path) -> None:
    """Draw the picture and write it to ``path``, whole or not at all."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # which fonts it has instead of others is nobody's business
    panels = [draw_losses, draw_scores]
    if len(updates_per_step(metrics)) == 2:
        panels.append(draw_updates)
    with rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left"}):
        figure = Figure(figsize=(8, 1.1 + 2.3 * len(panels)), dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for panel, ax in zip(panels, axes, strict=True):
            panel(ax, metrics, captions)
            ax.grid(alpha=0.25, linewidth=0.6)
            ax.margins(x=0.01)
            if ax.get_legend_handles_labels()[0]:
                ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, handlelength=1.4)
        axes[-1].set_xlabel("step")
        axes[-1].xaxis.set_major_formatter("{x:,.0f}")
        if captions.steps_per_epoch:
            per = captions.steps_per_epoch
            top = axes[0].secondary_xaxis("top", functions=(lambda step: step / per, lambda epoch: epoch * per))
            top.set_xlabel("epoch")
            top.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.suptitle(captions.title, fontsize=11, fontweight="bold", x=0.01, ha="left")
        aside = path.with_name(f".{path.name}.part")
        figure.savefig(aside, format="png")
    aside.replace(path)


def draw_losses(ax: Axes, metrics: dict[str, Points], captions: Captions) -> None:
    """Both players' losses, on a logarithmic scale where they span more than two decades."""
    values = []
    for role, colour in COLOURS.items():
        if f"loss/{role}" in metrics:
            curve(ax, metrics[f"loss/{role}"], colour, role)
            values.append(metrics[f"loss/{role}"][1])
    if captions.equilibrium is not None:
        reference(ax, *captions.equilibrium, COLOURS["discriminator"])
    every = np.concatenate(values) if values else np.ones(1)
    if every.min() > 0 and every.max() / every.min() > 100:
        ax.set_yscale("log")
    ax.set_title("loss")


def draw_scores(ax: Axes, metrics: dict[str, Points], captions: Captions) -> None:
    """What the discriminator thinks of real and of generated samples."""
    real, fake = ("D(x), real", "D(G(z)), fake") if captions.probabilities else ("real", "fake")
    for side, label, colour in (("real", real, COLOURS["discriminator"]), ("fake", fake, COLOURS["generator"])):
        if f"score/{side}" in metrics:
            curve(ax, metrics[f"score/{side}"], colour, label)
    if captions.probabilities:
        ax.set_ylim(-0.02, 1.02)
        reference(ax, 0.5, "1/2", "#555555")
        ax.set_title("D's mean probability that a sample is real")
    else:
        ax.set_title("D's mean score")


def draw_updates(ax: Axes, metrics: dict[str, Points], captions: Captions) -> None:
    """How often each player was updated in a step."""
    for role, points in updates_per_step(metrics).items():
        curve(ax, points, COLOURS[role], role)
    ax.set_ylim(bottom=0)
    ax.set_title("updates per step")


def updates_per_step(metrics: dict[str, Points]) -> dict[str, Points]:
    """Updates of each player in a step, over each logging interval; empty where each always had one, which needs no picture."""
    found = {}
    for role in COLOURS:
        steps, total = metrics.get(f"updates/{role}", (np.zeros(0), np.zeros(0)))
        if len(steps):
            found[role] = (steps, np.diff(total, prepend=0.0) / np.maximum(np.diff(steps, prepend=0), 1))
    return found if any((rate != 1).any() for _, rate in found.values()) else {}


def curve(ax: Axes, points: Points, colour: str, label: str) -> None:
    """A curve; a long one faintly, with its running mean on top."""
    steps, values = points
    if len(values) < SMOOTH_FROM:
        ax.plot(steps, values, color=colour, linewidth=1.4, marker="o" if len(values) < 3 else None, label=label)
        return
    ax.plot(steps, values, color=colour, linewidth=0.7, alpha=0.3)
    ax.plot(*running_mean(points), color=colour, linewidth=1.6, label=label)


def running_mean(points: Points) -> Points:
    """The mean over a fiftieth of the curve around each point; shorter windows at both ends, so that it begins where the curve does."""
    steps, values = points
    half = max(1, len(values) // 100)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    reach = np.minimum(half, np.minimum(places, len(values) - 1 - places))
    return steps, (sums[places + reach + 1] - sums[places - reach]) / (2 * reach + 1)


def reference(ax: Axes, level: float, label: str, colour: str) -> None:
    """A dashed line to compare with, and its name."""
    ax.axhline(level, color=colour, linewidth=0.9, linestyle=(0, (4, 3)), alpha=0.6, zorder=1, label=label)


@hookimpl
def register_tricks(register: Register) -> None:
    register("loss_plot", LossPlot)
    register("last_batch", LastBatch)
