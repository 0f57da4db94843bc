"""How OpenMP's threads wait: briefly, unless the environment says otherwise."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from support import children

from ganlab.cli.waiting import WAITS, wait_briefly


def said(environment: dict[str, str]) -> dict[str, str | None]:
    """What the environment says of it in a ``ganlab`` command."""
    code = (
        "import atexit, json, os\n"
        "from ganlab.cli import main\n"
        f"atexit.register(lambda: print(json.dumps({{name: os.environ.get(name) for name in {list(WAITS)}}})))\n"
        "main(['--version'])\n"
    )
    whole = {name: value for name, value in os.environ.items() if name not in WAITS} | environment
    ended = subprocess.run([sys.executable, "-c", code], env=whole, capture_output=True, text=True, check=True)
    found: dict[str, str | None] = json.loads(ended.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "100"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": None}),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": None}),
        ({"GOMP_SPINCOUNT": "5"}, {"OMP_WAIT_POLICY": None, "GOMP_SPINCOUNT": "5"}),
    ],
    ids=["nothing said", "active", "passive", "a count"],
)
def test_the_command_lets_threads_wait_briefly_unless_told_otherwise(environment: dict[str, str], expected: dict[str, str | None]) -> None:
    assert said(environment) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP comes with PyTorch on Linux")
def test_openmp_takes_it() -> None:
    code = "from ganlab.cli.waiting import wait_briefly; wait_briefly(); import torch"
    whole = {name: value for name, value in os.environ.items() if name not in WAITS} | {"OMP_DISPLAY_ENV": "verbose"}
    told = subprocess.run([sys.executable, "-c", code], env=whole, capture_output=True, text=True, check=True).stderr
    if "GOMP_SPINCOUNT" not in told:
        pytest.skip("this PyTorch has another OpenMP")
    assert "GOMP_SPINCOUNT = '100'" in told and "OMP_WAIT_POLICY = 'PASSIVE'" in told


def test_all_that_is_measured_waits_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    found = {policy: {name: children.environment(1, policy).get(name) for name in WAITS} for policy in ("brief", "passive", "own")}
    assert found == {
        "brief": WAITS,
        "passive": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": None},
        "own": {"OMP_WAIT_POLICY": None, "GOMP_SPINCOUNT": None},
    }
    wait_briefly()  # somebody has said something
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"]) == ("ACTIVE", "7")
