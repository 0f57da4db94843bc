"""Settings of the command line's own process, which scripts and notebooks do not get."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import children

from ganlab.cli.process import WAIT_SETTINGS, set_wait_policy

SCRIPT = """
import os, sys
import ganlab, torch
plain = torch.optim.Adam.step, torch.optim.Optimizer.zero_grad
ganlab.run("ring", overrides={"train.steps": 1, "tracking.enabled": False, "evaluation.at_end": False})
assert not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys()
assert (torch.optim.Adam.step, torch.optim.Optimizer.zero_grad) == plain
assert not hasattr(plain[1].__wrapped__, "__dynamo_disable") or "torch._dynamo" in sys.modules
"""


def python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in WAIT_SETTINGS} | variables
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=240)


def test_the_environment_decides_where_it_says_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    set_wait_policy()
    assert {name: os.environ.get(name) for name in WAIT_SETTINGS} == WAIT_SETTINGS
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.delenv("GOMP_SPINCOUNT")
    set_wait_policy()
    assert {name: os.environ.get(name) for name in WAIT_SETTINGS} == {"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": None}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PyTorch has GNU's OpenMP on Linux only")
def test_openmp_takes_the_settings() -> None:
    code = "from ganlab.cli.process import set_wait_policy; set_wait_policy(); import torch"
    shown = python(code, OMP_DISPLAY_ENV="verbose").stderr
    if "GOMP_SPINCOUNT" not in shown:
        pytest.skip("this PyTorch has another OpenMP")
    assert "GOMP_SPINCOUNT = '3000'" in shown and "OMP_WAIT_POLICY = 'PASSIVE'" in shown


@pytest.mark.slow
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
