"""The evaluator: measures generated samples with the recipe's metrics. It makes the judge when a metric first needs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ganlab.components import Dataset
from ganlab.errors import GanlabError, PluginError
from ganlab.evaluation import (
    CHUNK,
    Evidence,
    Judge,
    JudgeSpec,
    Metric,
    NoJudge,
    NotMeasured,
    Samples,
    Stopped,
    complete_of,
    held_out_of,
    pictures,
)
from ganlab.game.blame import blamed
from ganlab.game.factories import make, owner_of
from ganlab.game.out_of_memory import is_memory_error
from ganlab.game.precision import tf32
from ganlab.game.random_streams import default_generators_restored, derive, seed_default_generators
from ganlab.generators.sampling import SampleSource
from ganlab.quality.attributed_judge import AttributedJudge
from ganlab.quality.metric_checks import check_metric
from ganlab.quality.real_samples import RealSamples
from ganlab.quality.report import Report
from ganlab.recipe import Choice, Recipe

TRAINING = 100_000  # at most so many training samples are passed to metrics


class Evaluator:
    """Measures samples of one data set with one recipe's metrics.

    Args:
        recipe: determines the metrics, the judge, and the numbers of samples.
        dataset: the training data, placed.
        cache: the folder in which judges keep files.
        device: where judges compute.
        tell: prints a paragraph about work that takes its time.
        warn: announces what could not be measured but should have been.

    Attributes:
        metrics: the metrics that can measure the data set, with their place in the recipe, by name.
        unfit: why each other metric cannot.
        real: the real samples that fakes are compared with.

    Raises:
        RecipeError: a metric refuses its options.
        PluginError: a metric does not implement the protocol, or two metrics give a result of the same name.
    """

    def __init__(
        self,
        recipe: Recipe,
        dataset: Dataset,
        cache: Path,
        device: torch.device,
        tell: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> None:
        self.recipe, self.dataset, self.cache, self.device, self.tell, self.warn = recipe, dataset, cache, device, tell, warn
        self.metrics: dict[str, tuple[Choice, Metric]] = {}
        self.unfit: dict[str, str] = {}
        for choice in recipe.metrics:
            self._add(choice, make(choice))
        self.real = RealSamples(dataset, recipe.data.use, lambda: self.judge, warn)
        self._no_judge_reason = ""
        self._failures_announced: set[str] = set()  # names of metrics
        self._stopping: Callable[[], bool] = lambda: False

    def _add(self, choice: Choice, metric: Metric) -> None:
        """Add a metric to ``metrics`` or ``unfit``."""
        check_metric(owner_of(choice), metric)
        reason = self._unfit_reason(choice, metric)
        if reason:
            self.unfit[choice.name] = reason
            return
        for other_name, (_, other) in self.metrics.items():
            shared = [name for name in metric.results if name in other.results]
            if shared:
                raise PluginError(
                    f"{choice.where}: metrics '{other_name}' and '{choice.name}' both give '{shared[0]}'", "disable one of them"
                )
        self.metrics[choice.name] = (choice, metric)

    def _unfit_reason(self, choice: Choice, metric: Metric) -> str:
        """Why the metric cannot measure the data set; empty if it can."""
        if metric.needs != "samples":
            if self.dataset.range is None:
                return "it is for images"
            if self.recipe.judge is None:
                return "the recipe has no [judge]"
        if hasattr(metric, "unfit"):
            with blamed(owner_of(choice)):
                return str(metric.unfit(self.dataset))
        return ""

    def wanted(self, quick: bool) -> bool:
        """Whether there is a metric to measure; with ``quick``, a quick one."""
        return any(metric.quick or not quick for _, metric in self.metrics.values())

    def count(self, quick: bool) -> int:
        """How many fakes an evaluation needs: at most as many as there are real samples."""
        evaluation = self.recipe.evaluation
        return min(evaluation.quick_samples if quick else evaluation.samples, len(self.dataset))

    def measure_generator(self, source: SampleSource, quick: bool, stopping: Callable[[], bool] = lambda: False) -> Report:
        """Make samples of a generator from fixed noise, and measure them. Args as :meth:`measure`."""
        started = time.monotonic()
        count = self.count(quick)
        latent = source.fixed_latent(count, "evaluation")
        fakes = source.generate(latent, self.real.labels(count) if source.takes_labels else None)
        report = self.measure(fakes, quick, stopping)
        report.seconds = time.monotonic() - started
        return report

    def measure(self, fakes: Tensor, quick: bool, stopping: Callable[[], bool] = lambda: False) -> Report:
        """Measure samples.

        A metric that raises is announced, and listed as missing in the report.

        Args:
            fakes: as the generator made them, ``(count, *shape)``.
            quick: measure the quick metrics only.
            stopping: whether the evaluation should stop. Then metrics that wait for the judge to be made are not measured, nor is any
                later metric, except in a quick evaluation.
        """
        self._stopping = stopping
        report = Report(missing=dict(self.unfit))
        report.about = {"samples": len(fakes)}
        if not bool(torch.isfinite(fakes).all()):
            report.missing |= dict.fromkeys(self.metrics, "the samples are not finite")
            return report
        with default_generators_restored(self.device), tf32(False):
            evidence = self._evidence(fakes)
            for name, (choice, metric) in self.metrics.items():
                if quick and not metric.quick:
                    continue
                if not quick and stopping():
                    report.stopped, report.missing[name] = True, Stopped().message
                    continue
                seed_default_generators(derive(0, "evaluation", name), self.device)
                self._measure(report, evidence, choice, metric)
        report.about |= {"real": len(evidence.real), "held_out": 0 if evidence.held_out is None else len(evidence.held_out)}
        if "judge" in vars(self):
            report.about |= {"judge": self.judge.description, "judge_identity": self.judge.identity}
        report.about |= {name: fact for name, fact in evidence.facts.items() if name not in report.about}
        return report

    def _evidence(self, fakes: Tensor) -> Evidence:
        count = len(fakes)
        real, training = self.real.select("real", count), self.real.select("real", TRAINING)
        assert real is not None and training is not None
        fake = Samples(lambda: (pictures(self.dataset, part) for part in torch.split(fakes, CHUNK)), lambda: self.judge, count)
        return Evidence(fake, real, self.real.select("held out", count), training, self.dataset)

    def _measure(self, report: Report, evidence: Evidence, choice: Choice, metric: Metric) -> None:
        """Add the results of one metric to the report, or the reason why it has none."""
        try:
            values, collapsed = self._results(evidence, choice, metric)
        except NotMeasured as error:
            report.stopped |= isinstance(error, Stopped)
            report.missing[choice.name] = error.message
        except GanlabError as error:
            report.missing[choice.name] = error.message
            report.faulty |= {choice.name} if isinstance(error, PluginError) else set()
            if choice.name not in self._failures_announced:  # it may fail in each evaluation
                self.warn(f"A metric is not measured: {error}")
            self._failures_announced.add(choice.name)
        except Exception as error:
            if not is_memory_error(error):
                raise
            report.missing[choice.name] = "there is not enough memory"
            self.warn(f"A metric is not measured: there is not enough memory for {owner_of(choice)}. Set a smaller evaluation.samples.")
        else:
            report.add(choice.name, metric, values)
            report.collapsed = "; ".join(filter(None, [report.collapsed, collapsed]))

    def _results(self, evidence: Evidence, choice: Choice, metric: Metric) -> tuple[dict[str, float], str]:
        """The numbers of one metric, and why it considers the samples collapsed (empty if it does not)."""
        if metric.needs == "probabilities" and not self.judge.classes:
            raise NoJudge("the judge knows no classes")
        with blamed(owner_of(choice)), torch.no_grad():
            results = metric.measure(evidence)
            if not isinstance(results, Mapping):
                raise TypeError(f"measure() returned a {type(results).__name__}, not a dict of numbers by name")
            values = {name: float(value) for name, value in results.items()}
            collapsed = str(metric.collapsed(values, evidence.dataset)) if hasattr(metric, "collapsed") else ""
        unknown = sorted(set(values) - set(metric.results))
        if unknown:
            raise PluginError(f"{owner_of(choice)} gives {unknown}, which its `results` do not name")
        return values, collapsed

    @cached_property
    def judge(self) -> Judge:
        """The recipe's judge, made or read from the cache.

        Raises:
            NoJudge: the recipe has none, or it could not be made. The reason is announced once.
            Stopped: the evaluation was asked to stop while the judge was made. The next access makes it anew.
        """
        choice = self.recipe.judge
        if choice is None:
            raise NoJudge("the recipe has no [judge]")
        if self._no_judge_reason:
            raise NoJudge(self._no_judge_reason)
        try:
            complete, held_out = self._judge_data()
            spec = JudgeSpec(complete, held_out, self.cache, self.device, self.tell, lambda: self._stopping())
            return AttributedJudge(make(choice, spec), owner_of(choice))
        except Stopped:
            raise
        except GanlabError as error:
            self._no_judge_reason = f"there is no judge: {error.message}"
            self.warn(f"Metrics that need a judge are not measured. {error}")
            raise NoJudge(self._no_judge_reason) from error

    def _judge_data(self) -> tuple[Dataset, Dataset | None]:
        """The data that the judge learns, with every class, and their held-out data."""
        with blamed(f"dataset '{self.recipe.data.use}', in complete(),"):
            complete = complete_of(self.dataset)
            held_out = self.real.held_out if complete is self.dataset else held_out_of(complete)
            for dataset in (complete, held_out):
                if dataset is not None and dataset is not self.dataset and dataset is not self.real.held_out:
                    dataset.place(torch.device("cpu"), torch.float32)
        return complete, held_out
