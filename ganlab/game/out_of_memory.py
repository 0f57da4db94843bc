"""Out of memory: an allocator's error in words, with the batch size, the device and what to set."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from ganlab.errors import MemoryExhausted
from ganlab.recipe import Recipe

#: What torch says where it raises a plain RuntimeError: the CPU's allocator, and libraries on a GPU that allocate by themselves.
SAYINGS = ("DefaultCPUAllocator", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


def is_memory_error(error: BaseException) -> bool:
    """Whether an allocator raised it."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(saying in str(error) for saying in SAYINGS)


def out_of_memory(error: BaseException | None) -> bool:
    """Whether an allocator raised it, or what it came from."""
    return error is not None and (is_memory_error(error) or out_of_memory(error.__cause__))


@contextlib.contextmanager
def memory_errors_in_words(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Turn an allocator's error into a MemoryExhausted."""
    try:
        yield
    except Exception as error:
        if not is_memory_error(error):
            raise
        raise in_words(error, recipe, device, 0) from error


def in_words(error: BaseException, recipe: Recipe, device: torch.device, step: int) -> MemoryExhausted:
    """The error that a person reads."""
    train = recipe.train
    batch = f"train.batch_size = {train.batch_size}"
    if train.discriminator_batch_size is not None:
        batch += f", train.discriminator_batch_size = {train.discriminator_batch_size}"
    when = f"in step {step}" if step else "before the first step"
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    autocast = ' train.autocast = "bfloat16" halves what the passes need;' if train.autocast == "off" else ""
    return MemoryExhausted(
        f"out of memory on {device} {when}, with {batch}: {said}",
        f"set a smaller train.batch_size, such as {max(1, train.batch_size // 2)};{autocast} smaller networks need less as well "
        "(`ganlab describe RECIPE` shows their sizes). Or end what else uses this memory",
    )
