"""Out of memory: an allocation that fails ends the run with a message that has all that a person needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import hooked, reopened
from test_cli import ganlab as command

import ganlab
from ganlab.errors import MemoryExhausted
from ganlab.game.out_of_memory import is_memory_error
from ganlab.storage.checkpoint import load
from ganlab.testing import play

RECIPE = """
extends = "ring"
defaults = false
plugins = ["./greedy.py"]
[data]
samples = 500
[train]
steps = 9
batch_size = 8
checkpoint_every = 4
[[tricks]]
use = "greedy"
"""
#: A trick that wants more bytes than a process can address, while the file ``full`` exists.
GREEDY = """
from pathlib import Path
import torch
import ganlab

class Greedy:
    @ganlab.hookimpl
    def {hook}(self, turn):
        if turn.step == 7 and turn.role == "{role}" and Path("full").exists():
            torch.zeros(2**60)

@ganlab.hookimpl
def register_tricks(register):
    register("greedy", Greedy)
"""


@pytest.mark.parametrize(("hook", "role", "saved", "lost"), [("before_scores", "discriminator", 6, 0), ("loss_terms", "generator", 4, 3)])
def test_a_real_allocation_that_fails(
    hook: str, role: str, saved: int, lost: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("greedy.py").write_text(GREEDY.format(hook=hook, role=role))
    Path("greedy.toml").write_text(RECIPE)
    Path("full").touch()
    assert command("run", "greedy.toml", "--device", "cpu", "--quiet") == 1
    (path,) = Path("runs").iterdir()
    err = capsys.readouterr().err
    assert "Traceback" not in err
    text = " ".join(err.split())
    assert "error: out of memory on cpu in step 7, with train.batch_size = 8: " in text
    assert "DefaultCPUAllocator: can't allocate memory" in text
    assert 'hint: set a smaller train.batch_size, such as 4; train.autocast = "bfloat16" halves the memory of the passes; ' in text
    assert f"The run's last checkpoint is step_{saved:09d}.safetensors" in text
    assert (f", {lost} steps before the one that failed" in text) is bool(lost)
    info = json.loads((path / "run.json").read_text())
    assert info["status"] == "failed"
    assert info["failure"].startswith("MemoryExhausted: out of memory on cpu in step 7")
    assert max(load(file)["step"] for file in (path / "checkpoints").iterdir()) == saved
    Path("full").unlink()
    assert command("resume", path.name, "--quiet") == 0
    assert json.loads((path / "run.json").read_text())["status"] == "finished"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ..."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:128] DefaultCPUAllocator: can't allocate memory: you tried to allocate 68719476736 bytes."
        ),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
    ],
)
def test_what_allocators_raise(error: Exception) -> None:
    def fail(turn: ganlab.Turn) -> None:
        raise error

    with pytest.raises(MemoryExhausted) as caught:
        play(hooked(loss_terms=fail), overrides=["train.discriminator_batch_size=4", "train.autocast=bfloat16"])
    first = str(error).splitlines()[0] if str(error) else "MemoryError"
    assert caught.value.message == (
        f"out of memory on cpu in step 1, with train.batch_size = 8, train.discriminator_batch_size = 4: {first}"
    )
    assert "autocast" not in caught.value.hint
    assert caught.value.exit_code == 1


def test_what_others_raise_is_theirs() -> None:
    assert not is_memory_error(RuntimeError("shapes do not match"))
    assert not is_memory_error(ValueError("out of memory"))


def test_no_memory_for_the_run_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")

    path = play(steps=2, folder=tmp_path).path
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr("ganlab.game.metrics.Metrics.__init__", fail)
    with pytest.raises(
        MemoryExhausted, match=r"out of memory on cpu before the first step, with train\.batch_size = 8: CUDA out of memory"
    ):
        play(steps=2, folder=tmp_path)
    with pytest.raises(MemoryExhausted, match="out of memory on cpu before the first step"):
        reopened(path, overrides=("train.steps=4",))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_network_too_large_to_be_built() -> None:
    with pytest.raises(MemoryExhausted, match=r"out of memory on cpu before the first step, with train\.batch_size = 8: .*can't allocate"):
        play(overrides=['generator={use="mlp",hidden=[9000000000000],optimizer={use="adam"}}'], steps=1)
