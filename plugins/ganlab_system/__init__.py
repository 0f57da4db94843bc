"""The trick ``system_metrics``: what the machine does while a run goes on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import psutil
from pydantic import Field

from ganlab.errors import GanlabError
from ganlab.hookspecs import Register, hookimpl

if TYPE_CHECKING:
    import torch

    from ganlab import Run

GIB = 2**30


@dataclass
class SystemMetrics:
    """Record the load of the machine: processor and memory, and the run's NVIDIA GPU with its memory, power and temperature.

    Goes to ``system.jsonl``, under ``system/``, for it is not the same when a run is repeated. A thread takes the samples.

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
        psutil.cpu_percent(), process.cpu_percent()  # the first call has nothing to compare with
        pause = min(1.0, self.every_seconds)
        with gpu_of(run.device) as gpu:
            while not self.stopped.wait(pause):
                with contextlib.suppress(OSError, GanlabError):  # the run's folder is gone, or full: the training thread will say so
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


class _Gpu(contextlib.AbstractContextManager["_Gpu"]):
    """A CUDA device as NVML sees it; nothing where there is none."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.nvml: Any = None
        self.handle: Any = None

    def __enter__(self) -> _Gpu:
        if self.device.type == "cuda":
            with contextlib.suppress(Exception):  # no library, no driver, no right to ask: a run needs none of it
                import pynvml

                pynvml.nvmlInit()
                self.nvml = pynvml
                self.handle = pynvml.nvmlDeviceGetHandleByUUID(uuid_of(self.device))
        return self

    def __exit__(self, *error: object) -> None:
        if self.nvml is not None:
            with contextlib.suppress(Exception):
                self.nvml.nvmlShutdown()


def gpu_of(device: torch.device) -> _Gpu:
    """A context in which :func:`gpu_sample` can ask about ``device``."""
    return _Gpu(device)


def uuid_of(device: torch.device) -> bytes:
    """NVML's name of a CUDA device. The numbers differ: ``CUDA_VISIBLE_DEVICES`` renumbers torch's and not NVML's."""
    import torch

    return f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()


def gpu_sample(gpu: _Gpu) -> dict[str, float]:
    """Utilisation in percent, memory in GiB, power in watts, temperature in degrees Celsius: those of them that the GPU tells."""
    if gpu.handle is None:
        return {}
    nvml, handle = gpu.nvml, gpu.handle
    questions: dict[str, Callable[[], float]] = {
        "utilization_percent": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
        "memory_gib": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used / GIB,
        "power_watts": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        "temperature_celsius": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
    }
    found = {}
    for name, ask in questions.items():
        with contextlib.suppress(Exception):  # a partitioned GPU does not tell its utilisation, for instance
            found[f"system/gpu_{name}"] = float(ask())
    return found


@hookimpl
def register_tricks(register: Register) -> None:
    register("system_metrics", SystemMetrics)
