"""The progress of a run: its latest metrics, its losses so far and its speed, as terminal and notebook show them."""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ganlab.records.metric_lines import readable_lines
from ganlab.screen.curves import Curves

if TYPE_CHECKING:
    from ganlab.runs.run import Run

SCORES = (("D loss", "loss/discriminator"), ("G loss", "loss/generator"), ("D(x)", "score/real"), ("D(G(z))", "score/fake"))
LOSSES = ("loss/discriminator", "loss/generator")
COUNT = re.compile(r"\{([^{}]+)\}")  # the name of a count in a line of a trick


class LogForwarder(logging.Handler):
    """Forwards what ganlab and its plugins log (the start of a download, a retry) to ``tell``, until :meth:`stop` is called."""

    def __init__(self, tell: Callable[[str], None], level: int = logging.INFO) -> None:
        super().__init__(level)
        self.tell = tell
        logging.getLogger("ganlab").addHandler(self)
        logging.getLogger("ganlab").setLevel(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one record."""
        self.tell(record.getMessage())

    def stop(self) -> None:
        """Forward nothing more."""
        logging.getLogger("ganlab").removeHandler(self)


class Progress:
    """The metrics of a run so far.

    Attributes:
        metrics: by name, of the last interval.
        lines: the ``display_lines`` of the run's tricks: labels, and texts with names of counts in braces.
        totals: sums over the whole run of these counts.
        losses: the curves of both losses over the whole run.
    """

    def __init__(self, lines: Mapping[str, str] | None = None) -> None:
        self.lines = dict(lines or {})
        self.metrics: dict[str, float] = {}
        self.totals: dict[str, float] = {}
        self.losses = Curves(LOSSES)
        self._start = (time.monotonic(), 0)  # time and step at which this process began to train
        self._counted_step = 0  # the totals include metrics up to this step

    def start(self, run: Run) -> None:
        """Begin at the run's step. For a resumed run, load the metrics that it has recorded already."""
        self._start, self._counted_step = (_clock(run), run.step), run.step
        self.lines = dict(run.info.get("display_lines", {}))
        self.read(run.folder.metrics if run.folder is not None else None)

    def read(self, path: Path | None) -> None:
        """Replace totals and losses by those of the ``metrics.jsonl`` at ``path``; by empty ones if there is no such file."""
        self.totals, self.losses = {}, Curves(LOSSES)
        for line in readable_lines(path) if path is not None else ():
            record = json.loads(line)
            self._add(record["step"], {name: float("nan") if value is None else value for name, value in record["metrics"].items()})

    def update(self, run: Run, step: int, metrics: dict[str, float]) -> bool:
        """Add the metrics of an interval. Return False if the run was rolled back to a checkpoint since the last interval."""
        if step <= self._counted_step:
            self.start(run)
            self.metrics = metrics
            return False
        self._counted_step = step
        self._add(step, metrics)
        self.metrics = metrics
        return True

    def _add(self, step: int, metrics: dict[str, float]) -> None:
        self.metrics = {**self.metrics, **metrics}
        self.losses.add(step, metrics)
        for name in {name for line in self.lines.values() for name in COUNT.findall(line)}:
            value = metrics.get(name, math.nan)
            if not math.isnan(value):
                self.totals[name] = self.totals.get(name, 0.0) + value

    def pace(self, run: Run) -> str:
        """Return the speed and the time left as text, from the steps since this process began; empty before the first step."""
        seconds, steps = _clock(run) - self._start[0], run.step - self._start[1]
        if not steps or not seconds:
            return ""
        left = (run.total_steps - run.step) * seconds / steps
        return f"{steps / seconds:,.0f} steps/s  ETA {left // 60:.0f}:{left % 60:02.0f}"

    def values(self) -> list[tuple[str, str]]:
        """Return labels and values of the last interval's metrics, as people call them and read them."""
        metrics = self.metrics
        values = [(label, f"{metrics[name]:.3f}") for label, name in SCORES if name in metrics]
        if "accuracy/real" in metrics and "accuracy/fake" in metrics:
            values.append(("D right on real/fake", f"{metrics['accuracy/real']:.0%}/{metrics['accuracy/fake']:.0%}"))
        for label, line in self.lines.items():
            if self.totals.keys() >= set(COUNT.findall(line)):
                values.append((label, COUNT.sub(lambda match: f"{self.totals[match[1]]:,.0f}", line)))
        return values

    def line(self) -> str:
        """Return the labels and values as one line of text."""
        return "  ".join(f"{label} {value}" for label, value in self.values())


def _clock(run: Run) -> float:
    """Return the time in seconds without that of evaluations: training a judge once must not change the estimate of the time left."""
    return time.monotonic() - run.evaluations.seconds
