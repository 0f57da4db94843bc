"""Where a run comes from: versions, git commit, machine, data. It stands in run.json from the first moment on."""

from __future__ import annotations

import getpass
import importlib.metadata
import os
import platform
import secrets
import socket
import subprocess
import sys
import time
from typing import Any

import torch

from ganlab.components import Dataset
from ganlab.recipe import Recipe
from ganlab.records import distributions
from ganlab.records.folder import RunFolder
from ganlab.records.run_info import GitState, RunInfo
from ganlab.runs.device import device_name
from ganlab.version import __version__

PACKAGES = ("torch", "numpy", "pluggy", "safetensors", "mlflow", "torchvision")


def provenance_of(recipe: Recipe, folder: RunFolder | None, device: torch.device, dataset: Dataset) -> RunInfo:
    """Everything about the circumstances of a new run that somebody may ask for later."""
    return RunInfo(
        id=folder.path.name if folder is not None else "",
        uid=secrets.token_hex(16),
        recipe=recipe.name,
        status="new",
        ganlab=__version__,
        versions={"python": platform.python_version(), **versions()},
        git=git_state(),
        user=user(),
        host=socket.gethostname(),
        platform=platform.platform(),
        **process(),
        command=sys.argv,
        device=str(device),
        device_name=device_name(device),
        dtype=recipe.train.dtype,
        threads=torch.get_num_threads(),
        seed=recipe.train.seed,
        distributions=distributions.used_distributions(recipe),
        script_plugins=distributions.used_script_plugins(recipe),
        data={"use": recipe.data.use, "size": len(dataset), "fingerprint": dataset.fingerprint(), "fallback_from": None, "why": ""},
        created=time.time(),
        started=None,
        ended=None,
        announcements=[],
        failure=None,
        signal=None,
        last_checkpoint=None,
        resumed=[],
    )


def process() -> dict[str, Any]:
    """Which process writes a run: its number, when it was started, and when the machine was, in seconds since 1970."""
    import psutil

    return {"pid": os.getpid(), "process_started": psutil.Process().create_time(), "boot": psutil.boot_time()}


def versions() -> dict[str, str]:
    """The installed versions of what a run's numbers depend on. Reads metadata only: nothing is imported for it."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def user() -> str:
    """The user's name, or an empty text where there is none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def git_state() -> GitState | None:
    """Commit and cleanness of the git work tree around the working folder, or None outside one."""

    def git(*words: str) -> str:
        result = subprocess.run(["git", *words], capture_output=True, text=True, timeout=5, check=True)
        return result.stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None
