"""How many runs of a sweep train side by side, and which CPU threads and GPU each of them gets. Never more threads than cores."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from ganlab.errors import UsageError
from ganlab.recipe import Recipe
from ganlab.runs.device import find_device
from ganlab.sweeps.workers import Share

#: The CPU limit of a container (cgroup 2): microseconds of CPU time in each period, and the period in microseconds.
QUOTA = Path("/sys/fs/cgroup/cpu.max")


def shares_for(recipes: Sequence[Recipe], jobs: int | None) -> list[Share]:
    """The shares of the machine for the runs of these recipes: each gets one GPU, or the CPU alone.

    Each gets as many threads as the largest ``train.threads`` of the recipes, or one thread where none has it.

    Args:
        recipes: of all combinations. jobs: ``--jobs``.

    Raises:
        UsageError: a device does not exist here, or the processes need more threads than there are cores.
    """
    threads = max(recipe.train.threads or 1 for recipe in recipes)
    gpus: dict[str | None, None] = {}
    for name in dict.fromkeys(recipe.train.device for recipe in recipes):
        device = find_device(name)
        if device.type == "cuda" and ":" not in name:
            gpus |= dict.fromkeys(visible_gpus())
        elif device.type != "cpu":
            gpus[None] = None  # the recipe names the device itself
    return divide(jobs, threads, list(gpus), available_cores())


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, each as ``CUDA_VISIBLE_DEVICES`` names it."""
    count = torch.cuda.device_count()
    names = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return names[:count] if len(names) >= count else [str(number) for number in range(count)]


def available_cores(quota: Path = QUOTA) -> int:
    """How many cores this process may use: its CPU affinity, limited by the CPU quota of its container."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        time, period = quota.read_text(encoding="ascii").split()
        count = min(count, -(-int(time) // int(period)))  # no limit is written as "max", a ValueError here
    return max(1, count)


def divide(jobs: int | None, threads: int, gpus: Sequence[str | None], cores: int) -> list[Share]:
    """The share of each process that runs at the same time.

    Args:
        jobs: how many processes; None: one for each GPU, or without GPUs as many as the cores allow.
        threads: of each process.
        gpus: values for ``CUDA_VISIBLE_DEVICES``, None for a device that the recipe names itself; empty for the CPU.
        cores: how many there are.

    Raises:
        UsageError: the processes need more threads than there are cores.
    """
    limit = max(1, cores // threads)
    if threads > cores:
        raise UsageError(f"train.threads = {threads}: there are {cores} cores", f"--set train.threads={cores}, for instance")
    if jobs is not None and jobs > limit:
        per_process = "1 thread" if threads == 1 else f"{threads} threads"
        raise UsageError(
            f"--jobs {jobs}: {jobs} processes of {per_process} each are more than the {cores} core{'s' * (cores > 1)} here; "
            "threads that wait for each other make all of them several times slower",
            f"--jobs {limit}, or without --jobs",
        )
    count = jobs or min(len(gpus) or limit, limit)
    return [Share(threads, gpus[number % len(gpus)] if gpus else None) for number in range(count)]
