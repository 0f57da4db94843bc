"""The evaluations of a run: quick metrics at intervals while it trains, all metrics at its end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganlab.game.game import Game
from ganlab.numbers import round_up
from ganlab.quality.evaluator import Evaluator
from ganlab.quality.report import Report
from ganlab.recipe import Evaluation
from ganlab.records.record import Record
from ganlab.records.results import last_lines
from ganlab.runs.clock import Clock
from ganlab.runs.sampler import Sampler
from ganlab.speed.allocator import trim_heap
from ganlab.storage.atomic import write_text


def evaluation_interval(evaluation: Evaluation, total_steps: int) -> int:
    """Steps between quick evaluations with that budget: as the recipe says, else four to ten in a run; 0 for none."""
    return round_up(max(1, total_steps // 10)) if evaluation.every is None else evaluation.every


class Evaluations:
    """Measures a run's samples when that is due, and writes the results down.

    Args:
        game: the run's, with its data placed.
        record, sampler, clock: of the same run.
        write_metrics: appends a line to ``metrics.jsonl``.
        stopping: returns whether the run was asked to stop.
        cache: the folder in which judges keep files.

    Attributes:
        every: steps from one quick evaluation to the next; 0 for none.
        final: the report of the evaluation at the end; None before it.
        cut_short: whether the run was asked to stop during the evaluation at its end.
        seconds: the time of all evaluations in this process.
    """

    def __init__(
        self,
        game: Game,
        record: Record,
        sampler: Sampler,
        clock: Clock,
        write_metrics: Callable[[dict[str, float]], None],
        stopping: Callable[[], bool],
        cache: Path,
    ) -> None:
        self.game, self.record, self.sampler, self.clock = game, record, sampler, clock
        self.write_metrics, self.stopping = write_metrics, stopping
        self.final: Report | None = None
        self.seconds = 0.0
        self.cut_short = False
        self.every = evaluation_interval(game.recipe.evaluation, game.total_steps)
        self.evaluator = Evaluator(game.recipe, game.dataset, cache, game.device, lambda text: record.tell(text), record.announce)

    def due(self, step: int) -> bool:
        """Whether a quick evaluation is due at ``step``, which is logged: the first such step in each interval, and the last of the run."""
        log_every = self.game.recipe.train.log_every
        if not self.every or not self.evaluator.wanted(quick=True):
            return False
        return step // self.every > (step - log_every) // self.every or step == self.game.total_steps

    def quick(self) -> dict[str, float]:
        """Measure with the quick metrics: values as ``quality/...``; empty where the run was stopped while its judge was made."""
        report = self._measure(quick=True)
        trim_heap()
        return {} if report.stopped else {f"quality/{name}": value for name, value in report.values.items()}

    def catch_up(self) -> None:
        """Measure a resumed run at its last step, if :meth:`quick` was interrupted there."""
        step, folder = self.game.step, self.record.folder
        lines_of_step = [line["metrics"] for line in last_lines(folder) if line["step"] == step] if folder is not None else []
        logged = any("progress/epoch" in metrics for metrics in lines_of_step)
        if logged and self.due(step) and not any(name.startswith("quality/") for metrics in lines_of_step for name in metrics):
            metrics = self.quick()
            if metrics:
                self.write_metrics(metrics)

    def at_end(self) -> None:
        """Measure with all metrics, if the recipe asks for it: values as ``final/...`` and in ``evaluation.json``."""
        folder = self.record.folder
        if not self.game.recipe.evaluation.at_end or folder is None or not self.evaluator.wanted(quick=False):
            return
        report = self._measure(quick=False)
        if self.stopping():
            self.cut_short = True
            run_id = folder.path.name
            self.record.tell(f"The run was stopped while its samples were measured; `ganlab resume {run_id}` measures them.")
            return
        self.final = report
        self.write_metrics({f"final/{name}": value for name, value in report.values.items()})
        write_text(folder.evaluation, to_json(report, self.game.step))

    def _measure(self, quick: bool) -> Report:
        count = self.evaluator.count(quick)
        started = time.monotonic()
        with self.clock.stopped():
            latent = self.sampler.fixed_latent(count, "evaluation")
            labels = self.evaluator.labels(count) if self.game.players["generator"].takes_labels else None
            fakes = self.sampler.generate(latent, labels)
            report = self.evaluator.measure(fakes, quick, self.stopping)
        report.seconds = time.monotonic() - started
        self.seconds += report.seconds
        self.record.write_clock(self.game.step, {f"speed/{'quick' if quick else 'final'}_evaluation_seconds": report.seconds})
        return report


def to_json(report: Report, step: int) -> str:
    """The content of ``evaluation.json``: the step, the values, what they were measured on, and what could not be measured."""
    content: dict[str, Any] = {"step": step, "values": report.values, "better": report.better, "main_results": report.main_results}
    content |= {"collapsed": report.collapsed, "about": report.about, "not_measured": report.missing}
    return json.dumps({**content, "seconds": round(report.seconds, 3)}, indent=2) + "\n"
