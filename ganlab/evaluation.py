"""The contracts of the evaluation of samples: metrics and judges.

A *metric* computes numbers from samples. For images it needs a *judge*, a network trained on images: its features for distances, its
probabilities for classes. Points in the plane need no judge.

=============  ====================================================  =====================================================
registered as  called as                                             returns
=============  ====================================================  =====================================================
metric         ``factory(**options)``                                :class:`Metric`
judge          ``factory(spec, **options)``, a :class:`JudgeSpec`    :class:`Judge`
=============  ====================================================  =====================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor

from ganlab.components import Dataset
from ganlab.errors import GanlabError

Better = Literal["higher", "lower", "neither"]
Needs = Literal["samples", "features", "probabilities"]

CHUNK = 1000  # samples in a batch of the judge


class Judge(Protocol):
    """A network that looks at images. Its output for an image does not depend on the rest of the batch.

    A judge that computes probabilities from features also has ``classify(features)``: it takes the result of ``features`` and returns
    the probabilities. Then each image passes through the network only once.
    """

    description: str  # one line, with its accuracy: "small CNN, 99.2 % of MNIST's 10,000 test images right"
    identity: str  # a short hexadecimal digest: judges with equal identity compute equal results
    classes: int  # number of probabilities, in the order of the complete data's class names; 0: it has none

    def features(self, images: Tensor) -> Tensor:
        """Features of images in [0, 1], ``(count, channels, height, width)``, on any device: float32 ``(count, d)``, on the CPU."""

    def probabilities(self, images: Tensor) -> Tensor:
        """The same for probabilities: float32 ``(count, classes)``. Called only if ``classes`` is not 0."""


@dataclass(frozen=True)
class JudgeSpec:
    """What the factory of a judge receives.

    Attributes:
        data: the training data with all its classes; :func:`pictures` converts its images to [0, 1].
        held_out: samples from the same distribution that are not used for training, or None.
        cache: a folder for files of judges. It may not exist yet, and other processes may use it at the same time.
        device: where to compute.
        tell: prints one paragraph, for example before slow work.
        stopping: whether the evaluation should stop. Slow work calls it regularly, and raises :class:`Stopped`.
    """

    data: Dataset
    held_out: Dataset | None
    cache: Path
    device: torch.device
    tell: Callable[[str], None]
    stopping: Callable[[], bool] = lambda: False


class Samples:
    """Samples, and the judge's features and probabilities of them, computed on first access and then cached.

    Args:
        values: float32 on the CPU: images in [0, 1], ``(count, channels, height, width)``, or points as they are. For samples that do
            not fit in memory: a function that yields them in batches.
        judge: returns the judge.
        count: the number of samples, if ``values`` is a function.
    """

    def __init__(self, values: Tensor | Callable[[], Iterable[Tensor]], judge: Callable[[], Judge], count: int = 0) -> None:
        self._judge = judge
        self._source: Callable[[], Iterable[Tensor]]
        if isinstance(values, Tensor):
            whole = values
            self._source, self._count = lambda: torch.split(whole, CHUNK), len(values)
        else:
            self._source, self._count = values, count

    def __len__(self) -> int:
        return self._count

    @cached_property
    def values(self) -> Tensor:
        """The samples themselves, float32 ``(count, *shape)``."""
        return torch.cat(list(self._source()))

    @cached_property
    def features(self) -> Tensor:
        """The judge's features, float32 ``(count, d)``."""
        judge = self._judge()
        return torch.cat([judge.features(part) for part in self._source()])

    @cached_property
    def probabilities(self) -> Tensor:
        """The judge's probabilities, float32 ``(count, classes)``."""
        judge = self._judge()
        if hasattr(judge, "classify"):
            probabilities: Tensor = judge.classify(self.features)
            return probabilities
        return torch.cat([judge.probabilities(part) for part in self._source()])


@dataclass(frozen=True)
class Evidence:
    """The samples that a metric computes its numbers from.

    Attributes:
        fakes: samples of the generator, from fixed noise.
        real: as many samples of the training data, always the same ones.
        held_out: as many samples that are not used for training; None if the data has none.
        training: all training data, up to 100,000 samples.
        dataset: the training data set, for its attributes.
        facts: the facts that metrics have noted, see :meth:`note`.
    """

    fakes: Samples
    real: Samples
    held_out: Samples | None
    training: Samples
    dataset: Dataset
    facts: dict[str, str | int | float] = field(default_factory=dict)

    def note(self, name: str, value: str | int | float) -> None:
        """Record a fact that readers of the numbers need, such as the number of dimensions of the features.

        Facts are stored beside the results, under ``about``. Two metrics that note the same name must mean the same fact.

        Raises:
            TypeError: the value is neither text nor a number.
        """
        if not isinstance(value, str | int | float):
            raise TypeError(f"evidence.note('{name}', ...) takes text or a number, not {type(value).__name__}")
        self.facts[name] = value


class Metric(Protocol):
    """A metric of samples.

    A metric whose numbers are fit to compare recipes by also has ``main_results``, a sequence of names of its ``results``, the best first.
    ``evaluation.json`` lists them, and ``ganlab compare`` uses the first that all runs have, in the order of the recipe's metrics.

    Attributes:
        results: the names of its numbers, and which direction is better. They are logged as ``quality/<name>`` and ``final/<name>``.
        needs: its input; ``"features"`` and ``"probabilities"`` come from the recipe's judge.
        quick: whether it is also computed during a run; then it should take a second or less for 1,000 samples.
    """

    results: ClassVar[Mapping[str, Better]]
    needs: ClassVar[Needs]
    quick: ClassVar[bool]

    def measure(self, evidence: Evidence) -> dict[str, float]:
        """The numbers, by the names of ``results``; a number that is not defined for these samples is left out.

        ``evidence.note`` records facts that readers need. Raise :class:`NotMeasured` with a reason if no number is defined for these
        samples: the reason is stored, and the run continues.

        Two optional methods return a reason in half a sentence, or ``""``. ``unfit(dataset)``: why the metric cannot be computed for
        samples of that data set. It is then skipped, and the reason is stored beside the results. ``collapsed(values, dataset)``: why
        numbers of this metric show that the samples have collapsed.
        """


def pictures(dataset: Dataset, values: Tensor) -> Tensor:
    """Convert samples from the networks' form to that of metrics and judges: float32 on the CPU, images in [0, 1].

    Args:
        dataset: its ``range`` has the values of black and white.
        values: ``(count, *shape)``.

    Returns:
        ``(count, *shape)``: bounded data in [0, 1], clamped; unbounded data as it is.
    """
    values = values.detach().to("cpu", torch.float32)
    if dataset.range is None:
        return values
    low, high = dataset.range
    return values.sub(low).div_(high - low).clamp_(0, 1)


def held_out_of(dataset: Dataset) -> Dataset | None:
    """Samples from the same distribution that are not used for training: the result of ``dataset.held_out()``; None without it."""
    method: Any = getattr(dataset, "held_out", None)
    held_out: Dataset | None = method() if callable(method) else None
    return held_out


def complete_of(dataset: Dataset) -> Dataset:
    """The data set with all its classes, for training a classifier: ``dataset.complete()``, or the data set itself without it."""
    method: Any = getattr(dataset, "complete", None)
    complete: Dataset | None = method() if callable(method) else None
    return dataset if complete is None else complete


class NotMeasured(GanlabError):
    """A metric is not defined for these samples; the message is the reason in half a sentence."""


class Stopped(NotMeasured):
    """The evaluation stopped on request."""

    def __init__(self) -> None:
        super().__init__("the evaluation was stopped")


class NoJudge(NotMeasured):
    """A metric needs a judge, and the recipe has none."""
