"""The evaluations of a run: quick metrics at intervals while it trains, all metrics at its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ganlab.game.game import Game
from ganlab.numbers import round_up
from ganlab.quality.evaluator import Evaluator
from ganlab.quality.report import Report
from ganlab.recipe import Evaluation
from ganlab.records.record import Record
from ganlab.records.results import last_lines
from ganlab.runs.clock import Clock
from ganlab.runs.sampler import Sampler
from ganlab.storage.atomic import write_text


def evaluation_interval(evaluation: Evaluation, total_steps: int) -> int:
    """Steps between quick evaluations with that budget: as the recipe says, else four to ten in a run; 0 for none."""
    return round_up(max(1, total_steps // 10)) if evaluation.every is None else evaluation.every


class Evaluations:
    """Measures a run's samples when that is due, and logs the results.

    Args:
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
        """Whether a quick evaluation is due at the logged step ``step``: at the first one in each interval, and at the run's last."""
        log_every = self.game.recipe.train.log_every
        if not self.every or not self.evaluator.wanted(quick=True):
            return False
        return step // self.every > (step - log_every) // self.every or step == self.game.total_steps

    def quick(self) -> dict[str, float]:
        """Measure the quick metrics. Returns them as ``quality/...``, or nothing if the run was stopped while its judge was made."""
        report = self._measure(quick=True)
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
        """Measure all metrics, if the recipe asks for it. Log them as ``final/...``, and write ``evaluation.json``."""
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
        write_text(folder.evaluation, report.to_json(self.game.step))

    def _measure(self, quick: bool) -> Report:
        with self.clock.stopped():
            report = self.evaluator.measure_generator(self.sampler.source, quick, self.stopping)
        self.seconds += report.seconds
        self.record.write_clock(self.game.step, {f"speed/{'quick' if quick else 'final'}_evaluation_seconds": report.seconds})
        return report
