"""A trick that sets ``run.stopping`` finishes the run before its budget is spent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_support import StopAt, hooked, reopened, resumed
from test_cli import ALONE, SMALL, only_run
from test_cli import ganlab as command

import ganlab
from ganlab.errors import GanlabError, UsageError
from ganlab.runs.checkpoints import Checkpoints
from ganlab.runs.run import Run
from ganlab.runs.training import execute
from ganlab.testing import play

PLATEAU = """
import ganlab

class Plateau:
    '''Ends the run at a step.'''
    def __init__(self, *, at: int = 7) -> None:
        self.at = at
    @ganlab.hookimpl
    def after_step(self, run, step):
        if step == self.at:
            run.stopping = True

@ganlab.hookimpl
def register_tricks(register):
    register("plateau", Plateau)
"""
RECIPE = """
extends = "ring"
plugins = ["./plateau.py"]
[evaluation]
samples = 200
[[tricks]]
use = "plateau"
"""
ENDED = "At step 7 of 20, trick 'plateau'"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("plateau.py").write_text(PLATEAU)
    Path("early.toml").write_text(RECIPE)
    return tmp_path


def info_of(path: Path) -> dict[str, Any]:
    return dict(json.loads((path / "run.json").read_text()))


def test_the_command_finishes_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("run", "early.toml", *SMALL, *ALONE) == 0
    path, printed = only_run(), capsys.readouterr()
    assert f"note: {ENDED} (plugin plateau, {tmp_path}/plateau.py) ended the run." in " ".join(printed.err.split())
    assert "finished at step 7 of 20 after" in printed.out
    assert (info_of(path)["status"], info_of(path)["counters"]["step"]) == ("finished", 7)
    assert json.loads((path / "evaluation.json").read_text())["step"] == 7
    assert command("resume", path.name) == 2
    assert f"run {path.name} is finished: trick 'plateau' (plugin plateau, {tmp_path}/plateau.py) ended it at step 7 of 20" in " ".join(
        capsys.readouterr().err.split()
    )
    assert command("resume", path.name, "--changed", "--set", "tricks.plateau.at=12") == 0
    assert (info_of(path)["status"], info_of(path)["counters"]["step"]) == ("finished", 12)
    assert command("resume", path.name, "--changed", "--set", "tricks.plateau.enabled=false") == 0
    assert (info_of(path)["counters"]["step"], info_of(path)["ended_by"]) == (20, "")


def test_a_sweep_knows_it_as_finished(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("run", "early.toml", "--seeds", "2", *SMALL, *ALONE)
    assert command(*words) == 0
    first = capsys.readouterr().out
    assert command(*words) == 0
    assert [info_of(path)["status"] for path in Path("runs").iterdir() if (path / "run.json").is_file()] == ["finished"] * 2
    assert first.splitlines()[-4:] == capsys.readouterr().out.splitlines()[-4:]  # nothing is left to train


def test_an_interrupted_evaluation_is_made_up_for_without_another_step(tmp_path: Path) -> None:
    def end(run: Run, step: int) -> None:
        run.stopping = step == 3

    path = play(hooked(after_step=end), StopAt(3), steps=6, folder=tmp_path / "runs").path
    info = info_of(path)  # Ctrl-C in the last step changes nothing
    assert (info["status"], info["ended_by"], info["ended_at"]) == ("finished", "Mine", 3)
    run = play(hooked(after_step=end), steps=6, folder=tmp_path / "runs")
    assert (run.step, run.info["status"], run.info["ended_by"]) == (3, "finished", "Mine")
    (run.path / "run.json").write_text(json.dumps(info_of(run.path) | {"status": "interrupted"}))
    again = reopened(run.path, hooked(after_step=end))
    assert execute(again) == "finished"
    assert again.step == 3


def test_stop_is_as_ctrl_c(tmp_path: Path) -> None:
    run = play(StopAt(2), steps=4, folder=tmp_path / "runs")
    assert (run.step, run.stopping, run.interrupted, run.info["status"]) == (2, False, True, "interrupted")
    assert "ended_by" not in run.info
    assert resumed(run.path).step == 4


def test_a_command_ends_with_the_code_of_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("plateau.py").write_text(PLATEAU.replace("run.stopping = True", "run.stop()"))
    assert command("run", "early.toml", *SMALL, *ALONE) == 130
    assert info_of(only_run())["status"] == "interrupted"


def test_a_script_may_end_its_run(tmp_path: Path) -> None:
    class Ends:
        @ganlab.hookimpl
        def after_step(self, run: Run, step: int) -> None:
            run.stopping = run.stopping or step == 2

    run = ganlab.run("ring", overrides={"train.steps": 4, "tracking.enabled": False, "evaluation.samples": 100}, tricks=[Ends()])
    assert (run.status, run.info["counters"]["step"], run.info["ended_by"]) == ("finished", 2, "Ends")


def test_tricks_that_read_the_budget_are_named_when_it_grows(tmp_path: Path) -> None:
    seen: list[int] = []
    reading = hooked(after_step=lambda run, step: seen.append(run.total_steps))
    elsewhere = type("Else", (), {"after_step": ganlab.hookimpl(lambda self, run: run.step)})()
    run = play(reading, elsewhere, steps=2, folder=tmp_path / "runs")
    assert run.info["read_total_steps"] == ["Mine"]
    again = reopened(run.path, reading, elsewhere, overrides=("train.steps=4",))
    assert again.info["announcements"][-1].endswith("This also changes: trick 'Mine' reads it.")


@pytest.mark.parametrize("end", [7, 8])
def test_an_end_in_steps_that_are_repeated_does_not_count(end: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def decide(run: Run, step: int) -> None:
        run.stopping = step == end

    options = {"steps": 10, "folder": tmp_path / "runs", "overrides": ["train.checkpoint_every=5"]}
    monkeypatch.setattr("ganlab.runs.checkpoints.Checkpoints.save", fails_from(6))
    with pytest.raises(GanlabError, match="disk full"):
        play(hooked(after_step=lambda run, step: setattr(run, "stopping", step == 7)), **options)  # type: ignore[arg-type]
    monkeypatch.undo()
    (path,) = (tmp_path / "runs").iterdir()
    assert (info_of(path)["ended_by"], info_of(path)["ended_at"]) == ("Mine", 7)
    again = reopened(path, hooked(after_step=decide))
    assert (again.step, again.is_complete) == (5, False)
    assert execute(again) == "finished"
    assert (again.step, again.info["ended_at"]) == (end, end)


def fails_from(step: int) -> Callable[[Checkpoints], None]:
    """``Checkpoints.save`` that fails from ``step`` on."""
    save = Checkpoints.save

    def fail(self: Checkpoints) -> None:
        if self.game.step >= step:
            raise GanlabError("disk full")
        save(self)

    return fail


def test_the_last_step_is_no_early_end(tmp_path: Path) -> None:
    run = play(hooked(after_step=lambda run, step: setattr(run, "stopping", step == 2)), steps=2, folder=tmp_path / "runs")
    assert (run.info["status"], run.info["ended_by"]) == ("finished", "")
    assert not any("ended the run" in text for text in run.info["announcements"])


def test_refused_without_a_change(tmp_path: Path) -> None:
    run = play(hooked(after_step=lambda run, step: setattr(run, "stopping", step == 2)), steps=4, folder=tmp_path / "runs")
    with pytest.raises(UsageError, match="is finished: Mine ended it at step 2 of 4"):
        reopened(run.path)
