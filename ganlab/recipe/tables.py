"""The tables of a recipe that belong to the engine: ``[schedule]``, ``[train]``, ``[evaluation]``. Their annotations are their ranges."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pydantic
from pydantic import Field

from ganlab.registry.options import options_model

_DEVICE = r"^(auto|cpu|mps|cuda(:[0-9]+)?)$"


def _device(value: str) -> str:
    if not re.fullmatch(_DEVICE, value):
        raise ValueError(f"must be 'auto', 'cpu', 'cuda', 'cuda:N' or 'mps', not {value!r}")
    return value


Positive = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class Schedule:
    """The order of the game: who plays when, on what, and how often.

    Attributes:
        order: who plays first in a step; ``simultaneous``: both are computed before either is updated.
        discriminator_turn: ``two_passes`` scores real and fake samples one after the other and updates once; ``one_pass``
            scores them as one batch (its batch normalization then sees both); ``two_updates`` updates after each side.
        discriminator_loss: ``sum`` of the loss on real and on fake samples, or their ``mean``, which is half of it.
        first_side: which side is scored first, and updated on first where there are two updates.
        real_batches: ``shuffled`` goes through all samples in a new random order every epoch; ``contiguous`` takes samples that
            follow each other in the data, from a start drawn anew for each batch, uniform over all but the last possible one.
        discriminator_steps: turns of the discriminator in a step, each with real samples of its own.
        generator_steps: turns of the generator in a step.
        noise: ``fresh`` latents for each turn, or one draw ``per_step`` that all turns of the step share.
        generator_mode: the mode of the generator while it makes the fakes of the discriminator's turn.
        discriminator_mode: the mode of the discriminator in the generator's turn.
        discriminator_statistics: whether the running statistics of the discriminator's batch normalization move in the
            generator's turn, as they do in PyTorch unless one takes care.
    """

    order: Literal["discriminator_first", "generator_first", "simultaneous"] = "discriminator_first"
    discriminator_turn: Literal["two_passes", "one_pass", "two_updates"] = "two_passes"
    discriminator_loss: Literal["sum", "mean"] = "sum"
    first_side: Literal["real", "fake"] = "real"
    real_batches: Literal["shuffled", "contiguous"] = "shuffled"
    discriminator_steps: Positive = 1
    generator_steps: Positive = 1
    noise: Literal["fresh", "per_step"] = "fresh"
    generator_mode: Literal["train", "eval"] = "train"
    discriminator_mode: Literal["train", "eval"] = "train"
    discriminator_statistics: bool = True


@dataclass(frozen=True)
class Train:
    """How long, on what, and what is written down on the way. Exactly one of ``steps`` and ``epochs`` is given.

    Attributes:
        steps: length of the run in steps of the game.
        epochs: length of the run in passes over the data.
        batch_size: samples of each side in a turn.
        discriminator_batch_size: the same in the discriminator's turn alone; left out, ``batch_size``.
        seed: every stream of random numbers is derived from it.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        dtype: of parameters, samples and scores.
        autocast: ``bfloat16`` lets PyTorch compute in it where that is safe; ``off`` computes in ``dtype`` throughout.
        tf32: on an NVIDIA GPU float32 matrix products and convolutions may round their factors to TF32, which has 10 bits of mantissa;
            left out, they keep all 23. Measuring does so in any case.
        compile: let torch.compile make code of both networks, which takes a minute at the start. Passes whose gradient is differentiated
            (gradient penalties) are not compiled, and samples are not made so. Dropout draws other numbers, of the same law.
        cuda_graphs: record the networks' passes on an NVIDIA GPU and replay them, which spares small networks most of a step's time; the
            numbers are the same. What cannot be recorded is played as it is. New, and not yet run on a GPU.
        threads: of PyTorch on the CPU; 0 leaves the choice to PyTorch.
        log_every: steps from one line of metrics to the next.
        sample_every: steps from one sheet of samples to the next; left out, about 40 sheets over the run.
        samples: samples on a sheet.
        checkpoint_every: steps from one checkpoint to the next; left out, once an epoch, but at most about 40 times in a run.
        checkpoint_minutes: write one as well when the last is so many minutes old; left out, the clock does not matter.
        keep_checkpoints: how many of the latest checkpoints are kept. Older ones go once the new one is on disk.
        keep_checkpoints_every: keep those of steps that are a multiple of this, too; 0 for none.
        keep_best: keep the one at which this metric was best, too, such as ``loss/generator``; empty for none.
        best_is: which value of it is best.
        non_finite: what happens when the loss or a gradient of a turn is infinite or not a number. Its update never reaches the weights.
            ``stop`` saves these and ends the run; ``skip`` goes on without that update; ``rollback`` goes back to the last checkpoint.
        non_finite_most: how often in a run: updates skipped, or returns to a checkpoint. Then it stops after all.
        rollback_lr_factor: what both players' learning rates are multiplied by at each return.
        init_from: a run's folder, or a checkpoint file, whose weights the networks start from; left out, fresh ones. Relative to the
            recipe's folder.
    """

    steps: Positive | None = None
    epochs: Positive | None = None
    batch_size: Positive = 64
    discriminator_batch_size: Positive | None = None
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    device: Annotated[
        str,
        pydantic.AfterValidator(_device),
        Field(json_schema_extra={"pattern": _DEVICE}, examples=["auto", "cpu", "cuda", "cuda:1", "mps"]),
    ] = "auto"
    dtype: Literal["float32", "float64"] = "float32"
    autocast: Literal["off", "bfloat16"] = "off"
    tf32: bool = False
    compile: bool = False
    cuda_graphs: bool = False
    threads: Annotated[int, Field(ge=0)] = 0
    log_every: Positive = 100
    sample_every: Positive | None = None
    samples: Annotated[int, Field(ge=1, le=1024)] = 64
    checkpoint_every: Positive | None = None
    checkpoint_minutes: Annotated[float, Field(gt=0)] | None = None
    keep_checkpoints: Positive = 3
    keep_checkpoints_every: Annotated[int, Field(ge=0)] = 0
    keep_best: str = ""
    best_is: Literal["lowest", "highest"] = "lowest"
    non_finite: Literal["stop", "skip", "rollback"] = "stop"
    non_finite_most: Positive = 10
    rollback_lr_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    init_from: Annotated[Path | None, pydantic.BeforeValidator(lambda text: text or None)] = None

    def batch_of(self, role: str) -> int:
        """Samples of each side in a turn of ``"generator"`` or ``"discriminator"``."""
        return (self.discriminator_batch_size or self.batch_size) if role == "discriminator" else self.batch_size


@dataclass(frozen=True)
class Evaluation:
    """When the samples are measured, and how many of them. What is measured is said by ``[[metrics]]``, what sees images by ``[judge]``.

    Attributes:
        every: steps from one evaluation with the quick metrics to the next; left out, four to ten over the run; 0 for none. It comes
            with the next line of metrics (``train.log_every``), and with the last.
        quick_samples: fakes, and as many real samples, of a quick evaluation. Written down as ``quality/...``.
        at_end: whether a run that is finished measures all its metrics. Written down as ``final/...``, and in ``evaluation.json``.
        samples: fakes, and as many real samples, at the end and in ``ganlab evaluate``; at most as many as there are real ones.
    """

    every: Annotated[int, Field(ge=0)] | None = None
    quick_samples: Annotated[int, Field(ge=10, le=100_000)] = 1000
    at_end: bool = True
    samples: Annotated[int, Field(ge=10, le=100_000)] = 10_000


#: What the options of these tables are, in the same form as a component's.
SCHEDULE_OPTIONS = options_model(Schedule, "[schedule]")
TRAIN_OPTIONS = options_model(Train, "[train]")
EVALUATION_OPTIONS = options_model(Evaluation, "[evaluation]")
