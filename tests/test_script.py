"""ganlab from a script: the same runs as from the command line, and what they leave behind as tables, tensors and pictures."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas
import pytest
import torch
from engine_support import Plugin

import ganlab
from ganlab.cli import main
from ganlab.errors import PluginError, RecipeError, UsageError

SMALL = {"train.steps": 20, "train.log_every": 5, "data.samples": 10_000, "tracking.enabled": False, "tricks.system_metrics.enabled": False}


class Counting:
    """A trick of a script's own, with state."""

    def __init__(self, *, stop: int = 0) -> None:
        self.count, self.stop = 0, stop

    @ganlab.hookimpl
    def after_step(self, run: Any, step: int) -> None:
        self.count += 1
        run.record("mine/count", float(self.count))
        if step == self.stop:
            run.stop()

    def state_dict(self) -> dict[str, int]:
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.count = state["count"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_is_the_one_of_the_command_line() -> None:
    run = ganlab.run("ring", SMALL, display=False)
    words = [word for key, value in SMALL.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    with pytest.raises(SystemExit) as end:
        main(["run", "ring", *words, "--runs-dir", "other", "--quiet"])
    assert end.value.code == 0
    (other,) = Path("other").iterdir()
    assert (run.path / "generator.safetensors").read_bytes() == (other / "generator.safetensors").read_bytes()
    assert (run.path / "recipe.toml").read_text() == (other / "recipe.toml").read_text()


def test_what_a_run_leaves_behind() -> None:
    run = ganlab.run("ring", {**SMALL, "train.sample_every": 10}, display=False)
    assert isinstance(run, ganlab.FinishedRun)
    assert (run.status, run.path.parent, run.id) == ("finished", Path("runs"), run.path.name)
    assert repr(run) == f"<ganlab run {run.path}: finished, step 20>"
    assert isinstance(run.metrics, pandas.DataFrame)
    assert (run.metrics.index.name, list(run.metrics.index)) == ("step", [5, 10, 15, 20])
    assert run.metrics["loss/generator"].dtype == "float64"
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert run.metrics.loc[10, "loss/generator"] == next(line["metrics"]["loss/generator"] for line in lines if line["step"] == 10)
    assert run.samples(7).shape == (7, 2)
    assert torch.equal(run.samples(7, seed=1), run.generator.sample(7, seed=1))
    assert not torch.equal(run.samples(7, seed=1), run.samples(7, seed=2))
    assert [sheet.name for sheet in run.sheets] == ["step_000000000.png", "step_000000010.png", "step_000000020.png"]
    assert run.info["seed"] == 0
    again = ganlab.FinishedRun("last")
    assert again.path == run.path
    assert again.metrics.equals(run.metrics)


def test_lines_of_an_epoch_and_of_an_interval_make_one_row() -> None:
    run = ganlab.run(
        "ring", {**SMALL, "data.samples": 500, "train.batch_size": 50, "train.log_every": 10}, display=False
    )  # an epoch has ten steps
    assert list(run.metrics.index) == [10, 20]
    assert not math.isnan(run.metrics.loc[10, "epoch/generator_loss"] + run.metrics.loc[10, "loss/generator"])


def test_a_run_that_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    ganlab.run("ring", SMALL)
    shown = capsys.readouterr()
    assert shown.out.startswith("ring trains 20 steps on cpu")
    assert "finished at step 20 of 20" in shown.out
    ganlab.run("ring", SMALL, display=False)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_tricks_of_a_script_are_resumed_by_a_script() -> None:
    never = ganlab.run("ring", SMALL, tricks=[Counting(), Counting()], display=False)
    stopped = ganlab.run("ring", SMALL, tricks=[Counting(stop=7), Counting()], display=False)
    assert stopped.status == "interrupted"
    assert stopped.info["script_tricks"] == ["Counting", "Counting 2"]
    with pytest.raises(UsageError) as caught:
        ganlab.resume(stopped.path, display=False)
    assert str(caught.value) == (
        f"run {stopped.id} was started by a script with tricks of its own (Counting, Counting 2), and would be resumed with others (none)\n"
        f"pass them again from a script: `ganlab.resume({str(stopped.path)!r}, tricks=[...])`\n"
        f"or resume as it is now: `ganlab resume {stopped.path} --changed`"
    )
    tricks = [Counting(), Counting()]
    resumed = ganlab.resume("last", tricks=tricks, display=False)
    assert [trick.count for trick in tricks] == [20, 20]
    assert resumed.metrics.equals(never.metrics)
    assert ganlab.resume("last", {"train.steps": 25}, changed=True, display=False).info["counters"]["step"] == 25


def test_plugins_of_a_script_can_be_picked() -> None:
    brings = Plugin(tricks={"counting": Counting})
    given = ['tricks.counting={use="counting",stop=9}', *(f"{key}={json.dumps(value)}" for key, value in SMALL.items())]
    with pytest.raises(PluginError, match="registers nothing"):
        ganlab.run("ring", given, plugins=[object()], display=False)
    assert ganlab.run("ring", given, plugins=[brings], display=False).status == "interrupted"
    with pytest.raises(RecipeError, match="there is no trick 'counting'"):
        ganlab.run("ring", given, display=False)


def test_mistakes_are_errors_with_what_to_do(here: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        ganlab.run("ring", {"train.stepz": 5, "generator.hidden": "wide"}, display=False)
    assert len(caught.value.mistakes) == 2
    with pytest.raises(UsageError, match=r"overrides are a dict or a list, not the text 'train.steps=5'"):
        ganlab.run("ring", "train.steps=5", display=False)
    with pytest.raises(UsageError, match="no run called 'nothing'"):
        ganlab.FinishedRun("nothing")
    assert list(here.iterdir()) == []


def test_a_trick_that_raises_leaves_a_run_to_look_at() -> None:
    class Sick:
        @ganlab.hookimpl
        def after_step(self, step: int) -> None:
            if step == 8:
                raise ValueError("a mistake of its own")

    with pytest.raises(PluginError, match="Sick, in its hook after_step in step 8, raised ValueError"):
        ganlab.run("ring", SMALL, tricks=[Sick()], display=False)
    run = ganlab.FinishedRun("last")
    assert (run.status, list(run.metrics.index)) == ("failed", [5])
    with pytest.raises(ganlab.GanlabError, match=r"has no generator.safetensors: it failed\nresume it: `ganlab resume "):
        run.samples(1)
    assert ganlab.resume(run.path, changed=True, display=False).status == "finished"


def test_what_was_measured_at_the_end(tmp_path: Path) -> None:
    overrides = {"train.steps": 20, "tracking.enabled": False, "evaluation.samples": 100}
    run = ganlab.run("ring", overrides=overrides, runs_dir=tmp_path, display=False)
    assert run.quality == json.loads((run.path / "evaluation.json").read_text())["values"]
    assert "high_quality" in run.quality
    (run.path / "evaluation.json").unlink()
    assert run.quality == {}
