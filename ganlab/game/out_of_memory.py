"""Out-of-memory errors: recognized, and explained with the batch size, the device and what to change."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from ganlab.errors import MemoryExhausted
from ganlab.recipe import Recipe

#: Parts of messages with which torch raises a plain RuntimeError: from the CPU's allocator and from libraries that allocate GPU memory.
MESSAGES = ("DefaultCPUAllocator", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


def is_memory_error(error: BaseException) -> bool:
    """Whether a memory allocator raised the error."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error) for message in MESSAGES)


def out_of_memory(error: BaseException | None) -> bool:
    """Whether a memory allocator raised the error or one of its causes."""
    return error is not None and (is_memory_error(error) or out_of_memory(error.__cause__))


@contextlib.contextmanager
def memory_errors_in_words(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """A context that turns an out-of-memory error before the first step into a MemoryExhausted."""
    try:
        yield
    except Exception as error:
        if not is_memory_error(error):
            raise
        raise memory_exhausted(error, recipe, device, 0) from error


def memory_exhausted(error: BaseException, recipe: Recipe, device: torch.device, step: int) -> MemoryExhausted:
    """The error to show to the user in place of the allocator's.

    Args:
        step: in which it was raised; 0 before the first.
    """
    train = recipe.train
    batch = f"train.batch_size = {train.batch_size}"
    if train.discriminator_batch_size is not None:
        batch += f", train.discriminator_batch_size = {train.discriminator_batch_size}"
    when = f"in step {step}" if step else "before the first step"
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    autocast = ' train.autocast = "bfloat16" halves the memory of the passes;' if train.autocast == "off" else ""
    return MemoryExhausted(
        f"out of memory on {device} {when}, with {batch}: {first_line}",
        f"set a smaller train.batch_size, such as {max(1, train.batch_size // 2)};{autocast} smaller networks need less too "
        "(`ganlab describe RECIPE` shows their sizes). Or end other processes that use this memory",
    )
