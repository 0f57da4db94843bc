"""How good samples are: what a metric is shown, what it gives, and what a judge is.

A *metric* turns samples into numbers. Images mean nothing to it as they are, so it asks a *judge*, a network that has learnt to see:
its features for distances, its probabilities for classes. Points in the plane need none.

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

CHUNK = 1000  # samples that a judge sees at once


class Judge(Protocol):
    """What sees images. Equal images give equal answers, whatever else is in the batch.

    One whose probabilities follow from its features also has ``classify(features)``, which takes what ``features`` gave and returns what
    ``probabilities`` would: then no image is looked at twice.
    """

    description: str  # in a line, with how well it does: "small CNN, 99.2 % of MNIST's 10,000 test images right"
    identity: str  # a short hexadecimal digest: judges of equal identity give equal answers
    classes: int  # of its probabilities, in the order of the complete data's class names; 0: it has none

    def features(self, images: Tensor) -> Tensor:
        """For images in [0, 1], ``(count, channels, height, width)``, on any device: float32 ``(count, d)``, on the CPU."""

    def probabilities(self, images: Tensor) -> Tensor:
        """The same for the classes: float32 ``(count, classes)``. Called only where ``classes`` is not 0."""


@dataclass(frozen=True)
class JudgeSpec:
    """What a judge is made for.

    Attributes:
        data: the data set that is learnt, with every class that it has; :func:`pictures` shows its images in [0, 1].
        held_out: samples of the same law that are never trained on, or None.
        cache: a folder, made when it is needed, that judges may keep files in; other processes do so at the same time.
        device: where to compute.
        tell: prints one clear paragraph, for what takes its time.
        stopping: whether the evaluation was asked to stop; what takes its time asks now and then, and raises :class:`Stopped`.
    """

    data: Dataset
    held_out: Dataset | None
    cache: Path
    device: torch.device
    tell: Callable[[str], None]
    stopping: Callable[[], bool] = lambda: False


class Samples:
    """Some samples, and what the judge sees in them, each looked at when it is first asked for, and then kept.

    Args:
        values: float32 on the CPU: images in [0, 1], ``(count, channels, height, width)``, or points as they are; or, where they are
            better not all in memory at once, what goes through them some at a time.
        judge: gives the judge.
        count: how many, where ``values`` are gone through.
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
            found: Tensor = judge.classify(self.features)
            return found
        return torch.cat([judge.probabilities(part) for part in self._source()])


@dataclass(frozen=True)
class Evidence:
    """What a metric is shown.

    Attributes:
        fakes: the generator's, from fixed noise.
        real: as many samples of the training data, always the same ones.
        held_out: as many samples that are never trained on; None where the data have none.
        training: all training data, up to 100,000.
        dataset: the training data, for what it knows of itself.
        facts: what metrics have noted, see :meth:`note`.
    """

    fakes: Samples
    real: Samples
    held_out: Samples | None
    training: Samples
    dataset: Dataset
    facts: dict[str, str | int | float] = field(default_factory=dict)

    def note(self, name: str, value: str | int | float) -> None:
        """Write down what must be known to read a number and is none itself, such as of how many dimensions the features are.

        Facts stand beside the results, in what is said ``about`` an evaluation. Metrics that note the same name mean the same thing.
        """
        if not isinstance(value, str | int | float):
            raise TypeError(f"evidence.note('{name}', ...) takes text or a number, not {type(value).__name__}")
        self.facts[name] = value


class Metric(Protocol):
    """A measure of samples.

    Attributes:
        results: the names of the numbers it gives, and which way is better. They are logged as ``quality/<name>`` and ``final/<name>``.
        needs: what it looks at; with ``"features"`` and ``"probabilities"`` the recipe's judge is asked.
        quick: whether it is also measured while a run goes on; then it takes a second or less for 1,000 samples.
    """

    results: ClassVar[Mapping[str, Better]]
    needs: ClassVar[Needs]
    quick: ClassVar[bool]

    def measure(self, evidence: Evidence) -> dict[str, float]:
        """The numbers, by the names of ``results``; one that cannot be said of these samples is left out.

        What a reader of the numbers must know besides is told by ``evidence.note``. Raise :class:`NotMeasured` with the reason where
        nothing can be said of these samples: it is written down, and nothing else happens.

        A metric that also has ``unfit(dataset)`` says there why it cannot measure samples of that data set: in half a sentence, ``""``
        when it can. It is then not measured, and the reason stands beside the results. One with ``collapsed(values, dataset)`` says
        there, of numbers that it gave, in half a sentence why these samples have collapsed, ``""`` when they have not.
        """


def pictures(dataset: Dataset, values: Tensor) -> Tensor:
    """Samples as the networks see them, made ready for metrics and judges: in float32 on the CPU, images in [0, 1].

    Args:
        dataset: says which values stand for black and for white (``range``).
        values: ``(count, *shape)``.

    Returns:
        Bounded data in [0, 1], cut off where they go beyond; others as they are.
    """
    values = values.detach().to("cpu", torch.float32)
    if dataset.range is None:
        return values
    low, high = dataset.range
    return values.sub(low).div_(high - low).clamp_(0, 1)


def held_out_of(dataset: Dataset) -> Dataset | None:
    """The samples of the same law that are never trained on, where the data set has a method ``held_out`` that knows some."""
    found: Any = getattr(dataset, "held_out", None)
    held: Dataset | None = found() if callable(found) else None
    return held


def complete_of(dataset: Dataset) -> Dataset:
    """The data set with every class it has, where it has a method ``complete``; else itself. A classifier learns from that one."""
    found: Any = getattr(dataset, "complete", None)
    whole: Dataset | None = found() if callable(found) else None
    return dataset if whole is None else whole


class NotMeasured(GanlabError):
    """Of these samples a metric can say nothing; the message says in half a sentence why not."""


class Stopped(NotMeasured):
    """The evaluation was asked to stop, and so it did."""

    def __init__(self) -> None:
        super().__init__("the evaluation was stopped")


class NoJudge(NotMeasured):
    """A metric asked for a judge where there is none."""
