"""TF32: allowed inside a run if its recipe says so, and afterwards as the process had it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from engine_support import hooked
from torch import backends

from ganlab.game.precision import tf32
from ganlab.testing import play

Switches = tuple[bool, bool]


def switches() -> Switches:
    """Of matrix products and of convolutions."""
    return backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32


@pytest.mark.parametrize("allowed", [True, False])
def test_it_is_what_the_recipe_says_while_the_run_goes_on(allowed: bool, tmp_path: Path) -> None:
    before, seen, judged = switches(), [], []

    def sampled(path: Path) -> None:
        seen.append(switches())
        with backends.cudnn.flags(allow_tf32=False):
            judged.append(backends.cudnn.allow_tf32)

    watch = hooked(after_step=lambda step: seen.append(switches()), on_images=sampled)
    run = play(watch, steps=2, overrides=[f"train.tf32={str(allowed).lower()}"], folder=tmp_path)
    assert set(seen) == {(allowed, allowed)} and len(seen) > 2 and not any(judged)
    assert switches() == before == (False, True)
    seen.clear()
    run.players["generator"].network.register_forward_hook(lambda *given: seen.append(switches()))
    run.generate(torch.zeros(2, 3))
    assert seen == [(allowed, allowed)] and switches() == before


def test_a_run_that_fails_leaves_it_as_it_was() -> None:
    def fail(step: int) -> None:
        assert switches() == (True, True)
        raise ValueError("enough")

    with pytest.raises(Exception, match="enough"):
        play(hooked(after_step=fail), overrides=["train.tf32=true"])
    assert switches() == (False, True)


def test_measuring_is_in_full_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganlab.testing.tiny import TinyJudge

    seen: list[Switches] = []
    features = TinyJudge.features
    monkeypatch.setattr(TinyJudge, "features", lambda self, images: seen.append(switches()) or features(self, images))
    measured = ['data={use="tiny",shape=[1,8,8]}', 'judge={use="tiny"}', 'metrics.tiny={use="tiny"}']
    sizes = ["evaluation.quick_samples=16", "evaluation.samples=32", "evaluation.every=1"]
    play(steps=1, overrides=["train.tf32=true", *measured, *sizes], folder=tmp_path)
    assert set(seen) == {(False, False)}


NEWER = """
from torch import backends
from ganlab.game.precision import tf32

def said():
    places = [backends, backends.cudnn, backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn]
    return [place.fp32_precision for place in places]

def check(change):
    change()
    before = said()
    for allowed in (True, False):
        with tf32(allowed):
            assert (backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32) == (allowed, allowed)
            assert [place == "tf32" for place in said()] == [False, False, allowed, allowed, allowed], said()
        assert said() == before, (before, said())

def conv(value): backends.cudnn.conv.fp32_precision = value
def product(value): backends.cuda.matmul.fp32_precision = value
def every(value): backends.fp32_precision = value

for change in [lambda: None, *(lambda f=f, v=v: f(v) for f in (every, product, conv) for v in ("ieee", "tf32"))]:
    check(change)
"""


def test_what_the_process_has_set_by_torchs_newer_interface_is_put_back() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", NEWER], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with tf32(True):
        assert switches() == (True, True)
