"""How a run is going, for whatever shows it: a terminal, or a notebook."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ganlab.comparison.curves import Curves
from ganlab.records.metric_lines import whole_lines

if TYPE_CHECKING:
    from ganlab.runs.run import Run

SCORES = (("D loss", "loss/discriminator"), ("G loss", "loss/generator"), ("D(x)", "score/real"), ("D(G(z))", "score/fake"))
LOSSES = ("loss/discriminator", "loss/generator")


class Hearing(logging.Handler):
    """What ganlab and its plugins log (a download that begins, a retry) is told where announcements are, until it is stopped."""

    def __init__(self, tell: Callable[[str], None], level: int = logging.INFO) -> None:
        super().__init__(level)
        self.tell = tell
        logging.getLogger("ganlab").addHandler(self)
        logging.getLogger("ganlab").setLevel(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one record."""
        self.tell(record.getMessage())

    def stop(self) -> None:
        """Hear no more."""
        logging.getLogger("ganlab").removeHandler(self)


class Progress:
    """The numbers of a run up to now.

    Attributes:
        metrics: of the last interval.
        totals: of what is counted, over the whole run.
        losses: both, over the whole run.
    """

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}
        self.totals: dict[str, float] = {}
        self.losses = Curves(LOSSES)
        self._began = (time.monotonic(), 0)
        self._counted = 0  # the step up to which the totals go

    def begin(self, run: Run) -> None:
        """``run`` trains from here on; one that goes on from a checkpoint has a record already."""
        self._began, self._counted = (_clock(run), run.step), run.step
        self.read(run.folder.metrics if run.folder is not None else None)

    def read(self, path: Path | None) -> None:
        """Begin anew with what ``metrics.jsonl`` at ``path`` says."""
        self.totals, self.losses = {}, Curves(LOSSES)
        for line in whole_lines(path.read_bytes()) if path is not None and path.is_file() else []:
            found = json.loads(line)
            self._add(found["step"], {name: float("nan") if value is None else value for name, value in found["metrics"].items()})

    def hear(self, run: Run, step: int, metrics: dict[str, float]) -> bool:
        """Take in the metrics of an interval. False: the run has been put back to a checkpoint since the last one."""
        if step <= self._counted:
            self.begin(run)
            self.metrics = metrics
            return False
        self._counted = step
        self._add(step, metrics)
        self.metrics = metrics
        return True

    def _add(self, step: int, metrics: dict[str, float]) -> None:
        self.metrics = {**self.metrics, **metrics}
        self.losses.add(step, metrics)
        for name, value in metrics.items():
            if name.startswith("adaptive/") and value == value:
                self.totals[name] = self.totals.get(name, 0.0) + value

    def pace(self, run: Run) -> str:
        """Speed and time left, from the steps since this process began."""
        seconds, steps = _clock(run) - self._began[0], run.step - self._began[1]
        if not steps or not seconds:
            return ""
        left = (run.total_steps - run.step) * seconds / steps
        return f"{steps / seconds:,.0f} steps/s  ETA {left // 60:.0f}:{left % 60:02.0f}"

    def values(self) -> list[tuple[str, str]]:
        """The numbers of the last interval, in words that people use."""
        m = self.metrics
        values = [(label, f"{m[name]:.3f}") for label, name in SCORES if name in m]
        if "accuracy/real" in m and "accuracy/fake" in m:
            values.append(("D right on real/fake", f"{m['accuracy/real']:.0%}/{m['accuracy/fake']:.0%}"))
        if "adaptive/updates" in m:
            t = {name.partition("/")[2]: f"{value:,.0f}" for name, value in self.totals.items()}
            values.append(("G steps", f"{t['updates']}, rested {t['rested']}, waited {t['waited']}, capped {t['capped']}"))
        return values


def _clock(run: Run) -> float:
    """Seconds, without those in which samples were measured: a judge that is trained once says nothing of the time that is left."""
    return time.monotonic() - run.evaluations.seconds
