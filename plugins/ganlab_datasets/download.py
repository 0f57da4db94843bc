"""Downloads through torchvision (its mirrors, its checksums) that end: with the data, or with a reason.

First the mirrors are probed; then a process of its own downloads into a folder beside the target, and is stopped when no bytes
arrive any more. What is complete is moved into place. A lock lets one process download, and others wait for it.
"""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ganlab_datasets.probe import probe
from ganlab_datasets.worker import READY

PATIENCE = 15.0  # seconds; with the imports before it, whether data can be had is decided within 20 s
STARTING = 60.0  # seconds that the process may take to import torchvision
WAITING = 600.0  # seconds that another process may take for the same download
POLL = 0.1  # seconds
OUTPUT = "worker.txt"  # what the process says
log = logging.getLogger("ganlab.data")


class DownloadFailed(Exception):
    """Why a download did not succeed, in a sentence or two that follow a colon."""


@dataclass(frozen=True)
class Source:
    """Where torchvision gets a data set from: addresses, and files with their md5 sums."""

    mirrors: tuple[str, ...]
    resources: tuple[tuple[str, str], ...]


def source_of(dataset: str) -> Source:
    """What torchvision knows of the data set of that class name."""
    from torchvision import datasets  # 1.1 s to import

    known = getattr(datasets, dataset)
    return Source(tuple(known.mirrors), tuple(known.resources))


def download(dataset: str, root: Path, patience: float, complete: Callable[[], bool]) -> None:
    """Download a data set into ``root/<dataset>/raw``, where torchvision would put it. Files that are there are left alone.

    Args:
        dataset: torchvision's class name.
        root: made when it does not exist.
        patience: seconds without a byte after which a mirror is given up.
        complete: asked again when the lock has been waited for: another process may have brought the data.

    Raises:
        DownloadFailed: the network or the disk does not allow it.
    """
    from filelock import FileLock, Timeout

    source = source_of(dataset)
    answers = probe(source.mirrors, source.resources[-1][0], time.monotonic() + patience, patience)  # the last is the smallest
    usable = [mirror for mirror, why in answers.items() if not why]
    if not usable:
        raise DownloadFailed(_reasons("none of its mirrors has it", answers))
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{dataset}.lock", timeout=WAITING):
            if not complete():
                _download_locked(dataset, root, Source(tuple(usable), source.resources), patience, answers)
    except Timeout as error:
        raise DownloadFailed(f"another process has been downloading it for {WAITING:g} s (lock {root}/.{dataset}.lock)") from error
    except OSError as error:
        raise DownloadFailed(f"{root} cannot be written to ({error.strerror or error})") from error


def _download_locked(dataset: str, root: Path, source: Source, patience: float, answers: dict[str, str]) -> None:
    aside = root / f".{dataset}.part"
    # What a process that was killed has left there is used as far as it is whole: the lock says that nobody else does.
    try:
        for mirror in source.mirrors:
            log.info("downloading %s from %s into %s", dataset, mirror, root)
            answers[mirror] = _fetch(dataset, aside, mirror, source.resources, patience)
            if not answers[mirror]:
                return _move(aside / dataset / "raw", root / dataset / "raw", source)
        raise DownloadFailed(_reasons("its mirrors answered, but", answers))
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _reasons(what: str, answers: dict[str, str]) -> str:
    return f"{what} (" + "; ".join(f"{mirror}: {why}" for mirror, why in answers.items()) + ")"


def _fetch(dataset: str, aside: Path, mirror: str, resources: tuple[tuple[str, str], ...], patience: float) -> str:
    """Have a process download from one mirror. An empty string when all is there, else why not."""
    raw = aside / dataset / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for unpacked in (path for path in raw.iterdir() if path.suffix != ".gz"):
        unpacked.unlink()  # may be half unpacked; compressed files are kept, as torchvision checks their md5 sums
    request = json.dumps({"dataset": dataset, "folder": str(aside), "mirrors": [mirror], "resources": resources})
    command = [sys.executable, "-P", str(Path(__file__).with_name("worker.py")), request]
    with ExitStack() as stack:
        output = stack.enter_context((aside / OUTPUT).open("w"))
        process = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.DEVNULL, start_new_session=True)
        )
        stack.callback(process.kill)  # before it is waited for; nothing happens when it has ended
        stalled = _watch(process, aside, patience)
    if stalled or process.returncode == 0:
        return stalled
    said = (aside / OUTPUT).read_text().strip().split("\n")[-1]
    return said if said not in ("", READY) else f"the process that downloads ended with {process.returncode}"


def _watch(process: subprocess.Popen[bytes], aside: Path, patience: float) -> str:
    """Wait while bytes arrive. An empty string when the process has ended by itself, else why it must be stopped."""
    size, since = -1, time.monotonic()
    while process.poll() is None:
        started = (aside / OUTPUT).read_text().startswith(READY)
        now_there = sum(path.stat().st_size for path in aside.rglob("*") if path.is_file())
        if now_there != size:
            size, since = now_there, time.monotonic()
        if time.monotonic() - since > (patience if started else STARTING):
            return f"no bytes arrived for {patience:g} s" if started else f"torchvision could not be imported in {STARTING:g} s"
        time.sleep(POLL)
    return ""


def _move(raw: Path, target: Path, source: Source) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for resource, _ in source.resources:
        name = resource.removesuffix(".gz")
        if not (target / name).exists():
            (raw / name).replace(target / name)
