"""The evaluations of a run: quick ones while it goes on, the whole set when it is finished."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganlab.numbers import round_up
from ganlab.quality.evaluator import Evaluator
from ganlab.quality.report import Report
from ganlab.recipe import Evaluation
from ganlab.records.results import last_lines
from ganlab.speed.allocator import give_back
from ganlab.storage.atomic import write_text

if TYPE_CHECKING:
    from ganlab.runs.run import Run


def evaluation_interval(evaluation: Evaluation, total_steps: int) -> int:
    """Steps between quick evaluations with that budget: as the recipe says, else four to ten in a run; 0 for none."""
    return round_up(max(1, total_steps // 10)) if evaluation.every is None else evaluation.every


class Evaluations:
    """When a run's samples are measured, and where that is written down.

    Args:
        run: it, with its data placed.
        cache: where judges keep files.

    Attributes:
        every: steps from one quick evaluation to the next; 0 for none.
        final: what was found at the end.
        cut_short: whether the run was asked to stop while it was measured at its end.
        seconds: what all of it has taken in this process.
    """

    def __init__(self, run: Run, cache: Path) -> None:
        self.run = run
        self.final: Report | None = None
        self.seconds = 0.0
        self.cut_short = False
        self.every = evaluation_interval(run.recipe.evaluation, run.total_steps)
        self.evaluator = Evaluator(run.recipe, run.dataset, cache, run.device, lambda text: run.tell(text), run.announce)

    def due(self, step: int) -> bool:
        """Whether a quick evaluation is due at ``step``, which is logged: the first such step in each interval, and the last of the run."""
        log_every = self.run.recipe.train.log_every
        if not self.every or not self.evaluator.wanted(quick=True):
            return False
        return step // self.every > (step - log_every) // self.every or step == self.run.total_steps

    def quick(self) -> dict[str, float]:
        """Measure what is quick to measure: the numbers, as ``quality/...``. None where the run was stopped while a judge was made."""
        report = self._measure(quick=True)
        give_back()
        return {} if report.stopped else {f"quality/{name}": value for name, value in report.values.items()}

    def catch_up(self) -> None:
        """Measure of a run that goes on what :meth:`quick` left out at its last step."""
        run = self.run
        here = [line["metrics"] for line in last_lines(run.folder) if line["step"] == run.step] if run.folder is not None else []
        logged = any("progress/epoch" in metrics for metrics in here)
        if logged and self.due(run.step) and not any(name.startswith("quality/") for metrics in here for name in metrics):
            metrics = self.quick()
            if metrics:
                run.write_down(metrics)

    def at_end(self) -> None:
        """Measure everything, as ``final/...`` and in ``evaluation.json``, if the recipe says so and there is anything to measure."""
        run = self.run
        if not run.recipe.evaluation.at_end or run.folder is None or not self.evaluator.wanted(quick=False):
            return
        report = self._measure(quick=False)
        if run.stopping:
            self.cut_short = True
            run.tell(f"The run was stopped while its samples were measured; `ganlab resume {run.id}` measures them.")
            return
        self.final = report
        run.write_down({f"final/{name}": value for name, value in self.final.values.items()})
        write_text(run.folder.evaluation, to_json(self.final, run.step))

    def _measure(self, quick: bool) -> Report:
        run, count = self.run, self.evaluator.count(quick)
        started = time.monotonic()
        with run.clock_stopped():
            latent = run.sampler.fixed_latent(count, "evaluation")
            labels = self.evaluator.labels(count) if run.players["generator"].takes_labels else None
            fakes = run.generate(latent, labels)
            report = self.evaluator.measure(fakes, quick, lambda: run.stopping)
        report.seconds = time.monotonic() - started
        self.seconds += report.seconds
        run.record_clock({f"speed/{'quick' if quick else 'final'}_evaluation_seconds": report.seconds})
        return report


def to_json(report: Report, step: int) -> str:
    """What ``evaluation.json`` holds: of which step, the numbers, what they were measured on, and what could not be measured."""
    content: dict[str, Any] = {"step": step, "values": report.values, "better": report.better}
    content |= {"collapsed": report.collapsed, "about": report.about, "not_measured": report.missing}
    return json.dumps({**content, "seconds": round(report.seconds, 3)}, indent=2) + "\n"
