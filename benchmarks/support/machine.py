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


def described() -> str:
    """One line: date, machine, versions."""
    cores = os.cpu_count() or 1
    where = f"{processor()}, {cores} core{'s' * (cores > 1)}, {platform.system()}, CPU only"
    return f"{datetime.date.today().isoformat()}; {where}; {versions()}."
