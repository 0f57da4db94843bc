"""Provenance: the versions, git commit, machine and data that a run is made with. run.json has it from the start."""

from __future__ import annotations

import getpass
import importlib.metadata
import os
import platform
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import torch

from ganlab.components import Dataset
from ganlab.errors import PluginError
from ganlab.game.factories import owner_of
from ganlab.recipe import Recipe
from ganlab.records import data_files, distributions
from ganlab.records.copies import place_of
from ganlab.records.folder import RunFolder
from ganlab.records.run_info import GitState, RunInfo, UsedData
from ganlab.redaction import redacted_value
from ganlab.runs.device import device_name
from ganlab.version import __version__

REQUIREMENT = re.compile(r"([\w.-]+)(?!.*;.*\bextra\b)")  # the package that a line of metadata requires; none for an optional one


def provenance_of(recipe: Recipe, folder: RunFolder | None, device: torch.device, dataset: Dataset) -> RunInfo:
    """The content of run.json for a new run."""
    fingerprint = dataset.fingerprint()
    if not isinstance(fingerprint, str):
        hint = "its method fingerprint() returns a short text: equal data, equal text"
        raise PluginError(f"{owner_of(recipe.data)} gave the fingerprint {fingerprint!r}, which is not a str", hint)
    used = distributions.used_distributions(recipe)
    return RunInfo(
        id=folder.path.name if folder is not None else "",
        uid=secrets.token_hex(16),
        folder=place_of(folder) if folder is not None else {},
        recipe=recipe.name,
        status="new",
        ganlab=__version__,
        versions={"python": platform.python_version(), **versions(["ganlab", *(each["name"] for each in used)])},
        git=git_state(),
        user=user(),
        host=socket.gethostname(),
        platform=platform.platform(),
        **process(),
        command=[redacted_value(word) for word in sys.argv],
        device=str(device),
        device_name=device_name(device),
        dtype=recipe.train.dtype,
        threads=torch.get_num_threads(),
        seed=recipe.train.seed,
        distributions=used,
        script_plugins=distributions.used_script_plugins(recipe),
        data=used_data(recipe, dataset, fingerprint),
        created=time.time(),
        started=None,
        ended=None,
        announcements=[],
        display_lines={name: line for trick in recipe.tricks for name, line in getattr(trick.entry.factory, "display_lines", {}).items()},
        failure=None,
        signal=None,
        last_checkpoint=None,
        resumed=[],
    )


def used_data(recipe: Recipe, dataset: Dataset, fingerprint: str) -> UsedData:
    """What run.json says of the data set."""
    outline, _ = data_files.contents_of(dataset)
    known: UsedData = {"use": recipe.data.use, "size": len(dataset), "fingerprint": fingerprint}
    if outline:
        known["outline"] = outline
    return {**known, "fallback_from": None, "why": ""}


def process() -> dict[str, Any]:
    """The process that writes a run: its number, when it was started, and when the machine was booted, in seconds since 1970."""
    import psutil

    return {"pid": os.getpid(), "process_started": psutil.Process().create_time(), "boot": psutil.boot_time()}


def versions(names: Iterable[str]) -> dict[str, str]:
    """The installed versions of all packages that these distributions require, read from metadata without importing them."""
    installed = {}
    for name in names:
        with suppress(importlib.metadata.PackageNotFoundError):
            for line in importlib.metadata.requires(name) or []:
                if match := REQUIREMENT.match(line):
                    with suppress(importlib.metadata.PackageNotFoundError):  # not on this platform
                        installed[match[1]] = importlib.metadata.version(match[1])
    return installed


def user() -> str:
    """The user's name; empty where there is none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def git_state() -> GitState | None:
    """The commit of the git work tree around the working folder, and whether it has uncommitted changes; None outside of one."""

    def git(*words: str) -> str:
        result = subprocess.run(["git", *words], capture_output=True, text=True, timeout=5, check=True)
        return result.stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None
