"""Before torch is imported: one thread, that sleeps while it waits. Tests are small, and others may be at work beside them."""

from __future__ import annotations

import atexit
import functools
import importlib.metadata
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE / "kills"))
sys.path.append(str(HERE.parent / "benchmarks"))

if TYPE_CHECKING:
    from server import Server

# The key that signs runs lies where the tests leave nothing behind.
_state = tempfile.mkdtemp(prefix="ganlab-state-")
atexit.register(shutil.rmtree, _state, ignore_errors=True)
os.environ["GANLAB_STATE"] = _state
# Nor judges in the cache; one that has been trained for these tests elsewhere may be used.
os.environ.setdefault("GANLAB_CACHE", str(Path(_state) / "cache"))
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _read_once(read: Callable[..., Any]) -> Callable[..., Any]:
    """A function of ``importlib.metadata`` that reads the metadata once, unless a test has added a folder to the import path."""
    cached, usual = functools.cache(read), {*sys.path, os.getcwd(), str(HERE), str(HERE / "tutorials")}
    return lambda *names, **options: (cached if usual.issuperset(sys.path) else read)(*names, **options)


# Tests do not wait for the disk, nor read the metadata of all installed packages for each run.
os.fsync = lambda handle: None
for _function in ("entry_points", "requires", "version"):
    setattr(importlib.metadata, _function, _read_once(getattr(importlib.metadata, _function)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What ``-n auto`` is: each process holds torch, some 600 MB."""
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@pytest.fixture(autouse=True)
def environment_put_back() -> Iterator[None]:
    """What a command sets for its own process (MLflow's log level, say) must not reach the tests that come after it."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The discriminator's two passes are computed one by one: where bits are compared with something that does so."""
    from ganlab.game.player import Player

    monkeypatch.setattr(Player, "in_one_pass", lambda *given: None)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A warm parent of `ganlab` processes; starting it takes as long as a fresh Python takes for its imports."""
    from server import Server

    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an sqlite store of MLflow without runs, to be copied: creating one takes seconds."""
    from mlflow_support import create_store

    return create_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def forked_mirrors(monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> None:
    """Mirror processes are forked from this process, which has imported MLflow, instead of started."""
    from mlflow_support import fork_mirror

    monkeypatch.setattr("ganlab_mlflow.helper.subprocess", SimpleNamespace(Popen=fork_mirror, PIPE=-1, DEVNULL=-3))
