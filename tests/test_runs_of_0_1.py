"""Run folders that ganlab 0.1 has written are listed, resumed, sampled, exported, measured and compared by this version.

They lie in ``assets/runs_0.1``, one of each kind; ``assets/make_runs_0_1.py`` has made them. Their signatures are another account's.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

import ganlab
from ganlab.cli import main

ASSETS = Path(__file__).parent / "assets/runs_0.1"
KINDS = sorted(path.parent.name for path in ASSETS.glob("*/run.json"))
FINISHED = ["finished", "set_seed_0", "set_seed_1"]
RTOL, ATOL = 1e-3, 1e-5  # other processors round otherwise, over at most 18 steps
LR = {"generator.optimizer.lr": 0.002}  # what `resumed_changed` was resumed with, after step 6

Output = pytest.CaptureFixture[str]


class Script:
    """The trick of the run that a script began."""

    def __init__(self) -> None:
        self.steps = 0

    @ganlab.hookimpl
    def after_step(self) -> None:
        self.steps += 1

    def state_dict(self) -> dict[str, int]:
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.steps = state["steps"]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with copies of all runs; the working folder is beside it."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(ASSETS, tmp_path / "runs"))


def says(capsys: Output, *words: object) -> str:
    """What a command prints that ends well."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    said = capsys.readouterr()
    assert not left.value.code, said.out + said.err
    return said.out


def info_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "run.json").read_text())
    return found


def tensors_of(run: Path) -> dict[str, Tensor]:
    """All tensors of the last checkpoint."""
    with safe_open(sorted((run / "checkpoints").glob("step_*.safetensors"))[-1], framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict


def last_metrics(run: Path) -> dict[str, float]:
    """The last line of metrics that has both losses."""
    lines = [json.loads(line)["metrics"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    found: dict[str, float] = next(line for line in reversed(lines) if "loss/generator" in line)
    return found


def tricks_of(kind: str) -> list[object]:
    return [Script()] if kind == "script_trick" else []


def played_anew(kind: str, run: Path, folder: Path, steps: int) -> Path:
    """A new run of the same recipe, from its first step."""
    given: dict[str, Any] = {"tricks": tricks_of(kind), "display": False}
    if kind != "resumed_changed":
        return ganlab.run(run / "recipe.toml", {"train.steps": steps}, runs_dir=folder, **given).path
    first = ganlab.run(run / "recipe.before_step_000000007.toml", {"train.steps": 6}, runs_dir=folder, **given)
    return ganlab.resume(first.path, LR | {"train.steps": steps}, changed=True, display=False).path


def test_there_is_one_of_each_kind() -> None:
    assert len(KINDS) == 12
    expected = {kind: "finished" if kind in FINISHED else "interrupted" for kind in KINDS}
    assert {kind: info_of(ASSETS / kind)["status"] for kind in KINDS} == expected | {"failed": "failed", "killed": "running"}
    assert {info_of(ASSETS / kind)["ganlab"] for kind in KINDS} == {"0.1.0"}


def test_they_are_listed(runs: Path, capsys: Output) -> None:
    listed = {run["run"]: run for run in json.loads(says(capsys, "runs", "--json"))}
    assert sorted(listed) == KINDS
    for kind in KINDS:
        info = info_of(runs / kind)
        assert (listed[kind]["status"], listed[kind]["step"]) == (info["status"], info["counters"]["step"])
        assert ganlab.FinishedRun(kind[-4:] if kind == "labels" else kind).path.name == kind
    text = says(capsys, "runs")
    assert all(kind in text for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_resumed_to_the_same_state(kind: str, runs: Path, tmp_path: Path, capsys: Output) -> None:
    run, steps = runs / kind, 18 if kind in FINISHED else 12
    if kind == "script_trick":
        ganlab.resume(kind, tricks=tricks_of(kind), trust=True, display=False)
    else:
        longer = ["--set", "train.steps=18"] if kind in FINISHED else []
        says(capsys, "resume", kind, "--trust", "--quiet", *longer)
    info = info_of(run)
    assert (info["status"], info["counters"]["step"]) == ("finished", steps)
    assert (run / "generator.safetensors").is_file()
    expected = json.loads((ASSETS / "expected.json").read_text())[kind]  # what 0.1 itself comes to
    assert last_metrics(run) == pytest.approx(expected, rel=RTOL, abs=ATOL)
    if kind != "failed":  # which has withheld an update
        anew = played_anew(kind, ASSETS / kind, tmp_path / "anew", steps)
        ours, theirs = tensors_of(run), tensors_of(anew)
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            assert torch.allclose(value, theirs[name], RTOL, ATOL), name


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_sampled_exported_and_measured(kind: str, runs: Path, capsys: Output) -> None:
    which = [] if (runs / kind / "generator.safetensors").is_file() else ["--checkpoint", "last"]
    says(capsys, "sample", kind, "--trust", "--count", 8, "--out", "samples.png", *which)
    says(capsys, "export", kind, "--trust", "--format", "safetensors", "--out", "exported", *which)
    assert Path("samples.png").is_file()
    assert Path("exported/config.json").is_file()
    measured = json.loads(says(capsys, "evaluate", kind, "--trust", "--json", *which))
    assert "high_quality" in json.dumps(measured)


def test_they_are_compared(runs: Path, capsys: Output) -> None:
    assert "modes" in says(capsys, "compare", *FINISHED, "--html", "report.html")
    assert Path("report.html").is_file()


def test_a_set_is_known_again(runs: Path, capsys: Output) -> None:
    definition = json.loads((runs / "sets/small/set.json").read_text())
    words = [word for override in definition["overrides"] for word in ("--set", override)]
    says(capsys, "run", definition["source"], "--seeds", 2, "--name", "small", *words, "--set", "tracking.enabled=false")
    assert sorted(path.parent.name for path in runs.glob("*/run.json")) == KINDS  # there is nothing to do
