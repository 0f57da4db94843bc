"""The command line as a person types it: what it prints, and its exit codes."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from ganlab import FinishedRun
from ganlab.cli import main
from ganlab.errors import UsageError
from ganlab.records.folder import RunFolder
from ganlab.runs.clock import Clock
from ganlab.screen import terminal

SMALL = ["--set", "train.steps=20", "--set", "train.batch_size=16", "--set", "data.samples=500"]
ALONE = ["--set", "tracking.enabled=false"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(terminal.console, "width", 200)
    return tmp_path


def ganlab(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    return int(left.value.code or 0)


def ring(*words: str) -> int:
    return ganlab("run", "ring", *SMALL, *ALONE, *words)


def only_run(folder: Path = Path("runs")) -> Path:
    (run,) = folder.iterdir()
    return run


def test_a_run_prints_plain_lines_and_where_things_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert ring() == 0
    out, run = capsys.readouterr().out, only_run()
    lines = out.splitlines()
    assert lines[0].startswith("ring trains 20 steps on cpu (")
    assert lines[0].endswith(f"data ring, in {run}")
    assert lines[1].startswith("step 20 of 20  ")
    for word in ("steps/s", "ETA 0:00", "D loss ", "G loss ", "D(x) ", "D(G(z)) ", "D right on real/fake "):
        assert word in lines[1]
    assert any(line.startswith("finished at step 20 of 20 after 0 min ") for line in lines)
    for file in ("samples/step_000000020.png", "losses.png", "generator.safetensors", "checkpoints"):
        assert str(run / file) in out
        assert (run / file).exists()
    assert "MLflow" not in out  # it is switched off here


def test_a_trick_adds_a_line_to_the_display(capsys: pytest.CaptureFixture[str]) -> None:
    assert ring("--set", "tricks.rest.use=adaptive_generator_steps") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step 20 of 20")]
    counts = re.search(r"  G steps (\d+), rested (\d+), waited (\d+), capped (\d+)$", line)
    assert counts is not None
    metrics = [json.loads(line)["metrics"] for line in (only_run() / "metrics.jsonl").read_text().splitlines()]
    names = [f"adaptive/{word}" for word in ("updates", "rested", "waited", "capped")]
    assert [int(count) for count in counts.groups()] == [sum(each.get(name, 0) for each in metrics) for name in names]
    assert "<b>G steps</b></td>" in str(FinishedRun(only_run())._repr_html_())


def test_quiet_prints_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert ring("--quiet") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{only_run()}  finished  step 20 of 20  D loss ")


def test_seed_and_device_options_are_those_of_the_recipe() -> None:
    assert ring("--seed", "7", "--device", "cpu") == 0
    info = json.loads((only_run() / "run.json").read_text())
    assert (info["seed"], info["device"], info["status"]) == (7, "cpu", "finished")


def test_the_resolved_recipe_reproduces_the_run() -> None:
    assert ring() == 0
    first = only_run()
    assert ganlab("run", str(first / "recipe.toml"), "--runs-dir", "again") == 0
    second = only_run(Path("again"))
    assert (first / "generator.safetensors").read_bytes() == (second / "generator.safetensors").read_bytes()
    assert (first / "recipe.toml").read_text() == (second / "recipe.toml").read_text()


def test_another_seed_gives_another_generator() -> None:
    assert ring("--runs-dir", "a") == 0
    assert ring("--runs-dir", "b") == 0
    assert ring("--runs-dir", "c", "--seed", "1") == 0
    a, b, c = ((only_run(Path(name)) / "generator.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_runs_lists_and_delete_asks(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert ring("--quiet") == 0
    run = only_run()
    capsys.readouterr()
    assert ganlab("runs") == 0
    out = capsys.readouterr().out
    assert run.name in out
    assert "finished" in out
    assert "20 of 20" in out
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda text: "n")
    assert ganlab("delete", "last") == 0
    assert "nothing was removed" in capsys.readouterr().out
    assert ganlab("delete", "", "--yes") == 2
    assert ganlab("delete", run.name[-3:], "--yes") == 2
    assert run.is_dir()
    capsys.readouterr()
    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "lock", lambda self: (_ for _ in ()).throw(UsageError("it is read-only", "mend that")))
        assert ganlab("delete", run.name[-4:], "--yes") == 2
    assert capsys.readouterr().err == "error: it is read-only\nhint: mend that\n"
    assert ganlab("delete", run.name[-4:], "--yes") == 0
    assert not run.exists()


def test_no_runs_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert ganlab("runs") == 2
    hint = "`ganlab run mnist_adaptive` makes one; --runs-dir looks elsewhere"
    assert capsys.readouterr().err == f"error: there are no runs in runs\nhint: {hint}\n"


def test_resume_of_an_unknown_and_of_a_finished_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert ganlab("resume", "nothing") == 2
    expected = "error: no run called 'nothing' in runs\nhint: there are none yet: `ganlab run mnist_adaptive` makes one\n"
    assert capsys.readouterr().err == expected
    assert ring("--quiet") == 0
    assert ganlab("resume", "last") == 2
    run = only_run()
    assert capsys.readouterr().err == (
        f"error: run {run.name} is finished\nhint: to train it longer: `ganlab resume {run} --set train.steps=40`\n"
        f"to start a new run with its networks: `ganlab run {run}/recipe.toml --set train.init_from={run}`\n"
    )


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (
            ["rnu"],
            "there is no command 'rnu'",
            "did you mean 'run'? (choices: check, compare, delete, describe, evaluate, export, new, plugins, recipes, "
            "resume, run, runs, sample, schema, sync, ui)",
        ),
        (["run"], "Missing argument 'RECIPE'.", "type `ganlab run --help`"),
        (
            ["run", "ring", "--sede", "1"],
            "No such option '--sede'. (Did you mean one of: '--seed', '--seeds', '--set'?)",
            "type `ganlab run --help`",
        ),
        (["run", "ring", "--seed", "x"], "Invalid value for '--seed': 'x' is not a valid integer.", "type `ganlab run --help`"),
    ],
)
def test_a_mistyped_command_is_one_message(words: list[str], message: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ganlab(*words) == 2
    assert capsys.readouterr().err == f"error: {message}\nhint: {hint}\n"


def test_several_mistakes_are_shown_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.toml").write_text('extends = "ring"\n[train]\nsteps = -1\nbatchsize = 3\n')
    assert ganlab("run", "bad.toml") == 2
    err = capsys.readouterr().err
    assert err.startswith("error: 2 mistakes\n  bad.toml:3: ")
    assert "  bad.toml:4: " in err
    assert "'batch_size'" in err
    assert not Path("runs").exists()


def test_no_such_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert ring("--device", "cuda:99") == 2
    err = capsys.readouterr().err
    assert err.startswith("error: train.device = 'cuda:99': there is no such device here\nhint: here: cpu")
    assert not Path("runs").exists()


def test_a_batch_larger_than_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert ganlab("run", "ring", "--set", "data.samples=500", "--set", "train.batch_size=501") == 2
    assert capsys.readouterr().err == (
        "error: train.batch_size = 501 is more than dataset 'ring' has: 500 samples\nhint: use a batch_size of at most 500\n"
    )


def test_a_runs_folder_that_cannot_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs").write_text("a file")
    assert ring() == 2
    err = capsys.readouterr().err
    assert err.startswith("error: the run's folder runs/")
    assert err.endswith("hint: choose another place with --runs-dir\n")


TRICK = """
import ganlab

class Quarrelsome:
    @ganlab.hookimpl
    def after_step(self, step):
        if step == 12:
            raise RuntimeError("enough of this")

@ganlab.hookimpl
def register_tricks(register):
    register("quarrelsome", Quarrelsome)
"""


def test_a_trick_that_raises_is_named_with_its_own_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(TRICK)
    head = 'extends = "ring"\nplugins = ["./mine.py"]\n[data]\nsamples = 500\n'
    tail = '[train]\nsteps = 20\nbatch_size = 16\ncheckpoint_every = 5\n[[tricks]]\nuse = "quarrelsome"\n'
    Path("mine.toml").write_text(head + tail)
    assert ganlab("run", "mine.toml", *ALONE) == 1
    run, err = only_run(), capsys.readouterr().err
    where = Path("mine.py").resolve()
    owner = f"trick 'quarrelsome' (plugin mine, {where})"
    digest = hashlib.sha256(where.read_bytes()).hexdigest()
    noted, err = err.split("error: ")
    assert noted.replace("\n", " ") == f"note: Running the plugin file {where} (sha256 {digest}). "
    assert err.startswith(f"{owner}, in its hook after_step in step 12, raised RuntimeError: enough of this\n")
    assert f'File "{where}", line 8, in after_step' in err
    assert "ganlab/game" not in err and "ganlab/runs" not in err
    again = f"ganlab resume {run.name}"
    without = f"{again} --changed --set tricks.quarrelsome.enabled=false"
    assert err.endswith(
        f"The run's last checkpoint is step_000000012.safetensors; to resume from it: {again}\n"
        f"After you fix mine.py: {again} --changed\nTo resume without the trick: {without}\n"
    )
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
    assert ganlab(*without.split()[1:], "--quiet") == 0
    assert json.loads((run / "run.json").read_text())["status"] == "finished"


def test_a_run_that_fails_in_a_step_before_its_first_checkpoint_says_that_nothing_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(TRICK.replace("after_step(self, step)", "after_update(self, turn)").replace("if step ==", "if turn.step =="))
    head = 'extends = "ring"\nplugins = ["./mine.py"]\n[data]\nsamples = 500\n'
    tail = '[train]\nsteps = 200\nbatch_size = 16\ncheckpoint_every = 50\n[[tricks]]\nuse = "quarrelsome"\n'
    Path("mine.toml").write_text(head + tail)
    assert ganlab("run", "mine.toml", *ALONE) == 1
    words = "The run cannot be resumed: it has no checkpoint yet (one is saved every 50 steps: train.checkpoint_every)\n"
    assert capsys.readouterr().err.endswith(words)
    assert not list((only_run() / "checkpoints").iterdir())


def test_recipes_are_listed_and_copied(capsys: pytest.CaptureFixture[str]) -> None:
    assert ganlab("recipes") == 0
    out = capsys.readouterr().out
    assert "mnist_adaptive" in out
    assert "handwritten digits with adaptive generator steps" in out
    assert ganlab("recipes", "--copy", "ring") == 0
    assert "ganlab run ring.toml" in capsys.readouterr().out
    assert ganlab("run", "ring.toml", *SMALL, *ALONE, "--quiet") == 0
    capsys.readouterr()
    assert ganlab("recipes", "--copy", "ring") == 2
    assert capsys.readouterr().err == "error: ring.toml already exists\nhint: rename it first; nothing was overwritten\n"
    assert ganlab("recipes", "--copy", "rign") == 2
    assert capsys.readouterr().err.startswith("error: there is no shipped recipe 'rign'\nhint: did you mean 'ring'?")


def test_check_describes_and_writes_nothing(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    assert ganlab("check", "ring") == 0
    out = capsys.readouterr().out
    assert "ring: 100,000 samples of shape (2,), 8 classes" in out
    assert "18,946 parameters" in out
    assert "discriminator on real and fake then generator on fake" in out
    assert out.splitlines()[-1] == "ring is a valid recipe: ganlab run ring"
    assert list(here.iterdir()) == []


def test_check_says_when_the_data_are_not_here(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    assert ganlab("check", "mnist_adaptive", "--data-root", str(here / "none")) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("note: 'mnist' is not here yet: this describes the recipe's fallback, the data set 'digits'.")
    assert "digits: 1,797 samples" in captured.out


def test_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert ganlab("schema") == 0
    assert "tricks" in json.loads(capsys.readouterr().out)["properties"]


def test_live_display_in_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(terminal.console, "_force_terminal", True)
    monkeypatch.setattr(terminal.console, "_color_system", terminal.console._detect_color_system())
    assert ring("--set", 'tricks.adaptive.use="adaptive_generator_steps"') == 0
    out = capsys.readouterr().out
    assert "━" in out  # the bar
    assert "▀" in out  # the sheet
    assert "20 of 20, epoch" in out
    assert "rested" in out


def test_no_picture_where_nobody_wants_colours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(terminal.console, "_force_terminal", True)
    monkeypatch.setattr(terminal.console, "_color_system", terminal.console._detect_color_system())
    monkeypatch.setattr(terminal.console, "no_color", True)  # as NO_COLOR in the environment has it
    assert ring() == 0
    out = capsys.readouterr().out
    assert "━" in out and "▀" not in out


def test_sixty_seconds_are_a_minute(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stop = Clock.stop

    def late(clock: Clock, step: int) -> float:
        pace = stop(clock, step)
        clock.seconds = 179.7
        return pace

    monkeypatch.setattr(Clock, "stop", late)
    assert ring() == 0
    assert "finished at step 20 of 20 after 3 min 0 s" in capsys.readouterr().out
