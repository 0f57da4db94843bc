"""Verify an exported file: read again, it gives the same samples as the generator, within rounding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.generators.loaded import LoadedGenerator
from ganlab.generators.sampling import SampleFunction, chunk_size

BATCHES = (1, 2, 7, 64)  # sizes of the batches that are compared, if the samples are not too large
SEED = 20240229  # of their latents
TOLERANCE = 1e-5  # relative to the largest absolute value of a sample


@dataclass(frozen=True)
class Verification:
    """The result of a comparison.

    Attributes:
        difference: the largest absolute difference between a value of the file's samples and of the generator's.
        tolerance: the largest difference that is accepted.
        batches: the sizes of the batches that were compared.
    """

    difference: float
    tolerance: float
    batches: tuple[int, ...]


def verify_samples(generator: LoadedGenerator, exported: SampleFunction, kind: str) -> Verification:
    """Compare the samples of an exported file with the generator's, on fixed latents in batches of several sizes.

    Args:
        generator: on the CPU and in eval mode.
        exported: the file, read again.

    Raises:
        GanlabError: the difference is larger, a shape differs, or the file cannot be run with a batch.
    """
    difference = largest_value = 0.0
    largest_batch = max(2, chunk_size(generator.info["spec"]["output_shape"]))  # two samples show whether one depends on the other
    batches = tuple(sorted({min(count, largest_batch) for count in BATCHES}))
    for count in batches:
        latent, labels = fixed_inputs(generator, count)
        try:
            with torch.no_grad():
                expected, actual = generator(latent, labels), exported(latent, labels)
        except Exception as error:
            raise _mismatch(kind, f"it cannot be run with a batch of {count}: {type(error).__name__}: {first_line(error)}") from error
        if actual.shape != expected.shape:
            raise _mismatch(kind, f"a batch of {count} has shape {tuple(actual.shape)}, not {tuple(expected.shape)}")
        difference = max(difference, float((actual - expected).abs().nan_to_num(torch.inf).max()))
        largest_value = max(largest_value, float(expected.abs().max()))
    tolerance = TOLERANCE * largest_value
    if not difference <= tolerance:
        question = "does the network draw random numbers itself, or depend on the whole batch?"
        raise _mismatch(kind, f"they differ by up to {difference:.2g}, and {tolerance:.2g} is accepted; {question}")
    return Verification(difference, tolerance, batches)


def fixed_inputs(generator: LoadedGenerator, count: int) -> tuple[Tensor, Tensor | None]:
    """Latents that are the same in each call, ``(count, *noise shape)``, and labels, ``(count,)``, if the generator takes them."""
    return generator.draw_latents(count, SEED), generator.labels_for(count)


def first_line(error: Exception) -> str:
    """The first line of an error's message, or ``""``. Errors of torch's exporters have many lines."""
    message = str(error).strip()
    return message.splitlines()[0] if message else ""


def _mismatch(kind: str, why: str) -> GanlabError:
    return GanlabError(f"exported as {kind}, the generator does not give the same samples: {why}", "nothing was written")
