"""The pictures of the gallery."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from measures import TrainedRecipe

from ganlab.pictures import image_grid

SIDE = 8  # samples in a row and in a column of a sheet
COLUMNS = 3
WIDTH = 46  # characters in a line of a sheet's title
COLOURS = {"discriminator": "#0072b2", "generator": "#d55e00"}
STYLE = {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 9, "axes.titlelocation": "left"}


@contextlib.contextmanager
def panels(path: Path, count: int, size: tuple[float, float], columns: int = COLUMNS, shared: bool = False) -> Iterator[list[Axes]]:
    """A figure of panels, each of ``size`` in inches, saved at ``path`` in the end."""
    rows = -(-count // columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(size[0] * columns, size[1] * rows), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        axes = list(figure.subplots(rows, columns, squeeze=False, sharey=shared).flat)
        for ax in axes[count:]:
            ax.axis("off")
        yield axes[:count]
        figure.savefig(path, format="png")


def sheet(ax: Axes, title: str, pictures: np.ndarray) -> None:
    """The first samples, as a grid."""
    images = torch.from_numpy(pictures[: SIDE * SIDE]).reshape(-1, 1, 28, 28)
    ax.imshow(image_grid(images, (0, 255), SIDE), interpolation="nearest")
    ax.set_title("\n".join(line for part in title.splitlines() for line in textwrap.wrap(part, WIDTH)))
    ax.axis("off")


def sheets(pictures: Mapping[str, np.ndarray], path: Path, columns: int = COLUMNS) -> None:
    """Sheets of samples side by side, by their titles."""
    with panels(path, len(pictures), (2.9, 3.05), columns) as axes:
        for ax, (title, found) in zip(axes, pictures.items(), strict=True):
            sheet(ax, title, found)


def losses(runs: Sequence[TrainedRecipe], path: Path) -> None:
    """Both players' losses over the steps, of all recipes."""
    with panels(path, len(runs), (2.9, 1.9)) as axes:
        for ax, run in zip(axes, runs, strict=True):
            for role, colour in COLOURS.items():
                steps, values = run.curve(f"loss/{role}")
                ax.plot(steps, values, color=colour, linewidth=0.8, label=f"{role}'s loss")
            guessing = np.log(2) if run.document["schedule"]["discriminator_loss"] == "mean" else np.log(4)
            ax.axhline(guessing, color=COLOURS["discriminator"], linewidth=0.8, linestyle=":", label="D can only guess")
            ax.set_title(run.name)
            ax.xaxis.set_major_formatter("{x:,.0f}")
            ax.xaxis.set_major_locator(_few())
        axes[0].legend(frameon=False)
        for ax in axes[-COLUMNS:]:
            ax.set_xlabel("step")


def seeds(runs: Mapping[str, TrainedRecipe], metrics: Mapping[str, str], path: Path) -> None:
    """A panel for each metric, with its title: a point for each seed of each group, and a line at their mean."""
    with panels(path, len(metrics), (4.2, 0.4 + 0.32 * len(runs)), columns=len(metrics)) as axes:
        for ax, (metric, title) in zip(axes, metrics.items(), strict=True):
            for place, run in enumerate(runs.values()):
                values = [result.values[metric] for result in run.results]
                ax.plot(values, [place] * len(values), "o", color=COLOURS["discriminator"], alpha=0.5, markersize=5, markeredgewidth=0)
                ax.plot([float(np.mean(values))] * 2, [place - 0.3, place + 0.3], color=COLOURS["generator"], linewidth=2)
            ax.set_yticks(range(len(runs)), list(runs) if ax is axes[0] else [""] * len(runs))
            ax.set_ylim(len(runs) - 0.5, -0.5)
            ax.set_title(title)
            ax.grid(axis="x", alpha=0.3)


def logits(runs: Sequence[TrainedRecipe], path: Path) -> None:
    """D's mean logits on real images and on fakes over the steps, on one scale."""
    with panels(path, len(runs), (4.3, 2.5), columns=len(runs), shared=True) as axes:
        for ax, run in zip(axes, runs, strict=True):
            for side, colour in (("real", COLOURS["discriminator"]), ("fake", COLOURS["generator"])):
                ax.plot(*run.curve(f"logit/{side}"), color=colour, linewidth=1.2, label=f"{side} images")
            ax.axhline(0, color="#555555", linewidth=0.8, linestyle=":")
            ax.set_title(run.name)
            ax.set_xlabel("step")
            ax.xaxis.set_major_formatter("{x:,.0f}")
        axes[0].set_ylabel("D's mean logit")
        axes[0].legend(frameon=False)


def _few() -> object:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4)
