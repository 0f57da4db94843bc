"""Where and when figures were measured."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from support.setting import HERE

PACKAGES = ("torch", "torchvision", "mlflow", "torchgan", "lightning")


def processor() -> str:
    """Its name, as the system knows it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> str:
    """Of Python, ganlab and what it is compared with."""
    found = [f"Python {platform.python_version()}", f"ganlab {importlib.metadata.version('ganlab')}{_commit()}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"no {package}")
    return ", ".join(found)


def _commit() -> str:
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f" ({done.stdout.strip()})"


def gpu(device: str) -> str:
    """Its name, as CUDA knows it.

    Raises:
        ValueError: there is no such device.
    """
    import torch  # takes a second, and is not needed without a GPU

    try:
        return torch.cuda.get_device_name(device)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ValueError(f"there is no device '{device}' here: {str(error).splitlines()[0]}") from None


def described(device: str = "cpu") -> str:
    """One line: date, machine, versions.

    Raises:
        ValueError: there is no such device.
    """
    cores = os.cpu_count() or 1
    used = "CPU only" if device == "cpu" else gpu(device)
    where = f"{processor()}, {cores} core{'s' * (cores > 1)}, {platform.system()}, {used}"
    return f"{datetime.date.today().isoformat()}; {where}; {versions()}."
