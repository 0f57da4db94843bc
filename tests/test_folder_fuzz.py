"""Mutated run folders: whatever is in them, commands end with a result or one clear error, soon, and touch nothing outside."""

# ruff: noqa: E501 - tables of words
from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import resource
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from folder_mutations import mutate
from server import Server

from ganlab.cli import main
from ganlab.errors import GanlabError
from ganlab.generators.loaded import load_generator
from ganlab.storage import checkpoint

FUZZ = int(os.environ.get("GANLAB_FOLDER_FUZZ", "0"))
READ, ALL = (FUZZ, max(1, FUZZ * 150 // 2000)) if FUZZ else (60, 10)
READ_PARTS, ALL_PARTS = (
    [range(first, min(first + size, count)) for first in range(0, count, size)] for count, size in ((READ, 60), (ALL, 10))
)
SEED = int(os.environ.get("GANLAB_FOLDER_FUZZ_SEED", "0"))
SECONDS = 10.0  # that a command may take
MEMORY = 8 * 2**30  # bytes of address space that it may have beyond what it has at its start
RING = [
    "run", "ring", "--quiet", "--set", "train.steps=20", "--set", "train.batch_size=16", "--set", "data.samples=300", "--set", "train.checkpoint_every=5",
    "--set", "train.sample_every=10", "--set", "tracking.enabled=false", "--set", "tricks.system_metrics.enabled=false",
    "--set", "evaluation.every=0",
]  # fmt: skip
COMMANDS = {
    "runs": ["runs", "--sort", "step"], "compare": ["compare", "--html", "page.html"], "sample": ["sample", "RUN", "--count", "4", "--out", "a.png", "--force"],
    "sample last": ["sample", "RUN", "--count", "4", "--checkpoint", "last", "--out", "b.png", "--force"], "animate": ["sample", "RUN", "--animate", "--out", "c.gif"],
    "export": ["export", "RUN", "--out", "exported"], "evaluate": ["evaluate", "RUN"], "evaluate last": ["evaluate", "RUN", "--checkpoint", "last"],
    "sync": ["sync", "RUN"], "init_from": [*RING, "--set", "train.init_from=RUN", "--runs-dir", "others"],
    "resume": ["resume", "RUN", "--quiet", "--set", "train.steps=24"], "delete": ["delete", "RUN", "--yes"],
}  # fmt: skip


@pytest.fixture(scope="module")
def base(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two finished runs, and with things outside of them."""
    folder = tmp_path_factory.mktemp("base")
    for seed in ("0", "1"):
        ended = server.run(folder, *RING, "--seed", seed)
        assert ended.code == 0, ended.text
    mutated, well = sorted((folder / "runs").iterdir())
    mutated.rename(folder / "runs" / "mutated")
    well.rename(folder / "runs" / "well")
    (folder / "outside" / "folder").mkdir(parents=True)
    for name in ("precious", "folder/precious", "folder/step_000000099.png", "folder/.step_000000001.png.part"):
        (folder / "outside" / name).write_text("precious")
    os.mkfifo(folder / "outside" / "pipe")
    return folder


@contextlib.contextmanager
def trial(base: Path, place: Path, chance: random.Random) -> Iterator[tuple[Path, str]]:
    """A copy of the base with one mutation, and what it is. Nothing but the mutated run may change in the block."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(base / "runs", place / "runs")
    shutil.copytree(base / "outside", place / "outside", ignore=shutil.ignore_patterns("pipe"))
    os.mkfifo(place / "outside" / "pipe")
    done = mutate(place / "runs" / "mutated", place / "outside", chance)
    before = content_of(place)
    yield place, done
    assert content_of(place) == before, f"{done}: something outside of the run was touched"


def content_of(place: Path) -> dict[str, str]:
    """Everything but the mutated run and what commands are asked to write: paths and digests."""
    paths = [path for name in ("outside", "runs/well") for path in sorted((place / name).rglob("*"))]
    return {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""
        for path in paths
    }


def read(place: Path, with_page: bool) -> None:
    """All that reads run folders, and a generator and checkpoints. Drawing the page of `compare` takes most of the time."""
    run = place / "runs" / "mutated"
    words = ["--runs-dir", str(place / "runs")]
    page = ["--html", str(place / "page.html")] if with_page else []
    for command in (["runs", "--sort", "step"], ["runs", "--json"], ["compare", *page]):
        code = 0
        try:
            main([*command, *words])
        except SystemExit as ended:
            code = int(ended.code or 0)
        assert code == 0, f"{command} ended with {code}"
    for load in (lambda: load_generator(run).sample(2), lambda: load_generator(run / "generator.safetensors").sample(2)):
        with contextlib.suppress(GanlabError):
            load()
    for path in (run / "checkpoints").glob("*"):
        with contextlib.suppress(GanlabError):
            checkpoint.load(path)


def forked(work: Callable[[], None], log: Path) -> str:
    """Do ``work`` in a fork of this process. Returns what was wrong with it: a traceback, or that it took too long; else nothing."""
    log.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                work()
            code = 0
        except BaseException:
            log.write_text(traceback.format_exc(), errors="replace")
        os._exit(code)
    end = time.monotonic() + SECONDS
    while not (state := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return f"it took more than {SECONDS:.0f} s"
        time.sleep(0.001)
    return "" if state[1] == 0 else log.read_text() if log.exists() else f"status {state[1]}"


def report(failures: list[str], count: int) -> None:
    text = "\n\n".join(failures)
    assert not failures, f"{len(failures)} of {count}:\n{text[:20_000]}"


@pytest.mark.slow
@pytest.mark.parametrize("numbers", READ_PARTS, ids=str)
def test_readers_survive_any_folder(numbers: range, base: Path, tmp_path: Path) -> None:
    failures = []
    for number in numbers:
        with trial(base, tmp_path / "trial", random.Random(f"read {SEED} {number}")) as (place, done):
            wrong = forked(partial(read, place, number % 6 == 0), tmp_path / "log")
            if wrong:
                failures.append(f"{number}: {done}\n{wrong[-1500:]}")
    report(failures, len(numbers))


@pytest.mark.slow
@pytest.mark.parametrize("numbers", ALL_PARTS, ids=str)
def test_commands_survive_any_folder(numbers: range, base: Path, server: Server, tmp_path: Path) -> None:
    failures, jobs = [], 0
    for number in numbers:
        chance = random.Random(f"all {SEED} {number}")
        with trial(base, tmp_path / "trial", chance) as (place, done):
            for name in COMMANDS if FUZZ else sorted(chance.sample(sorted(COMMANDS), 2), key=list(COMMANDS).index):
                jobs += 1
                words = [word.replace("RUN", "runs/mutated") for word in COMMANDS[name]]
                ended = server.run(place, *words, limit=SECONDS, memory=MEMORY)
                if ended.code not in (0, 1, 2) or "Traceback (most recent" in ended.text:
                    failures.append(
                        f"{number}: {done}\nganlab {name} ended with {ended.code} in {ended.seconds:.1f} s: {ended.text[-1500:]}"
                    )
    report(failures, jobs)
