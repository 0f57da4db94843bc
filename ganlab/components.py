"""What a component is: the shapes and the promises that networks, losses, data sets and noise laws keep.

A component is a thing that a recipe picks by name. It is made by a *factory*: a class or a function whose **keyword options**
(dataclass fields, or keyword-only parameters) are its table in the recipe, checked by their annotations, and whose
**positional parameters**, if any, are what the engine hands to it:

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
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np

    from ganlab.game.turn import Turn

Role = Literal["generator", "discriminator"]


@dataclass(slots=True)  # what a hook assigns to a name that is none must not go unseen
class NetworkSpec:
    """What a network is built for. A trick may change it in ``before_build`` (packing widens the discriminator's input).

    Attributes:
        role: ``"generator"`` or ``"discriminator"``.
        input_shape: shape of one input, without the batch: ``(64,)`` for a latent, ``(1, 28, 28)`` for an image.
        output_shape: shape of one output: the data's shape for a generator, ``(1,)`` for a discriminator.
        classes: number of label classes of the data, 0 when it has none.
    """

    role: Role
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    classes: int = 0


@dataclass(frozen=True)
class DatasetSpec:
    """Where a data set may look, and what it may do.

    Attributes:
        root: the folder that data is read from and downloaded into (``--data-root``, else ``GANLAB_DATA``, else the cache).
        seed: an integer for data sets that draw their samples; derived from the recipe's seed and the name "data".
        download: whether the network may be used; False for ``ganlab check``.
    """

    root: Path
    seed: int
    download: bool = True


@dataclass
class Batch:
    """Some samples, on the run's device: ``images`` as the networks see them, ``(batch, *shape)``; ``labels``, ``(batch,)``, or None."""

    images: Tensor
    labels: Tensor | None = None


@runtime_checkable
class Loss(Protocol):
    """What the two players minimise. Each method sees the turn's scores, ``(batch,)``, and returns a scalar.

    Reduce over dim 0 and nothing else: in a cohort the scores are ``(batch, lanes)`` and a loss returns ``(lanes,)``.

    A loss that compares real with fake scores (relativistic losses) sets ``pairs = True``: then ``discriminator`` is called once
    per turn with both sides scored (``real`` and ``fake`` are not), and real scores are there in the generator's turn too.
    A loss that honours ``turn.real_target`` and ``turn.fake_target`` sets ``label_targets = True``. A loss whose scores are
    logits, so that sigmoid(score) is a probability, sets ``logits = True``: then probabilities are what is logged.
    """

    def real(self, turn: Turn) -> Tensor:
        """The discriminator's term on ``turn.real_scores``."""

    def fake(self, turn: Turn) -> Tensor:
        """The discriminator's term on ``turn.fake_scores``."""

    def generator(self, turn: Turn) -> Tensor:
        """The generator's loss on ``turn.fake_scores``."""


class Noise(Protocol):
    """The law of the latent."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one latent, without the batch."""

    def sample(self, count: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> Tensor:
        """``count`` latents, ``(count, *shape)``, drawn from ``generator`` and from nothing else."""

    # Two more methods, for `ganlab sample`, may be missing:
    # truncated(count, threshold, generator, device, dtype) -> Tensor    as sample, but none farther out than threshold
    # between(start, end, share) -> Tensor    latents from start to end, (count, *shape), after a share of the way, (count,); else it
    #                                         is a straight line. `way: ClassVar[str]` is the word for how it goes


class Dataset(Protocol):
    """Samples that can be fetched by index. The engine decides the order; a data set holds no position and draws nothing."""

    shape: tuple[int, ...]  # of one sample as the networks see it: (channels, height, width), or (2,)
    range: tuple[float, float] | None  # of its values, where they are bounded: a generator's output should match it
    class_names: Sequence[str]  # empty when there are no labels

    def __len__(self) -> int: ...

    def place(self, device: torch.device, dtype: torch.dtype) -> None:
        """Called once, before anything is fetched: move to the device what fits, as it is stored."""

    def fetch(self, indices: Tensor) -> Batch:
        """The samples at ``indices`` (int64, ``(batch,)``, on the CPU), on the device and in the dtype of :meth:`place`."""

    def prefetch(self, indices: Tensor) -> None:
        """A hint that ``indices`` come next; a streamed data set starts to load them. Others do nothing."""

    def picture(self, samples: Tensor) -> np.ndarray:
        """``samples`` (CPU, ``(count, *shape)``) as one picture for a person: uint8, ``(height, width, 3)``."""

    def fingerprint(self) -> str:
        """A short hexadecimal digest of the content: equal data, equal digest."""

    # Two more methods, for metrics, may be missing:
    # held_out() -> Dataset | None    samples of the same law, with the same range, that are never trained on
    # complete() -> Dataset | None    the same data with every class, where options have left some out


class ResidentDataset:
    """A data set that fits in memory: kept on the device as it is stored (uint8 stays uint8) and indexed there.

    Args:
        images: all samples, ``(count, *shape)``; uint8, or floating point.
        labels: int64 ``(count,)``, or None.
        scale, offset: a stored value x is shown to the networks as ``x * scale + offset``.
        range: of the values shown, or None when unbounded.
        class_names: one name per label.
        held_out: gives samples of the same law that are never trained on; called when they are needed.
        complete: gives the data with every class, where these have some only; called when it is needed.
    """

    columns: ClassVar[int | None] = None  # of the picture; None: as square as may be

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
        """Nothing to do: all of it is in memory."""

    def picture(self, samples: Tensor) -> np.ndarray:
        from ganlab.pictures import image_grid, scatter

        if len(self.shape) == 1:
            return scatter(samples, self.images)
        return image_grid(samples, self.range, self.columns)

    def fingerprint(self) -> str:
        import hashlib

        digest = hashlib.sha256(repr((tuple(self.images.shape), self.scale, self.offset)).encode())
        for tensor in (self.images, self.labels):
            if tensor is not None:
                tensor = tensor.float() if tensor.is_floating_point() else tensor  # the same whatever dtype `place` gave them
                digest.update(tensor.detach().cpu().contiguous().numpy().data)
        return digest.hexdigest()[:16]
