"""The contracts of components: networks, losses, data sets and latent distributions.

A component is a part that a recipe picks by name. A *factory* makes it: a class or a function. Its **keyword options** (dataclass
fields, or keyword-only parameters) are the keys of its table in the recipe, checked against their annotations. The engine passes
its **positional parameter**, if it has one:

=============  ====================================================  =====================================================
registered as  called as                                             returns
=============  ====================================================  =====================================================
network        ``factory(spec, **options)``, a :class:`NetworkSpec`  ``torch.nn.Module``
loss           ``factory(**options)``                                :class:`Loss`
dataset        ``factory(spec, **options)``, a :class:`DatasetSpec`  :class:`Dataset`
noise          ``factory(**options)``                                :class:`Noise`
optimizer      ``factory(parameters, **options)``                    ``torch.optim.Optimizer``
metric         ``factory(**options)``                                :class:`ganlab.evaluation.Metric`
judge          ``factory(spec, **options)``, a ``JudgeSpec``         :class:`ganlab.evaluation.Judge`
trick          ``factory(**options)``                                an object with ``@ganlab.hookimpl`` methods
=============  ====================================================  =====================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from ganlab.roles import Role as Role

if TYPE_CHECKING:
    import numpy as np

    from ganlab.game.turn import Turn


@dataclass(slots=True)  # a hook that assigns to a misspelt name gets an error
class NetworkSpec:
    """The shapes that a network is built for. A trick may change them in ``before_build`` (packing widens the discriminator's input).

    Attributes:
        role: ``"generator"`` or ``"discriminator"``.
        input_shape: shape of one input, without the batch: ``(64,)`` for a latent, ``(1, 28, 28)`` for an image.
        output_shape: shape of one output: the data's shape for a generator, ``(1,)`` for a discriminator.
        classes: number of label classes of the data, 0 if it has no labels.
    """

    role: Role
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    classes: int = 0


@dataclass(frozen=True)
class DatasetSpec:
    """The folder and permissions of a data set.

    Attributes:
        root: the folder for reads and downloads (``--data-root``, else ``GANLAB_DATA``, else the cache).
        seed: for data sets that draw their samples; derived from the recipe's seed and the name "data".
        download: whether the network may be used; False for ``ganlab check``.
    """

    root: Path
    seed: int
    download: bool = True


@dataclass
class Batch:
    """Samples on the run's device: ``images`` as the networks see them, ``(batch, *shape)``; ``labels``, ``(batch,)``, or None."""

    images: Tensor
    labels: Tensor | None = None


@runtime_checkable
class Loss(Protocol):
    """The loss of both players. Each method reads the turn's scores, ``(batch,)``, and returns one number, a tensor of shape ``()``.

    A loss that compares real with fake scores (relativistic losses) sets ``pairs = True``. Then ``discriminator`` is called once
    per turn, with both sides scored, in place of ``real`` and ``fake``, and real scores are available in the generator's turn, too.
    A loss that uses ``turn.real_target`` and ``turn.fake_target`` sets ``label_targets = True``. A loss whose scores are logits
    (sigmoid(score) is a probability) sets ``logits = True``. Then probabilities are logged.
    """

    def real(self, turn: Turn) -> Tensor:
        """The discriminator's term on ``turn.real_scores``."""

    def fake(self, turn: Turn) -> Tensor:
        """The discriminator's term on ``turn.fake_scores``."""

    def generator(self, turn: Turn) -> Tensor:
        """The generator's loss on ``turn.fake_scores``."""


class Noise(Protocol):
    """The distribution of the latent."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one latent, without the batch."""

    def sample(self, count: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> Tensor:
        """``count`` latents, ``(count, *shape)``, drawn with ``generator`` only."""

    # Two optional methods, for `ganlab sample`:
    # truncated(count, threshold, generator, device, dtype) -> Tensor    as sample, but no value farther from 0 than threshold
    # between(start, end, share) -> Tensor    interpolation from start to end, (count, *shape), at the fractions share, (count,);
    #                                         without it: linear. `way: ClassVar[str]` names the kind of interpolation


class Dataset(Protocol):
    """Samples that are fetched by index. The engine decides the order; a data set has no position and draws no random numbers."""

    shape: tuple[int, ...]  # of one sample as the networks see it: (channels, height, width), or (2,)
    range: tuple[float, float] | None  # of the values, if they are bounded; a generator's output should match it
    class_names: Sequence[str]  # empty if there are no labels

    def __len__(self) -> int: ...

    def place(self, device: torch.device, dtype: torch.dtype) -> None:
        """Called once, before the first fetch: move the stored data to the device if it fits."""

    def fetch(self, indices: Tensor) -> Batch:
        """The samples at ``indices`` (int64, ``(batch,)``, on the CPU), on the device and in the dtype of :meth:`place`."""

    def prefetch(self, indices: Tensor) -> None:
        """A hint that ``indices`` come next: a streamed data set starts to load them, others do nothing."""

    def picture(self, samples: Tensor) -> np.ndarray:
        """``samples`` (CPU, ``(count, *shape)``) as one picture for a person: uint8, ``(height, width, 3)``."""

    def fingerprint(self) -> str:
        """A short hexadecimal digest of the content: equal data, equal digest."""

    # Optional, for data sets that consist of files:
    # contents() -> tuple[str, dict[str, int]]    a digest of all but the content of the files (names, order, options), and the files with
    #                                             their sizes in bytes: a run whose files were replaced under the same names can be resumed
    # announce: Callable[[str], None]             the engine sets it: tells the person one paragraph, which run.json keeps
    # unreadable: Sequence[str]                   files that were skipped, which run.json lists

    # Two optional methods, for metrics:
    # held_out() -> Dataset | None    samples from the same distribution, with the same range, that are not used for training
    # complete() -> Dataset | None    the same data with all classes, if options leave some out


class ResidentDataset:
    """A data set that fits in memory: stored on the device in its own dtype (uint8 stays uint8), and indexed there.

    Args:
        images: all samples, ``(count, *shape)``; uint8, or floating point.
        labels: int64 ``(count,)``, or None.
        scale, offset: the networks see a stored value x as ``x * scale + offset``.
        range: of the values that the networks see, or None if unbounded.
        class_names: one name per label.
        held_out: returns samples from the same distribution that are not used for training; called when they are needed.
        complete: returns the data with all classes, if this has only some; called when it is needed.
    """

    columns: ClassVar[int | None] = None  # of the picture; None: as square as possible

    def __init__(
        self,
        images: Tensor,
        labels: Tensor | None = None,
        *,
        scale: float = 1.0,
        offset: float = 0.0,
        range: tuple[float, float] | None = None,
        class_names: Sequence[str] = (),
        held_out: Callable[[], Dataset | None] = lambda: None,
        complete: Callable[[], Dataset | None] = lambda: None,
    ) -> None:
        self.images, self.labels = images, labels
        self.scale, self.offset, self.range = scale, offset, range
        self.class_names: Sequence[str] = tuple(class_names)
        self.held_out, self.complete = held_out, complete
        self.shape = tuple(images.shape[1:])
        self.dtype = torch.float32

    def __len__(self) -> int:
        return len(self.images)

    def place(self, device: torch.device, dtype: torch.dtype) -> None:
        images = self.images if self.images.dtype == torch.uint8 else self.images.to(dtype)
        self.images, self.dtype = images.to(device), dtype
        self.labels = None if self.labels is None else self.labels.to(device)

    def fetch(self, indices: Tensor) -> Batch:
        indices = indices.to(self.images.device, non_blocking=True)
        images = self.images.index_select(0, indices).to(self.dtype)  # (batch, *shape)
        if self.scale != 1.0:
            images.mul_(self.scale)
        if self.offset != 0.0:
            images.add_(self.offset)
        return Batch(images, None if self.labels is None else self.labels.index_select(0, indices))

    def prefetch(self, indices: Tensor) -> None:
        """Does nothing: all samples are in memory."""

    def picture(self, samples: Tensor) -> np.ndarray:
        from ganlab.pictures import SCATTERED, are_images, sheet

        numbers = self.images[:1].numel() == 1  # a histogram shows all of them
        shown = self.images if numbers else self.images[:SCATTERED]
        data = None if are_images(self.shape) else shown.float() * self.scale + self.offset
        return sheet(samples, data, self.range, self.columns)

    def fingerprint(self) -> str:
        import hashlib

        digest = hashlib.sha256(repr((tuple(self.images.shape), self.scale, self.offset)).encode())
        for tensor in (self.images, self.labels):
            if tensor is not None:
                tensor = tensor.float() if tensor.is_floating_point() else tensor  # does not depend on the dtype of `place`
                digest.update(tensor.detach().cpu().contiguous().numpy().data)
        return digest.hexdigest()[:16]
