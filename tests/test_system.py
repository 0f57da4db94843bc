"""The trick ``system_metrics``: a thread's samples, with and without a GPU."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import ganlab_system
from ganlab_system import SystemMetrics, gpu_of, gpu_sample

MACHINE = {"system/cpu_percent", "system/process_cpu_percent", "system/memory_percent", "system/process_memory_gib"}


class Clock:
    """A run that keeps what is recorded, and says when there are two records."""

    def __init__(self, device: str = "cpu", fails: bool = False) -> None:
        self.device, self.fails = torch.device(device), fails
        self.records: list[dict[str, float]] = []
        self.enough = threading.Event()

    def record_clock(self, metrics: dict[str, float]) -> None:
        self.records.append(metrics)
        if len(self.records) >= 2:
            self.enough.set()
        if self.fails:
            raise OSError("No space left on device")


class Nvml:
    """Stands in for pynvml: one GPU, known by its UUID, whose power cannot be read."""

    NVML_TEMPERATURE_GPU = 0
    shut = 0

    def nvmlInit(self) -> None:
        pass

    def nvmlShutdown(self) -> None:
        self.shut += 1

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes) -> str:
        assert uuid == b"GPU-1234"
        return "handle"

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> Any:
        return SimpleNamespace(gpu=93)

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> Any:
        return SimpleNamespace(used=3 * 2**30)

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:
        raise RuntimeError("not supported")

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:
        return 61


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    fake = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)  # type: ignore[arg-type]
    monkeypatch.setattr(ganlab_system, "uuid_of", lambda device: b"GPU-1234")
    return fake


def test_samples_are_taken_until_the_run_ends() -> None:
    run, trick = Clock(), SystemMetrics(every_seconds=0.01)
    trick.before_run(run)
    assert run.enough.wait(30)
    trick.after_run()
    assert all(set(record) == MACHINE for record in run.records)
    assert all(record["system/process_memory_gib"] > 0.01 and 0 <= record["system/memory_percent"] <= 100 for record in run.records)
    assert not any(thread.name == "system_metrics" for thread in threading.enumerate())


def test_it_starts_anew_after_it_was_stopped() -> None:
    trick = SystemMetrics(every_seconds=0.01)
    for run in (Clock(), Clock()):
        trick.before_run(run)
        assert run.enough.wait(30)
        trick.after_run()


def test_a_full_disk_does_not_end_the_thread() -> None:
    run, trick = Clock(fails=True), SystemMetrics(every_seconds=0.01)
    trick.before_run(run)
    assert run.enough.wait(30)
    trick.after_run()


def test_a_gpu_tells_what_it_can(nvml: Nvml) -> None:
    with gpu_of(torch.device("cuda")) as gpu:
        assert gpu_sample(gpu) == {
            "system/gpu_utilization_percent": 93.0,
            "system/gpu_memory_gib": 3.0,
            "system/gpu_temperature_celsius": 61.0,
        }
    assert nvml.shut == 1


def test_a_run_on_the_cpu_asks_no_gpu(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "nvmlInit", lambda: pytest.fail("asked"))
    with gpu_of(torch.device("cpu")) as gpu:
        assert gpu_sample(gpu) == {}


def test_a_gpu_without_its_library_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)  # an import of it raises
    with gpu_of(torch.device("cuda")) as gpu:
        assert gpu_sample(gpu) == {}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_the_gpu_of_this_machine() -> None:
    with gpu_of(torch.device("cuda")) as gpu:
        found = gpu_sample(gpu)
    assert found["system/gpu_memory_gib"] > 0
