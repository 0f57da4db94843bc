"""Verify an exported file: read again, it gives the same samples as the generator, within rounding."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.generators.loaded import LoadedGenerator

BATCHES = (1, 2, 7, 64)  # sizes of the batches that are compared
SEED = 20240229  # of their latents
TOLERANCE = 1e-5  # relative to the largest absolute value of a sample

#: What a reader of an exported file returns: maps latents and labels (or None) to samples.
SampleFunction = Callable[[Tensor, Tensor | None], Tensor]


def verify_samples(generator: LoadedGenerator, exported: SampleFunction, kind: str) -> tuple[float, float]:
    """Compare the samples of an exported file with the generator's, on fixed latents in batches of several sizes.

    Args:
        generator: on the CPU and in eval mode.
        exported: the file, read again.
        kind: its format, for error messages.

    Returns:
        The largest absolute difference of a value, and the largest that is accepted.

    Raises:
        GanlabError: the difference is larger, a shape differs, or the file cannot be run with a batch.
    """
    difference = largest_value = 0.0
    for count in BATCHES:
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
    return difference, tolerance


def fixed_inputs(generator: LoadedGenerator, count: int) -> tuple[Tensor, Tensor | None]:
    """Latents that are the same in each call, ``(count, *noise shape)``, and labels, ``(count,)``, if the generator takes them."""
    return generator.draw_latents(count, SEED), generator.labels_for(count)


def first_line(error: Exception) -> str:
    """The first line of an error's message, or ``""``. Errors of torch's exporters have many lines."""
    message = str(error).strip()
    return message.splitlines()[0] if message else ""


def _mismatch(kind: str, why: str) -> GanlabError:
    return GanlabError(f"exported as {kind}, the generator does not give the same samples: {why}", "nothing was written")
