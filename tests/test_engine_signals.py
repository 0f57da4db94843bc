"""Signals, in real processes: the first stops cleanly with everything saved, a second Ctrl-C leaves at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from engine_support import reopened, same, weights

import ganlab
from ganlab.records.summaries import find_run
from ganlab.runs.run import Run
from ganlab.runs.training import execute
from ganlab.signal_handlers import STOPPING, handle_signals
from ganlab.testing import play, prepare

RECIPE = """
extends = "ring"
defaults = false
plugins = ["./slow.py"]
[data]
samples = 2000
[train]
steps = 400
batch_size = 16
log_every = 7
checkpoint_every = 1000
[[tricks]]
use = "slow"
"""
#: A trick that says when a step begins, and waits in one for as long as a file is there.
SLOW = """
import time
from pathlib import Path
import ganlab

class Slow:
    @ganlab.hookimpl
    def before_turn(self, turn):
        if turn.step == 30:
            Path("there").touch()
            while Path("wait").exists():
                time.sleep(0.01)

@ganlab.hookimpl
def register_tricks(register):
    register("slow", Slow)
"""


def after_the_note(text: str) -> str:
    """What is said after the plugin file has been named."""
    note, _, rest = text.partition("\n")
    assert note.startswith("note: Running the plugin file ")
    return rest


@contextmanager
def started(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`ganlab run` of the recipe above, which waits in its 30th step."""
    (folder / "slow.py").write_text(SLOW)
    (folder / "slow.toml").write_text(RECIPE)
    (folder / "wait").touch()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ganlab", "run", "slow.toml", "--device", "cpu", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            for _ in range(3000):
                if (folder / "there").exists() or process.poll() is not None:
                    break
                time.sleep(0.02)
            assert (folder / "there").exists(), process.communicate()
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.Signals[name] for name in STOPPING])
def test_one_signal_stops_the_run_with_everything_saved(number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with started(tmp_path) as process:
        process.send_signal(number)
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)  # as a scheduler does after its warning: it changes nothing
        time.sleep(0.1)
        assert process.poll() is None  # it ends its step first
        (tmp_path / "wait").unlink()
        began = time.monotonic()
        out, err = process.communicate(timeout=60)
        assert time.monotonic() - began < 5
    assert process.returncode == 128 + number
    assert after_the_note(err) == ""
    run = find_run(tmp_path / "runs", "last")
    assert f"to resume:  ganlab resume {run.id}" in out
    assert "interrupted at step 30 of 400" in out
    assert (run.status, run.info.counters["step"]) == ("interrupted", 30)
    assert run.info.last_checkpoint == "checkpoints/step_000000030.safetensors"
    assert run.info.signal == number.name
    assert (run.folder.path / "generator.safetensors").is_file()
    if number is signal.SIGINT:
        continued = reopened(run.folder.path)
        assert continued.resumed_from == 30
        continued.game.total_steps = 40
        execute(continued)
        never = play(recipe=tmp_path / "slow.toml", steps=40, overrides=['data={use="ring",samples=2000}', "train.batch_size=16"])
        assert same(weights(never), weights(continued))


@pytest.mark.parametrize("every", [1000, 10])
def test_a_second_ctrl_c_leaves_at_once_and_says_how_to_go_on(every: int, tmp_path: Path) -> None:
    with started(tmp_path, "--set", f"train.checkpoint_every={every}") as process:
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, err = process.communicate(timeout=60)  # though it still waits in its step
        assert time.monotonic() - began < 1
    assert process.returncode == 130
    run = find_run(tmp_path / "runs", "last")
    assert (run.info.status, run.status) == ("running", "interrupted")
    saved = f"its last checkpoint is step_000000020.safetensors; to resume from it: ganlab resume {run.id}"
    assert after_the_note(err) == f"\nstopped at once. The run is not finished: {saved if every == 10 else 'it has no checkpoint yet'}\n"


def test_a_second_ctrl_c_in_a_script_is_an_exception() -> None:
    class Impatient:
        @ganlab.hookimpl
        def after_step(self, step: int) -> None:
            if step == 3:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

    run = prepare(Impatient(), steps=9)
    with pytest.raises(KeyboardInterrupt):
        execute(run)
    assert run.info["status"] == "interrupted"


def test_a_run_that_is_killed_is_seen_as_interrupted(tmp_path: Path) -> None:
    with started(tmp_path, "--quiet") as process:
        assert find_run(tmp_path / "runs", "last").status == "running"
        process.kill()
        process.wait()
    run = find_run(tmp_path / "runs", "last")
    assert (run.info.status, run.status) == ("running", "interrupted")


def test_handlers_of_signals_are_put_back() -> None:
    before = [signal.getsignal(signal.Signals[name]) for name in STOPPING]
    inside: list[object] = []

    class Look:
        @ganlab.hookimpl
        def after_step(self) -> None:
            inside.append(signal.getsignal(signal.SIGINT))

    play(Look(), steps=1)
    assert [signal.getsignal(signal.Signals[name]) for name in STOPPING] == before
    assert inside[0] is not before[0]


def test_a_signal_in_the_last_step_does_not_make_a_finished_run_an_interrupted_one() -> None:
    class Last:
        @ganlab.hookimpl
        def after_step(self, step: int) -> None:
            if step == 3:
                os.kill(os.getpid(), signal.SIGINT)

    assert play(Last(), steps=3).info["status"] == "finished"


def test_a_run_in_another_thread_leaves_signals_alone() -> None:
    run, statuses = prepare(steps=3), []

    def go(run: Run) -> None:
        statuses.append(execute(run))

    thread = threading.Thread(target=go, args=(run,))
    thread.start()
    thread.join(60)
    assert statuses == ["finished"]


def test_the_record_says_what_the_signal_left(tmp_path: Path) -> None:
    class Stop:
        @ganlab.hookimpl
        def before_turn(self, turn: ganlab.Turn) -> None:
            if turn.step == 4 and turn.role == "generator":
                os.kill(os.getpid(), signal.SIGTERM)

    run = play(Stop(), steps=9, folder=tmp_path)
    info = json.loads((run.path / "run.json").read_text())
    assert (info["status"], info["counters"]["step"], info["failure"]) == ("interrupted", 4, None)
    assert torch.isfinite(run.players["generator"].parameters[0]).all()


def test_a_process_that_outlives_its_terminal_ignores_its_hangup() -> None:
    handled: list[int] = []
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup starts a process
    try:
        with handle_signals(lambda number, _frame: handled.append(number), *STOPPING):
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGUSR2)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert handled == [signal.SIGUSR2]
    finally:
        signal.signal(signal.SIGHUP, before)
