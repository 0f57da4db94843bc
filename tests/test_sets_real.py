"""Sweeps that train: they are killed, stopped or fail, and the same command resumes them."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import torch

from ganlab.cli import main
from ganlab.records.summaries import RunSummary, list_runs
from ganlab.storage.checkpoint import load
from ganlab.testing import play

pytestmark = pytest.mark.slow  # each run of a sweep is a process that imports torch

RECIPE = """
extends = "ring"
defaults = false
plugins = ["./slow.py"]
[data]
samples = 2000
[train]
steps = 60
batch_size = 16
log_every = 7
checkpoint_every = 10
[evaluation]
every = 0
at_end = false
[[tricks]]
use = "slow"
"""
#: A trick that waits in step 35 while the file ``wait`` exists. With ``fail`` it raises there if the file ``broken`` exists.
SLOW = """
import time
from pathlib import Path
import ganlab

class Slow:
    def __init__(self, *, fail: bool = False) -> None:
        self.fail = fail

    @ganlab.hookimpl
    def before_turn(self, run, turn):
        if turn.step == 35:
            if run.folder is not None:
                (run.path / "there").touch()
            while Path("wait").exists():
                time.sleep(0.01)
            if self.fail and Path("broken").exists():
                raise ganlab.GanlabError("it is broken", "mend it")

@ganlab.hookimpl
def register_tricks(register):
    register("slow", Slow)
"""
SET = ("run", "slow.toml", "--device", "cpu", "--seeds", "2")
TWO_CORES = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores: two runs side by side")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("slow.py").write_text(SLOW)
    Path("slow.toml").write_text(RECIPE)
    return tmp_path


def ganlab(*words: str) -> tuple[int, str]:
    """Run a command in this process: its exit code, and all that it printed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), pytest.raises(SystemExit) as left:
        main(list(words))
    return int(left.value.code or 0), out.getvalue()


@contextmanager
def waiting(count: int, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command in a child process. Inside, ``count`` of its runs wait in their 35th step."""
    Path("wait").touch()
    command = [sys.executable, "-m", "ganlab", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True) as process:
        try:
            until(lambda: len(list(Path("runs").glob("*/there"))) == count or process.poll() is not None)
            assert process.poll() is None, process.communicate()
            yield process
        finally:
            process.kill()


def until(true: Callable[[], bool]) -> None:
    for _ in range(3000):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("it took too long")


def by_seed() -> dict[int, RunSummary]:
    return {run.info.seed: run for run in sorted(list_runs(Path("runs")), key=lambda run: run.info.seed)}


def equals_uninterrupted_run(run: RunSummary) -> bool:
    uninterrupted = play(
        recipe=Path("slow.toml"),
        steps=60,
        overrides=['data={use="ring",samples=2000}', "train.batch_size=16", f"train.seed={run.info.seed}"],
    )
    checkpoint = load(run.folder.checkpoint_path(60))
    return all(
        torch.equal(value, checkpoint[role]["network"][name])
        for role, player in uninterrupted.players.items()
        for name, value in player.network.state_dict().items()
    )


@TWO_CORES
def test_the_same_command_resumes_after_the_parent_and_a_run_were_killed() -> None:
    with waiting(2, *SET[:-1], "3", "--quiet") as parent:
        first, second = by_seed().values()
        assert (first.info.set["seed"], second.info.set["seed"]) == (0, 1)  # two cores: the third waits
        assert [run.info.threads for run in (first, second)] == [1, 1]
        assert len(psutil.Process(parent.pid).children()) == 2
        os.kill(first.info.pid, signal.SIGKILL)
        parent.kill()
        parent.wait()
        time.sleep(0.3)
        assert psutil.pid_exists(second.info.pid)  # it ends its step first
        Path("wait").unlink()
        until(lambda: by_seed()[1].status == "interrupted")
    assert [run.folder.checkpoint_files()[-1].stem for run in by_seed().values()][:2] == ["step_000000030", "step_000000035"]
    assert by_seed()[1].info.signal == "SIGTERM"
    first_ids = {run.id for run in list_runs(Path("runs"))}
    code, text = ganlab(*SET[:-1], "3")
    assert code == 0, text
    assert re.search(r"^seed 0: was interrupted and will be resumed ", text, re.MULTILINE), text
    runs = by_seed()
    assert first_ids < {run.id for run in list_runs(Path("runs"))}
    assert [run.status for run in list_runs(Path("runs"))] == ["finished"] * 3
    assert [len(run.info.resumed) for run in runs.values()][:2] == [1, 1]
    assert all(equals_uninterrupted_run(run) for run in runs.values())
    assert re.search(r"^combination  finished  loss/discriminator  loss/generator +minutes\nas it is +3 of 3 .* ± ", text, re.MULTILINE), (
        text
    )
    started = time.monotonic()
    code, text = ganlab(*SET[:-1], "3", "--quiet")  # nothing is left to do
    assert (code, time.monotonic() - started < 2) == (0, True)
    assert text.splitlines(True)[1:] == [f"runs/sets/{runs[0].info.set['name']}  3 of 3 runs are finished\n"]


@TWO_CORES
def test_ctrl_c_stops_all_runs_and_an_edited_recipe_changes_none() -> None:
    words = ("run", "slow.toml", "--device", "cpu", "--seeds", "1", "--grid", "generator.optimizer.lr=1e-3,2e-3")
    with waiting(2, *words) as parent:
        Path("slow.toml").write_text(RECIPE.replace("steps = 60", "steps = 50"))
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does
        time.sleep(0.3)
        Path("wait").unlink()
        text, _ = parent.communicate(timeout=60)
    assert parent.returncode == 130, text
    assert [(run.status, run.info.counters["step"], run.info.total_steps) for run in list_runs(Path("runs"))] == [
        ("interrupted", 35, 60)
    ] * 2
    assert text.endswith(
        "0 of 2 runs are finished; mean ± standard deviation over their seeds; all numbers: "
        f"runs/sets/{list_runs(Path('runs'))[0].info.set['name']}/summary.json\n"
        "to resume:  ganlab run slow.toml --seeds 1 --grid generator.optimizer.lr=1e-3,2e-3 --set train.device=cpu\n"
    )
    assert "generator.optimizer.lr=0.002, seed 0: interrupted  runs/" in text
    code, text = ganlab(*words)
    assert code == 2
    assert "cannot be compared with new runs: train.steps = 50 (was 60)" in text
    Path("slow.toml").write_text(RECIPE)
    code, text = ganlab(*words)
    assert code == 0, text
    assert [run.status for run in list_runs(Path("runs"))] == ["finished"] * 2


def test_a_failed_run_does_not_stop_the_others() -> None:
    Path("broken").touch()
    words = ("run", "slow.toml", "--device", "cpu", "--grid", "tricks.slow.fail=true,false")
    code, text = ganlab(*words)
    assert code == 1
    failed, other = sorted(list_runs(Path("runs")), key=lambda run: run.status)
    assert (failed.status, other.status) == ("failed", "finished")
    assert f"tricks.slow.fail=true, seed 0: failed: it is broken ({failed.folder.path})" in text.replace("\n", " ")
    assert text.endswith(
        f"to train what is not finished:  ganlab {' '.join(words[:2])} --grid {words[-1]} --set train.device=cpu --retry-failed\n"
    )
    Path("broken").unlink()
    code, text = ganlab(*words)
    assert (code, by_status()) == (1, ["failed", "finished"])
    assert "GanlabError: it is broken" in text
    code, text = ganlab(*words, "--retry-failed")
    assert (code, by_status()) == (0, ["finished", "finished"]), text
    assert len(list_runs(Path("runs"))) == 2


def by_status() -> list[str]:
    return sorted(run.status for run in list_runs(Path("runs")))


def test_a_run_that_was_stopped_before_its_first_checkpoint_is_trained_again() -> None:
    with waiting(1, *SET[:-1], "1", "--set", "train.checkpoint_every=50") as parent:
        (run,) = list_runs(Path("runs"))
        os.kill(run.info.pid, signal.SIGKILL)
        text, _ = parent.communicate(timeout=60)
    assert parent.returncode == 1
    assert "seed 0: lost: killed by SIGKILL, as the system does when there is no memory left" in text
    Path("wait").unlink()
    code, text = ganlab(*SET[:-1], "1", "--set", "train.checkpoint_every=50")
    assert code == 0, text
    assert "was stopped before its first checkpoint and will be trained again; its old folder stays" in text
    assert by_status() == ["finished", "interrupted"]
