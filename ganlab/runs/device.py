"""The device and the dtype of a run."""

from __future__ import annotations

import contextlib
import platform

import torch

from ganlab.errors import UsageError

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def find_device(name: str) -> torch.device:
    """``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps`` as a device that is there. ``auto`` takes CUDA, else MPS, else the CPU.

    Raises:
        UsageError: there is no such device here.
    """
    mps = torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    if name == "cpu" or (name == "mps" and mps):
        return torch.device(name)
    kind, _, number = name.partition(":")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "cuda" and (number or "0").isdigit() and int(number or 0) < count:
        return torch.device("cuda", int(number or 0))
    here = ["cpu", *(f"cuda:{i}" for i in range(count)), *(["mps"] if mps else [])]
    raise UsageError(f"train.device = '{name}': there is no such device here", f"here: {', '.join(here)}; or `--device auto`")


def device_name(device: torch.device) -> str:
    """The device as its maker calls it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return f"Apple GPU ({platform.processor() or platform.machine()})"
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
