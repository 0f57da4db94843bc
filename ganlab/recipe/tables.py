"""The engine's own tables of a recipe, ``[schedule]``, ``[train]`` and ``[evaluation]``, with ranges in their annotations."""

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
        order: who plays first in a step; ``simultaneous`` computes both before it updates either.
        discriminator_turn: ``two_passes`` scores real and fake samples one after the other and updates once; ``one_pass``
            scores them as one batch (its batch normalization then sees both); ``two_updates`` updates after each side.
        discriminator_loss: ``sum`` of the loss on real and on fake samples, or their ``mean``, which is half of it.
        first_side: which side is scored first, and with two updates also updated on first.
        real_batches: ``shuffled`` goes through all samples in a new random order every epoch; ``contiguous`` takes samples that
            follow each other in the data, from a random start for each batch, uniform over all possible starts but the last.
        discriminator_steps: turns of the discriminator in a step, each with new real samples.
        generator_steps: turns of the generator in a step.
        noise: ``fresh`` latents for each turn, or one draw ``per_step`` that all turns of the step share.
        generator_mode: the mode of the generator while it makes the fakes of the discriminator's turn.
        discriminator_mode: the mode of the discriminator in the generator's turn.
        discriminator_statistics: whether the generator's turn updates the running statistics of the discriminator's batch
            normalization, as a plain PyTorch loop does.
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
    """The length of the training, the device and precision, and what is written during it. Set either ``steps`` or ``epochs``.

    Attributes:
        steps: length of the run in steps of the game.
        epochs: length of the run in passes over the data.
        batch_size: samples of each side, real and fake, in a turn.
        discriminator_batch_size: the same for the discriminator's turn; left out, ``batch_size``.
        seed: all streams of random numbers are derived from it.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        dtype: of parameters, samples and scores.
        autocast: ``bfloat16`` lets PyTorch use it for operations where that is safe; ``off`` computes everything in ``dtype``.
        tf32: on an NVIDIA GPU float32 matrix products and convolutions may round their factors to TF32, which has 10 bits of mantissa;
            by default they keep all 23. Evaluations always keep all 23.
        compile: compile both networks with torch.compile, which takes a minute at the start. Passes whose gradient is differentiated
            (gradient penalties) and samples are not compiled. Dropout draws other numbers from the same distribution.
        cuda_graphs: capture the networks' passes as CUDA graphs on an NVIDIA GPU and replay them, which saves most of the time of a step
            for small networks; the numbers are the same. What cannot be captured runs as usual. New, and not yet run on a GPU.
        threads: the number of CPU threads of PyTorch; 0 leaves the choice to PyTorch.
        log_every: steps from one line of metrics to the next.
        sample_every: steps from one sheet of samples to the next; left out, about 40 sheets over the run.
        samples: samples on a sheet.
        checkpoint_every: steps from one checkpoint to the next; left out, once an epoch, but at most about 40 times in a run.
        checkpoint_minutes: also write one if the last is this many minutes old; left out, the clock does not matter.
        keep_checkpoints: how many of the latest checkpoints are kept. Older ones are removed once the new one is on disk.
        keep_checkpoints_every: also keep those of steps that are a multiple of this; 0 for none.
        keep_best: also keep the one at which this metric was best, such as ``loss/generator``; empty for none.
        best_is: whether the lowest or the highest value of that metric is best.
        non_finite: what happens when the loss or a gradient of a turn is infinite or not a number. The update is never applied.
            ``stop`` saves the weights and ends the run; ``skip`` continues without that update; ``rollback`` returns to the last
            checkpoint.
        non_finite_most: how many updates a run may skip, or how often it may roll back, before it stops.
        rollback_lr_factor: the factor for both players' learning rates at each rollback.
        init_from: a run's folder, or a checkpoint file, with the initial weights of the networks; left out, random ones. Relative to the
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
    """When samples are evaluated, and how many. ``[[metrics]]`` lists the metrics, ``[judge]`` picks the network that looks at images.

    Attributes:
        every: steps from one evaluation with the quick metrics to the next; left out, four to ten over the run; 0 for none. The numbers
            are in the next line of metrics (``train.log_every``), and in the last.
        quick_samples: number of fakes, and of real samples, in a quick evaluation. Recorded as ``quality/...``.
        at_end: whether a run computes all its metrics when it is finished. Recorded as ``final/...``, and in ``evaluation.json``.
        samples: number of fakes, and of real samples, at the end and in ``ganlab evaluate``; at most as many as there are real ones.
    """

    every: Annotated[int, Field(ge=0)] | None = None
    quick_samples: Annotated[int, Field(ge=10, le=100_000)] = 1000
    at_end: bool = True
    samples: Annotated[int, Field(ge=10, le=100_000)] = 10_000


#: The options of these tables, as models like a component's options.
SCHEDULE_OPTIONS = options_model(Schedule, "[schedule]")
TRAIN_OPTIONS = options_model(Train, "[train]")
EVALUATION_OPTIONS = options_model(Evaluation, "[evaluation]")
