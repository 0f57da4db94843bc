"""Settings of the command line's own process, which scripts and notebooks do not get."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from support import children

from ganlab.cli.process import WAIT_SETTINGS

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is another one than glibc")

#: Four blocks of 19 MB are allocated, written and freed, as the tensors of a step are. How many pages does the system clear each time?
PAGES = """
import json, os, resource, sys
from ganlab.cli.process import set_up_process
if sys.argv[1] == "command":
    set_up_process()
def step():
    for _ in range(3):
        blocks = [bytes([1]) * 18_816_000 for _ in range(4)]
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
waits = {name: os.environ.get(name) for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
print(json.dumps([(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 5, waits]))
"""
SCRIPT = """
import os, sys
import ganlab, torch
plain = torch.optim.Adam.step, torch.optim.Optimizer.zero_grad
ganlab.run("ring", overrides={"train.steps": 1, "tracking.enabled": False, "evaluation.at_end": False})
assert not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys()
assert (torch.optim.Adam.step, torch.optim.Optimizer.zero_grad) == plain
assert not hasattr(plain[1].__wrapped__, "__dynamo_disable") or "torch._dynamo" in sys.modules
"""


def python(code: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    settings = (*WAIT_SETTINGS, "GLIBC_TUNABLES")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_") and name not in settings}
    return subprocess.run(
        [sys.executable, "-c", code, *words], env=environment | variables, capture_output=True, text=True, check=True, timeout=240
    )


@glibc
def test_a_command_keeps_freed_memory_and_lets_threads_spin_briefly() -> None:
    (other, kept), (scripts, fetched) = (json.loads(python(PAGES, word).stdout)[::-1] for word in ("command", "script"))
    assert kept < 100 and fetched > 10_000
    assert other == WAIT_SETTINGS
    assert scripts == dict.fromkeys(WAIT_SETTINGS)


@glibc
def test_the_environment_decides_where_it_says_something() -> None:
    fetched, waits = json.loads(python(PAGES, "command", MALLOC_TRIM_THRESHOLD_="1000000", OMP_WAIT_POLICY="ACTIVE").stdout)
    assert fetched > 10_000
    assert waits == {"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": None}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PyTorch has GNU's OpenMP on Linux only")
def test_openmp_takes_the_settings() -> None:
    code = "from ganlab.cli.process import set_up_process; set_up_process(); import torch"
    shown = python(code, OMP_DISPLAY_ENV="verbose").stderr
    if "GOMP_SPINCOUNT" not in shown:
        pytest.skip("this PyTorch has another OpenMP")
    assert "GOMP_SPINCOUNT = '10000'" in shown and "OMP_WAIT_POLICY = 'PASSIVE'" in shown


def test_a_script_gets_none_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    python(SCRIPT)


def test_all_that_is_measured_waits_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    found = {policy: {name: children.environment(1, policy).get(name) for name in WAIT_SETTINGS} for policy in ("brief", "passive", "own")}
    assert found == {
        "brief": WAIT_SETTINGS,
        "passive": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": None},
        "own": {"OMP_WAIT_POLICY": None, "GOMP_SPINCOUNT": None},
    }
