"""The trick ``system_metrics``: records the load of the machine during a run."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import psutil
from pydantic import Field

from ganlab.errors import GanlabError
from ganlab.hookspecs import Register, hookimpl

if TYPE_CHECKING:
    import torch

    from ganlab import Run

GIB = 2**30
Gpu = dict[str, Callable[[], float]]  #: Functions that read a GPU, by the name of what they read.


@dataclass
class SystemMetrics:
    """Record the load of the machine: processor and memory, and the run's NVIDIA GPU with its memory, power and temperature.

    Written to ``system.jsonl``, under ``system/``, because it differs when a run is repeated. A thread takes the samples.

    Options:
        every_seconds: time between two samples. The first comes after a second, or after ``every_seconds`` where that is less.
    """

    every_seconds: Annotated[float, Field(gt=0)] = 10.0

    thread: threading.Thread | None = field(default=None, init=False, repr=False)
    stopped: threading.Event = field(default_factory=threading.Event, init=False, repr=False)

    @hookimpl
    def before_run(self, run: Run) -> None:
        self.stopped.clear()
        self.thread = threading.Thread(target=self._watch, args=(run,), name="system_metrics", daemon=True)
        self.thread.start()

    @hookimpl
    def after_run(self) -> None:
        if self.thread is not None:
            self.stopped.set()
            self.thread.join(timeout=5)
            self.thread = None

    def _watch(self, run: Run) -> None:
        process = psutil.Process()
        psutil.cpu_percent(), process.cpu_percent()  # the first call only starts the measurement
        pause = min(1.0, self.every_seconds)
        with gpu_of(run.device) as gpu:
            while not self.stopped.wait(pause):
                with contextlib.suppress(OSError, GanlabError):  # the folder is gone or the disk is full: the training thread reports that
                    run.record_clock(sample(process) | gpu_sample(gpu))
                pause = self.every_seconds


def sample(process: psutil.Process) -> dict[str, float]:
    """Percent of all cores that the machine uses and of one core that ``process`` uses, since the last call; memory in GiB."""
    memory = psutil.virtual_memory()
    return {
        "system/cpu_percent": psutil.cpu_percent(),
        "system/process_cpu_percent": process.cpu_percent(),
        "system/memory_percent": memory.percent,
        "system/process_memory_gib": process.memory_info().rss / GIB,
    }


@contextlib.contextmanager
def gpu_of(device: torch.device) -> Iterator[Gpu]:
    """Within this context NVML is open on a CUDA device. Yields an empty dictionary for other devices, and without NVML."""
    if device.type != "cuda":
        yield {}
        return
    try:
        import pynvml as nvml

        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid_of(device))
    except Exception:  # no library, driver or permission: a run needs none of them
        yield {}
        return
    try:
        yield {
            "utilization_percent": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
            "memory_gib": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used / GIB,
            "power_watts": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
            "temperature_celsius": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
        }
    finally:
        with contextlib.suppress(Exception):
            nvml.nvmlShutdown()


def uuid_of(device: torch.device) -> bytes:
    """NVML's name of a CUDA device. The numbers differ: ``CUDA_VISIBLE_DEVICES`` renumbers torch's and not NVML's."""
    import torch

    return f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()


def gpu_sample(gpu: Gpu) -> dict[str, float]:
    """Utilization in percent, memory in GiB, power in watts and temperature in degrees Celsius, as far as the GPU reports them."""
    values = {}
    for name, read in gpu.items():
        with contextlib.suppress(Exception):  # a partitioned GPU does not report its utilization, for instance
            values[f"system/gpu_{name}"] = float(read())
    return values


@hookimpl
def register_tricks(register: Register) -> None:
    register("system_metrics", SystemMetrics)
