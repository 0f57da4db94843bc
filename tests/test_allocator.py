"""Memory that is freed stays with the process: what the C library is told, and that it acts upon it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from ganlab.speed import allocator

#: Four blocks of 19 MB are taken, written and freed, as the results of a step are; how many pages does the system hand out each time?
SCRIPT = """
import json, resource, sys
from ganlab.speed.allocator import keep_freed_memory
told = sys.argv[1] == "told" and keep_freed_memory()
def step():
    for _ in range(3):
        blocks = [bytes([1]) * 18_816_000 for _ in range(4)]
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(json.dumps([told, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 5]))
"""
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is another one than glibc")


def pages(*words: str, **variables: str) -> list[float]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_") and name != "GLIBC_TUNABLES"}
    ended = subprocess.run([sys.executable, "-c", SCRIPT, *words], env=kept | variables, capture_output=True, text=True, check=True)
    found: list[float] = json.loads(ended.stdout)
    return found


@glibc
def test_freed_memory_is_not_fetched_from_the_system_again() -> None:
    (untold, fetched), (told, kept) = pages("untold"), pages("told")
    assert (untold, told) == (False, True)
    assert fetched > 10_000 and kept < 100


PEAK = """
import sys
from pathlib import Path
from ganlab.speed.allocator import trim_heap, keep_freed_memory
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
keep_freed_memory()
before = resident()
blocks = [bytes([1]) * 18_816_000 for _ in range(8)]
last = bytes([1]) * 100_000  # above them in the heap
del blocks
kept = resident()
trim_heap()
print(kept - before, resident() - before)
"""


@glibc
def test_what_piles_up_is_given_back() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_") and name != "GLIBC_TUNABLES"}
    ended = subprocess.run([sys.executable, "-c", PEAK], env=environment, capture_output=True, text=True, check=True)
    kept, left = map(int, ended.stdout.split())
    assert kept > 100_000_000 and left < 10_000_000


@pytest.mark.parametrize("what", ["train.checkpoint_every=3", "evaluation.every=3"])
def test_checkpoints_and_evaluations_give_back(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganlab.runs import checkpoints, evaluations
    from ganlab.testing import play

    given: list[bool] = []
    for module in (checkpoints, evaluations):
        monkeypatch.setattr(module, "trim_heap", lambda: given.append(True))
    images = ['data={use="tiny",shape=[1,8,8]}', 'metrics.tiny={use="tiny"}', 'judge={use="tiny"}', "train.log_every=1"]
    options = {"train.checkpoint_every": "100", "evaluation.every": "0", "evaluation.quick_samples": "16", "evaluation.samples": "32"}
    counts = []
    for more in ({}, dict([what.split("=")])):
        before = len(given)
        said = [f"{key}={value}" for key, value in (options | more).items()]
        play(steps=7, overrides=[*images, *said], folder=tmp_path / str(len(counts)))
        counts.append(len(given) - before)
    assert counts[1] - counts[0] >= 2  # at steps 3 and 6


@glibc
@pytest.mark.parametrize(
    "setting",
    [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"MALLOC_MMAP_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=131072"}],
)
def test_what_the_environment_says_stands(setting: dict[str, str]) -> None:
    told, fetched = pages("told", **setting)
    assert not told and fetched > 1000


@pytest.mark.parametrize(("system", "library"), [("darwin", object()), ("linux", object())])
def test_where_there_is_no_such_library_nothing_happens(system: str, library: object, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*allocator.SETTINGS, "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: library)
    assert not allocator.keep_freed_memory.__wrapped__()


def test_a_run_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from ganlab.runs import training
    from ganlab.testing import play

    told: list[bool] = []
    monkeypatch.setattr(training, "keep_freed_memory", lambda: told.append(True))
    play(steps=1)
    assert told == [True]
