"""What a checkpoint must hold: its parts and their types, checked when it is read, before anything is built from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import AfterValidator, Field
from torch import Tensor
from typing_extensions import TypedDict  # before Python 3.12 pydantic accepts no other

from ganlab.errors import GanlabError
from ganlab.generators.description import Weights
from ganlab.records.folder import CHECKPOINT, step_of
from ganlab.records.run_info import Count
from ganlab.storage import checkpoint


class UnfitCheckpoint(GanlabError):
    """A checkpoint is whole, but its content does not fit the run: somebody else wrote it, or another version of a plugin."""


def _of_floats(tensor: Tensor) -> Tensor:
    if tensor.dim() != 1 or not tensor.is_floating_point():
        raise ValueError(f"it is not a list of real numbers: {tensor.dtype} of shape {tuple(tensor.shape)}")
    return tensor


def _scalar(tensor: Tensor) -> Tensor:
    if tensor.dim() or tensor.is_complex():
        raise ValueError(f"it is not a single real number: {tensor.dtype} of shape {tuple(tensor.shape)}")
    return tensor


Numbers = Annotated[Tensor, AfterValidator(_of_floats)]
Scalar = Annotated[Tensor, AfterValidator(_scalar)]


class PlayerContent(TypedDict):
    """A player: its network's weights by name, its optimizer's ``state_dict``, and how often it was updated."""

    network: Weights
    optimizer: dict[str, Any]
    updates: Count


class WaitingMetric(TypedDict):
    """The values of a metric that are not added up yet: tensors with their weights, and pairs of a number and its weight."""

    tensors: Numbers | None
    weights: list[float]
    numbers: list[Annotated[list[float], Field(min_length=2, max_length=2)]]


class Scores(TypedDict):
    """The scores of one side, and how many each batch had."""

    values: Numbers
    lengths: list[Count]


#: A metric's sum, the sum of its weights, and that of the weights of values that are not finite.
Sums = dict[str, Annotated[list[Scalar | float], Field(min_length=3, max_length=3)]]


class MetricSums(TypedDict):
    """The sums since the last line of metrics, and since the last epoch."""

    interval: Sums
    epoch: Sums


class MetricsContent(TypedDict):
    """The metrics that are not logged yet."""

    waiting: dict[str, WaitingMetric]
    scores: dict[str, Scores]
    sums: MetricSums


class JournalContent(TypedDict):
    """The number of lines of ``metrics.jsonl``, and their checksum."""

    lines: Count
    sha256: str


class BestContent(TypedDict):
    """The best checkpoint so far."""

    step: Count | None
    value: float | None
    latest: float | None


class GuardContent(TypedDict):
    """How often the policy for non-finite numbers was applied."""

    times: Count


class CheckpointContent(pydantic.BaseModel):
    """A checkpoint. Its parts are in the order in which they are written."""

    model_config = checkpoint.STRICT

    generator: PlayerContent
    discriminator: PlayerContent
    recipe: dict[str, str | int | float | bool | None]
    step: Count
    batches_drawn: Annotated[int, Field(ge=0, le=2**40)]  # so that the number of images has 64 bits
    metrics: MetricsContent
    journal: JournalContent
    best: BestContent
    non_finite: GuardContent
    tricks: dict[str, Any]


#: The names of all parts, as a checkpoint has them.
NAMES = tuple(CheckpointContent.model_fields)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state in a checkpoint, with all parts, each of the right type.

    Raises:
        GanlabError: it cannot be read, see :func:`ganlab.storage.checkpoint.load`, or it holds something else.
    """
    state = checkpoint.load(path)
    missing = [name for name in NAMES if name not in state]
    if missing:
        raise GanlabError(f"checkpoint {path} has no {', '.join(missing)}: another version of ganlab wrote it", "resume with that version")
    checkpoint.check_types(CheckpointContent, path, state)
    if CHECKPOINT.fullmatch(path.name) and step_of(path) != state["step"]:
        raise GanlabError(f"checkpoint {path} is of step {state['step']}, and not of the one in its name", checkpoint.REMOVE)
    return state
