"""Measuring samples: the recipe's metrics, the real samples that fakes are held against, and the judge, made when it is first asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from ganlab.components import Dataset
from ganlab.errors import GanlabError, PluginError, did_you_mean
from ganlab.evaluation import (
    CHUNK,
    Better,
    Evidence,
    Judge,
    JudgeSpec,
    Metric,
    Needs,
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
from ganlab.quality.report import Report
from ganlab.recipe import Choice, Recipe
from ganlab.speed.lazy_compiler import delay_compiler_import

TRAINING = 100_000  # most of the training data that metrics are shown


class Named:
    """A judge whose errors name it."""

    def __init__(self, judge: Judge, owner: str) -> None:
        for name in ("description", "identity", "classes", "features"):
            if not hasattr(judge, name):
                raise PluginError(f"{owner} has no `{name}`", "see ganlab.evaluation.Judge, or `docs/evaluation.md`, for what a judge has")
        self.instance, self._owner = judge, owner
        self.description, self.identity, self.classes = judge.description, judge.identity, judge.classes
        if hasattr(judge, "classify"):
            self.classify = self._classify

    def features(self, images: Tensor) -> Tensor:
        with blamed(self._owner):
            return self.instance.features(images)

    def probabilities(self, images: Tensor) -> Tensor:
        with blamed(self._owner):
            return self.instance.probabilities(images)

    def _classify(self, features: Tensor) -> Tensor:
        with blamed(self._owner):
            found: Tensor = self.instance.classify(features)  # type: ignore[attr-defined]
            return found


def check_metric(owner: str, metric: Metric) -> None:
    """See that a metric has what the protocol asks for, before the first step.

    Raises:
        PluginError: something is missing, or of a kind that cannot be.
    """
    ways, needs = get_args(Better), get_args(Needs)
    if not isinstance(getattr(metric, "results", None), Mapping) or not metric.results:
        raise PluginError(f"{owner} does not say what it gives", 'write `results = {"my_number": "lower"}` into its class')
    for name, way in metric.results.items():
        if way not in ways:
            raise PluginError(f"{owner}: results['{name}'] is {way!r}", did_you_mean(str(way), ways))
    if getattr(metric, "needs", None) not in needs:
        given = getattr(metric, "needs", None)
        raise PluginError(f"{owner}: `needs` is {given!r}", did_you_mean(str(given), needs))
    if not isinstance(getattr(metric, "quick", None), bool):
        raise PluginError(
            f"{owner} does not say whether it is quick", "write `quick = True` (measured in training, too) or `quick = False`"
        )
    if not callable(getattr(metric, "measure", None)):
        raise PluginError(f"{owner} has no method measure", "def measure(self, evidence): return {...}")


class Evaluator:
    """Measures samples of one data set with one recipe's metrics.

    Args:
        recipe: says which metrics, which judge, how many samples.
        dataset: the training data, placed.
        cache: where judges keep files.
        device: where they compute.
        tell: told what takes its time.
        warn: told what could not be measured and should have been.

    Raises:
        RecipeError: a metric refuses its options, or two give a result of one name.
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
        self._sets: dict[tuple[str, int], Samples | None] = {}
        self._without_judge = ""  # why there is none
        self._told: set[str] = set()  # the metrics whose failure has been told
        self._stopping: Callable[[], bool] = lambda: False

    def _add(self, choice: Choice, metric: Metric) -> None:
        check_metric(owner_of(choice), metric)
        reason = self._reason(choice, metric)
        if reason:
            self.unfit[choice.name] = reason
            return
        for other, (_, taken) in self.metrics.items():
            both = [name for name in metric.results if name in taken.results]
            if both:
                raise PluginError(f"{choice.where}: metrics '{other}' and '{choice.name}' both give '{both[0]}'", "switch one of them off")
        self.metrics[choice.name] = (choice, metric)

    def _reason(self, choice: Choice, metric: Metric) -> str:
        """Why that metric cannot measure these data, or empty."""
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
        """Whether there is anything to measure."""
        return any(metric.quick or not quick for _, metric in self.metrics.values())

    def count(self, quick: bool) -> int:
        """How many fakes an evaluation takes: no more than there are real samples."""
        evaluation = self.recipe.evaluation
        return min(evaluation.quick_samples if quick else evaluation.samples, len(self.dataset))

    def measure(self, fakes: Tensor, quick: bool, stopping: Callable[[], bool] = lambda: False) -> Report:
        """Measure fakes as the generator made them, ``(count, *shape)``.

        A metric that raises is told of, and left out of the report. So is, once ``stopping`` says so, each that waits for a judge to be
        made, and every later one unless they are quick.
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

    def _measure(self, report: Report, evidence: Evidence, choice: Choice, metric: Metric) -> None:
        try:
            if metric.needs == "probabilities" and not self.judge.classes:
                raise NoJudge("the judge knows no classes")
            with blamed(owner_of(choice)), torch.no_grad():
                given = metric.measure(evidence)
                if not isinstance(given, Mapping):
                    raise TypeError(f"measure() gave a {type(given).__name__}, not a dict of numbers by name")
                found = {name: float(value) for name, value in given.items()}
                collapsed = str(metric.collapsed(found, evidence.dataset)) if hasattr(metric, "collapsed") else ""
            if set(found) - set(metric.results):
                raise PluginError(f"{owner_of(choice)} gives {sorted(set(found) - set(metric.results))}, which its `results` do not name")
        except NotMeasured as error:
            report.stopped |= isinstance(error, Stopped)
            report.missing[choice.name] = error.message
        except GanlabError as error:
            report.missing[choice.name] = error.message
            if choice.name not in self._told:  # it may fail at each evaluation
                self.warn(f"A metric is not measured: {error}")
            self._told.add(choice.name)
        except Exception as error:
            if not is_memory_error(error):
                raise
            report.missing[choice.name] = "the memory did not suffice"
            self.warn(f"A metric is not measured: the memory does not suffice for {owner_of(choice)}. Set a smaller evaluation.samples.")
        else:
            lost = [name for name, value in found.items() if not math.isfinite(value)]
            report.missing |= dict.fromkeys(lost, "it is not a finite number")
            report.values |= {name: value for name, value in found.items() if name not in lost}
            report.better |= {name: metric.results[name] for name in found if name not in lost}
            report.collapsed = "; ".join(filter(None, [report.collapsed, collapsed]))

    def labels(self, count: int) -> Tensor | None:
        """The labels of the real samples that ``count`` fakes are held against, for generators that take labels: their law is that of the
        data. Where the samples have none, all classes in turn; None where there are no classes either.
        """
        parts = [self.dataset.fetch(part).labels for part in torch.split(self._order(self.dataset, "real", count), CHUNK)]
        found = [labels.cpu() for labels in parts if labels is not None]
        if len(found) == len(parts):
            return torch.cat(found)
        return torch.arange(count) % len(self.dataset.class_names) if self.dataset.class_names else None

    # -- what fakes are held against ---------------------------------------------------------------------------------------

    def _evidence(self, fakes: Tensor) -> Evidence:
        count = len(fakes)
        real, training = self._chosen("real", count), self._chosen("real", TRAINING)
        assert real is not None and training is not None
        made = Samples(lambda: (pictures(self.dataset, part) for part in torch.split(fakes, CHUNK)), lambda: self.judge, count)
        return Evidence(made, real, self._chosen("held out", count), training, self.dataset)

    def _chosen(self, which: str, count: int) -> Samples | None:
        """``count`` real samples, the same ones in every run of that data set; what the judge sees in them is kept."""
        if (which, count) not in self._sets:
            source = self.dataset if which == "real" else self._held_out
            self._sets[which, count] = None if source is None else self._draw(source, which, count)
        return self._sets[which, count]

    def _order(self, source: Dataset, which: str, count: int) -> Tensor:
        """The samples that are taken, in random order, so that the first of them are a fair choice, too."""
        return torch.randperm(len(source), generator=torch.Generator().manual_seed(derive(0, "evaluation", which)))[:count]

    def _draw(self, source: Dataset, which: str, count: int) -> Samples:
        order = self._order(source, which, count)

        def parts() -> Iterator[Tensor]:
            for start in range(0, len(order), CHUNK):
                yield pictures(source, source.fetch(order[start : start + CHUNK]).images)

        return Samples(parts, lambda: self.judge, len(order))

    @cached_property
    def _held_out(self) -> Dataset | None:
        try:
            with blamed(f"dataset '{self.recipe.data.use}', in held_out(),"):
                held = held_out_of(self.dataset)
                if held is not None:
                    held.place(torch.device("cpu"), torch.float32)
        except GanlabError as error:
            self.warn(f"Samples are not held against any that are never trained on. {error}")
            return None
        return held

    @cached_property
    def judge(self) -> Judge:
        """The recipe's judge, made or read from the cache.

        Raises:
            NoJudge: there is none, or it could not be made; the reason is told once.
            Stopped: while it was made; when it is asked next it is made anew.
        """
        choice = self.recipe.judge
        if choice is None:
            raise NoJudge("the recipe has no [judge]")
        if self._without_judge:
            raise NoJudge(self._without_judge)
        try:
            with blamed(f"dataset '{self.recipe.data.use}', in complete(),"):
                whole = complete_of(self.dataset)
                held = self._held_out if whole is self.dataset else held_out_of(whole)
                for other in (whole, held):
                    if other is not None and other is not self.dataset and other is not self._held_out:
                        other.place(torch.device("cpu"), torch.float32)
            delay_compiler_import()  # a judge may be trained
            spec = JudgeSpec(whole, held, self.cache, self.device, self.tell, lambda: self._stopping())
            named = Named(make(choice, spec), owner_of(choice))
        except Stopped:
            raise
        except GanlabError as error:
            self._without_judge = f"there is no judge: {error.message}"
            self.warn(f"Samples are not judged. {error}")
            raise NoJudge(self._without_judge) from error
        return named
