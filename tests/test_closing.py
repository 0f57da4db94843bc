"""The end of a run: it is finished when everything in its folder is there, and until then a resume completes it."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from engine_support import hooked, reopened
from server import Server

from ganlab.errors import GanlabError
from ganlab.records.folder import RunFolder
from ganlab.records.run_info import CLOSING, RunInfo
from ganlab.records.summaries import find_run, list_runs
from ganlab.runs.run import Run
from ganlab.runs.training import execute
from ganlab.script import FinishedRun
from ganlab.sweeps.sweep import state_of
from ganlab.testing import play, prepare

#: A collapse that `health` finds, and a trick that presses Ctrl-C at the end: as often, and in the hook, as two files say.
RECIPE = """
extends = "ring"
plugins = ["./impatient.py"]
[data]
samples = 320
[train]
steps = 160
batch_size = 32
log_every = 20
checkpoint_every = 80
[evaluation]
samples = 64
[tracking]
enabled = false
[generator.optimizer]
lr = 1e-12
[[tricks]]
use = "impatient"
"""
RUN = ("run", "short.toml", "--quiet", "--set", "tricks.health.patience=20", "--set", "tricks.system_metrics.enabled=false")
IMPATIENT = """
import os
import signal
from pathlib import Path
import ganlab

def press(hook):
    count = int(Path(hook).read_text()) if Path(hook).exists() else 0
    Path(hook).unlink(missing_ok=True)
    for _ in range(count):
        os.kill(os.getpid(), signal.SIGINT)

class Impatient:
    @ganlab.hookimpl
    def after_run(self):
        press("after_run")

    @ganlab.hookimpl
    def deliver(self):
        press("deliver")

@ganlab.hookimpl
def register_tricks(register):
    register("impatient", Impatient)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "short.toml").write_text(RECIPE)
    (tmp_path / "impatient.py").write_text(IMPATIENT)
    return tmp_path


def without_the_note(text: str) -> str:
    """What is printed besides the announcements."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("note: "))


def test_a_second_ctrl_c_at_the_end_leaves_a_run_that_resume_completes(place: Path, server: Server) -> None:
    (place / "after_run").write_text("2")
    ended = server.run(place, *RUN)
    run = find_run(place / "runs", "last")
    expected = f"stopped at once. The run is trained, but not finished; to complete it: ganlab resume {run.id}"
    assert (ended.code, without_the_note(ended.text).strip()) == (128 + signal.SIGINT, expected)
    assert (run.info.status, run.status, state_of(run)) == (CLOSING, "interrupted", "interrupted")
    assert FinishedRun(run.folder.path).status == "interrupted"
    ended = server.run(place, "resume", "last", "--quiet")
    assert ended.code == 0, ended.text
    (run,) = list_runs(place / "runs")
    assert run.status == "finished"
    assert run.info.findings, "health has found nothing: the recipe must be one that it condemns"
    assert (run.folder.path / "losses.png").is_file()
    assert json.loads(run.folder.evaluation.read_text())["step"] == 160
    ended = server.run(place, "resume", "last")
    assert (ended.code, "is finished" in ended.text) == (2, True)


def test_ctrl_c_while_a_finished_run_is_delivered_leaves_it_finished(place: Path, server: Server) -> None:
    (place / "deliver").write_text("1")
    ended = server.run(place, *RUN)
    run = find_run(place / "runs", "last")
    expected = f"stopped at once. The run is finished. To send what has not been delivered: ganlab sync {run.id}"
    assert (ended.code, without_the_note(ended.text).strip()) == (128 + signal.SIGINT, expected)
    assert run.info.status == "finished"
    assert (run.folder.path / "losses.png").is_file()


SLOW_FILES = [pytest.param(name, marks=pytest.mark.slow) for name in ("evaluation.json", "generator.safetensors", "losses.png")]


@pytest.mark.parametrize("name", [*SLOW_FILES, "run.json"])
def test_a_run_that_is_killed_while_it_closes_is_completed(name: str, place: Path, server: Server) -> None:
    for folder, count in ((place / "never", 0), (place / "killed", 3 if name == "run.json" else 1)):
        folder.mkdir()
        (folder / "short.toml").write_text(RECIPE)
        (folder / "impatient.py").write_text(IMPATIENT)
        moment = {"kind": "file", "name": name, "when": "before", "count": count, "closing": True} if count else None
        ended = server.run(folder, *RUN, moment=moment)
        assert ended.killed == bool(count), ended.text
    killed, never = (find_run(place / folder / "runs", "last") for folder in ("killed", "never"))
    assert (killed.info.status, killed.status) == (CLOSING, "interrupted")
    ended = server.run(place / "killed", "resume", "last", "--quiet")
    assert ended.code == 0, ended.text
    killed = find_run(place / "killed" / "runs", "last")
    assert (killed.status, killed.info.findings) == ("finished", never.info.findings)
    assert names(killed.folder) == names(never.folder)


def names(folder: RunFolder) -> list[str]:
    return sorted(path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*"))


def test_a_run_whose_last_word_cannot_be_written_is_not_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = RunFolder.write_info

    def full(self: RunFolder, info: RunInfo) -> None:
        if info.status == "finished":
            raise GanlabError("the disk is full")
        write(self, info)

    delivered: list[Run] = []
    run = prepare(hooked(deliver=lambda run: delivered.append(run)), steps=4, folder=tmp_path)
    monkeypatch.setattr(RunFolder, "write_info", full)
    with pytest.raises(GanlabError, match="the disk is full"):
        execute(run)
    monkeypatch.undo()
    assert delivered == []
    assert find_run(tmp_path, run.id).status == "interrupted"
    assert execute(reopened(run.path)) == "finished"


def test_an_interrupted_run_says_so_before_its_last_hooks_are_called(tmp_path: Path) -> None:
    statuses: list[Any] = []

    def look(run: Run) -> None:
        assert run.folder is not None
        statuses.append(run.folder.read_info().status)

    play(hooked(after_step=lambda run: run.stop(), after_run=look), steps=4, folder=tmp_path)
    assert statuses == ["interrupted"]
