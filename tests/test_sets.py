"""Sweeps without training: the grid and the seeds, shares of the machine, child processes, states of runs, tables and messages."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner
from rich.console import Console

from ganlab.cli import cli
from ganlab.errors import GanlabError, RecipeError, UsageError
from ganlab.recipe import to_toml
from ganlab.recipe.grid import load_combinations, read_axes, read_seeds, split_values
from ganlab.records.folder import RunFolder
from ganlab.records.results import RunResult, latest
from ganlab.records.run_info import RunInfo
from ganlab.records.summaries import find_run, process_lives
from ganlab.screen import sweep_display
from ganlab.screen.sweep_table import result_rows
from ganlab.sweeps import resources, workers
from ganlab.sweeps.existing_runs import find_sweep
from ganlab.sweeps.resources import available_cores, divide, visible_gpus
from ganlab.sweeps.summary import combination_results, write_summary
from ganlab.sweeps.sweep import Sweep, SweepDefinition
from ganlab.sweeps.workers import Pool, Share
from ganlab.testing import catalogue

LR = "generator.optimizer.lr"
COMMAND = ["ganlab", "run", "ring"]


def refused(*words: str) -> GanlabError:
    """The error that `ganlab run WORDS` raises."""
    result = CliRunner().invoke(cli, ["run", *words])
    assert isinstance(result.exception, GanlabError), result.output
    return result.exception


# -- grid and seeds -----------------------------------------------------------------------------------------------------------


def test_the_grid_is_the_product_of_its_values() -> None:
    axes = read_axes([f"{LR}=1e-4, 2e-4", "generator.hidden=[8],[8, 8]"])
    loaded = load_combinations("ring", catalogue(), ["train.steps=7"], axes)
    assert [each.values for each in loaded] == [
        {LR: 0.0001, "generator.hidden": [8]},
        {LR: 0.0001, "generator.hidden": [8, 8]},
        {LR: 0.0002, "generator.hidden": [8]},
        {LR: 0.0002, "generator.hidden": [8, 8]},
    ]
    assert [each.recipe.document["generator"]["hidden"] for each in loaded] == [[8], [8, 8]] * 2
    assert [each.recipe.document["generator"]["optimizer"]["lr"] for each in loaded] == [1e-4, 1e-4, 2e-4, 2e-4]
    assert {each.recipe.train.steps for each in loaded} == {7}
    assert loaded[1].name == f"{LR}=0.0001 generator.hidden=[8, 8]"
    (alone,) = load_combinations("ring", catalogue(), [], [])
    assert (alone.values, alone.name) == ({}, "as it is")


def test_values_are_split_at_commas_outside_of_quotes_and_brackets() -> None:
    assert split_values('"a,b",\'c,"\',[1, [2, 3]],{x = 1, y = 2},d') == ['"a,b"', "'c,\"'", "[1, [2, 3]]", "{x = 1, y = 2}", "d"]
    assert split_values(r'"a\",b",c') == [r'"a\",b"', "c"]


def test_seeds_are_counted_from_the_recipes_seed_or_listed() -> None:
    assert (read_seeds("3", 0), read_seeds("3", 100), read_seeds("3,7,11", 5), read_seeds("4,", 5)) == (
        [0, 1, 2],
        [100, 101, 102],
        [3, 7, 11],
        [4],
    )
    for text in ("0", "", "x", "3-5", ",", "1,,2", "-1", "1.5"):
        with pytest.raises(UsageError, match=r"--seeds"):
            read_seeds(text, 0)
    with pytest.raises(UsageError, match="seed 3 occurs twice"):
        read_seeds("3,4,3", 0)


def test_all_mistakes_of_the_grid_are_reported_before_the_first_run(tmp_path: Path) -> None:
    words = ("--grid", "generator.optimizer.lrr=1e-4,2e-4", "--grid", "train.batch_size=0,64", "--runs-dir", str(tmp_path / "runs"))
    error = refused("ring", *words, "--set", "data.modes=0")
    assert isinstance(error, RecipeError)
    assert [text.partition(";")[0] for text in error.mistakes[:3]] == [
        "--set data.modes=0: data.modes must be a whole number from 1 to 1000, not 0",
        "--grid generator.optimizer.lrr=1e-4: optimizer 'adam' has no option 'lrr'",
        "--grid train.batch_size=0: train.batch_size must be a whole number of at least 1, not 0",
    ], error.mistakes
    assert "did you mean 'lr'" in error.mistakes[1]
    assert len(error.mistakes) == 4
    assert not (tmp_path / "runs").exists()


def test_combinations_that_cannot_be_built_are_reported_before_the_first_run(tmp_path: Path) -> None:
    words = (
        "--grid",
        "tricks.packing.size=2,3",
        "--grid",
        "data.samples=600,200",
        "--set",
        "defaults=false",
        "--runs-dir",
        str(tmp_path / "runs"),
    )
    error = refused("ring", *words)
    assert isinstance(error, RecipeError)
    assert error.mistakes == [
        "tricks.packing.size=2 data.samples=200: train.batch_size = 256 is more than dataset 'ring' has: 200 samples",
        "tricks.packing.size=3 data.samples=600: packing.size = 3 does not divide train.batch_size = 256",
        "tricks.packing.size=3 data.samples=200: train.batch_size = 256 is more than dataset 'ring' has: 200 samples",
    ]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr", "write it as --grid table.key=value,value, for instance --grid generator.optimizer.lr=1e-4,2e-4"),
        ("train.steps=", "there is no value after the =; "),
        ("train.steps=1,,2", "a value is missing between the commas; "),
        ("train.steps=1,2,1", "the value 1 occurs twice"),
        ("generator.hidden=[8,[8]", "a value is not TOML: check its quotes and brackets"),
        ("train.seed=1,2", "seeds are not part of the grid: write --seeds 1,2"),
    ],
)
def test_an_invalid_grid_is_refused(text: str, words: str) -> None:
    with pytest.raises(RecipeError) as error:
        read_axes([text])
    assert error.value.mistakes[0].startswith(f"--grid {text}: {words}")


def test_contradicting_options_are_refused() -> None:
    assert refused("ring", "--jobs", "2").message == "--jobs is for a sweep"
    assert refused("ring", "--retry-failed").message == "--retry-failed is for a sweep"
    assert "a seed and --seeds 2,3 cannot both be given" in refused("ring", "--seeds", "2,3", "--seed", "5").message
    assert "is set twice" in refused("ring", "--set", "train.steps=5", "--grid", "train.steps=1,2").message
    assert "--name 'a/b'" in refused("ring", "--seeds", "2", "--name", "a/b").message


# -- shares of the machine -----------------------------------------------------------------------------------------------------


def test_threads_are_never_more_than_cores() -> None:
    assert divide(None, 1, [], 4) == [Share(1)] * 4
    assert divide(None, 2, [], 5) == [Share(2)] * 2
    assert divide(3, 1, [], 4) == [Share(1)] * 3
    with pytest.raises(UsageError) as error:
        divide(3, 2, [], 4)
    assert error.value.message.startswith("--jobs 3: 3 processes of 2 threads each are more than the 4 cores here")
    assert error.value.hint == "--jobs 2, or without --jobs"
    with pytest.raises(UsageError, match=r"train.threads = 8: there are 4 cores"):
        divide(None, 8, [], 4)


def test_a_gpu_has_one_process_by_default() -> None:
    assert divide(None, 1, ["0", "1"], 8) == [Share(1, "0"), Share(1, "1")]
    assert [share.gpu for share in divide(4, 1, ["0", "1"], 8)] == ["0", "1", "0", "1"]
    assert divide(None, 1, [None], 8) == [Share(1)]
    assert Share(2, "1").environment() == {**dict.fromkeys(workers.THREADS, "2"), "CUDA_VISIBLE_DEVICES": "1"}
    assert "CUDA_VISIBLE_DEVICES" not in Share(1).environment()


def test_cores_are_those_of_the_container(tmp_path: Path) -> None:
    here = available_cores(tmp_path / "none")
    assert here == len(os.sched_getaffinity(0))
    quota = tmp_path / "cpu.max"
    for text, least in (("50000 100000", 1), ("150000 100000", 2), ("max 100000", here)):
        quota.write_text(text)
        assert available_cores(quota) == min(here, least)


def test_gpus_are_named_as_in_cuda_visible_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert visible_gpus() == ["3", "5"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert visible_gpus() == ["0", "1"]


# -- processes -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Replace Python by a shell that runs its last argument."""
    script = tmp_path / "shell"
    script.write_text('#!/bin/sh\nshift 3\nexec sh -c "$1"\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    return tmp_path


def ended(each: Pool) -> list[workers.Worker]:
    for _ in range(500):
        if workers := each.collect_ended():
            return workers
        time.sleep(0.01)
    raise AssertionError("it is still running")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("exit 0", ""),
        ("printf 'no room\\nleft' > $GANLAB_SWEEP_FAILURE_FILE; echo 'hint: go'; exit 1", "no room left"),
        ("echo hm; exit 3", "exit code 3: hm"),
        ("kill -9 $$", "killed by SIGKILL, as the system does when there is no memory left"),
        ("kill -15 $$", "killed by SIGTERM"),
    ],
)
def test_the_reason_of_a_failure(command: str, reason: str, fake: Path) -> None:
    (fake / "log").write_text("of another time\n")
    (fake / "log.error").write_text("of another time")
    with Pool([Share(1)]) as each:
        share = each.free_share()
        assert share is not None
        each.start([command], share, fake / "log", {})
        assert each.free_share() is None
        (worker,) = ended(each)
        assert worker.failure_reason() == reason
        assert each.free_share() == share


def test_a_log_that_cannot_be_written_stops_no_run(fake: Path) -> None:
    with Pool([Share(1)]) as each:
        each.start(["exit 4"], Share(1), fake / "no" / "log", {})
        (worker,) = ended(each)
        assert worker.failure_reason() == "exit code 4"


def test_a_process_gets_its_share_and_ends_with_the_pool(fake: Path) -> None:
    with Pool([Share(3, "7")]) as each:
        each.start(["echo $OMP_NUM_THREADS $CUDA_VISIBLE_DEVICES $X"], Share(3, "7"), fake / "log", {"X": "y"})
        (worker,) = ended(each)
        assert worker.output() == "3 7 y\n"
        process = each.start(["sleep 100"], Share(3, "7"), fake / "log", {}).process
    assert process.returncode == -signal.SIGKILL


def test_a_zombie_process_counts_as_ended() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        child = psutil.Process(process.pid)
        info = RunInfo(pid=process.pid, boot=psutil.boot_time(), process_started=child.create_time())
        assert process_lives(info)
        process.kill()
        while child.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert not process_lives(info)


# -- results of runs ----------------------------------------------------------------------------------------------------------


def made(runs: Path, number: int, lines: list[dict[str, object]], **info: object) -> RunFolder:
    """A run's folder, as far as results are read from it."""
    folder = RunFolder(runs / f"20260101-00000{number}-ring-aaa{number}")
    folder.path.mkdir(parents=True)
    known = {"recipe": "ring", "status": "finished", "training_seconds": 60.0, "total_steps": 9, "created": number}
    folder.write_info(RunInfo(**known | info))
    with open(folder.metrics, "w") as file:
        for line in lines:
            file.write(json.dumps({"time": 0, **line}) + "\n")
    return folder


def result(folder: RunFolder) -> RunResult:
    return RunResult(find_run(folder.path.parent, str(folder.path)))


def test_a_run_is_read_from_its_folder(tmp_path: Path) -> None:
    lines: list[dict[str, object]] = [
        {"step": 5, "metrics": {"loss/generator": 1.0, "loss/discriminator": 2.0}},
        {"step": 9, "metrics": {"loss/generator": None}},
    ]
    one = result(made(tmp_path, 1, lines, seed=3))
    one.folder.recipe.write_text('defaults = false\nname = "ring"\n[train]\nseed = 3\nsteps = 9\n[tracking]\nuse = "mlflow"\n')
    assert (one.recipe, one.seed, one.status, one.minutes, one.step) == ("ring", 3, "finished", 1.0, 9)
    assert one.options == {"train.steps": 9}
    assert (one.values, list(one.numbers)) == ({}, ["loss/discriminator", "loss/generator"])
    assert math.isnan(one.numbers["loss/generator"])
    one.folder.evaluation.write_text('{"step": 9, "values": {"modes": 8}}')
    assert result(one.folder).numbers == {"modes": 8.0}
    with open(one.folder.metrics, "a") as file:
        file.write('{"step": 9, "time": 0, "metrics": {"final/modes": 8}}\n{"step": 10, "met')
    assert latest(one.folder) == (9, pytest.approx({"loss/generator": math.nan, "loss/discriminator": 2.0, "final/modes": 8}, nan_ok=True))


def test_the_last_lines_are_read_from_the_end_of_a_long_file(tmp_path: Path) -> None:
    folder = made(tmp_path, 1, [{"step": step, "metrics": {"loss/generator": step}} for step in range(5000)])
    assert latest(folder) == (4999, {"loss/generator": 4999.0})


# -- sweeps --------------------------------------------------------------------------------------------------------------------


def a_sweep(
    runs: Path, grid: tuple[str, ...] = (f"{LR}=1e-4,2e-4",), seeds: str = "2", name: str = "", recipe: str | Path = "ring"
) -> Sweep:
    combinations = load_combinations(recipe, catalogue(), [], read_axes(grid))
    return find_sweep(name, runs, str(recipe), [], combinations, read_seeds(seeds, 0), COMMAND)


def add(sweep: Sweep, number: int, **info: object) -> RunFolder:
    """The folder of one of the sweep's runs, as far as a sweep reads it."""
    run = sweep.runs[number]
    folder = made(sweep.runs_dir, number, [], set=sweep.membership_of(run), seed=run.seed, **info)
    folder.evaluation.write_text(json.dumps({"step": 9, "values": {"modes": number}}))
    folder.recipe.write_text(to_toml(run.combination.recipe).replace("seed = 0", f"seed = {run.seed}"))
    return folder


def test_all_combinations_are_trained_with_one_seed_before_the_next(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path)
    assert [run.name for run in sweep.runs] == [f"{LR}={lr}, seed {seed}" for seed in (0, 1) for lr in (0.0001, 0.0002)]
    assert {run.state for run in sweep.runs} == {"missing"}


def test_a_sweep_finds_its_runs_and_takes_more_seeds_and_values(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path)
    sweep.open(COMMAND)
    sweep.close()
    add(sweep, 0)
    add(sweep, 1, status="failed", failure="GanlabError: no room\nhint")
    add(sweep, 2, status="interrupted")
    kept = add(sweep, 3, status="interrupted")
    kept.checkpoints.mkdir()
    kept.checkpoint_path(5).touch()
    again = a_sweep(tmp_path)
    assert again.name == sweep.name
    assert [run.state for run in again.runs] == ["finished", "failed", "lost", "interrupted"]
    assert again.runs[1].message == "GanlabError: no room"
    wider = a_sweep(tmp_path, (f"{LR}=1e-4,2e-4,4e-4",), "3")
    assert wider.name == sweep.name
    assert [run.state for run in wider.runs].count("missing") == 5
    narrower = a_sweep(tmp_path, (f"{LR}=1e-4",))
    assert (len(narrower.runs), len(narrower.extra_runs)) == (2, 2)
    assert a_sweep(tmp_path, ("train.steps=5,6",)).name != sweep.name
    with pytest.raises(UsageError, match=f"sweep {sweep.name} exists already with another definition; it was made by `ganlab run ring`"):
        a_sweep(tmp_path, ("train.steps=5,6",), name=sweep.name)


def test_a_run_of_another_recipe_is_refused(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path)
    folder = add(sweep, 0)
    folder.recipe.write_text(folder.recipe.read_text().replace("steps = 3000", "steps = 2000"))
    with pytest.raises(UsageError) as error:
        a_sweep(tmp_path)
    assert error.value.message == (
        f"run {folder.path.name} of sweep {sweep.name} was trained with another recipe than the current one, and cannot be compared with "
        "new runs: train.steps = 3000 (was 2000)"
    )
    assert error.value.hint == (
        f"restore the recipe; or start a new sweep with the current one: ganlab run ring --name {sweep.name}-2; "
        f"or remove the run, and the same command trains it again: ganlab delete {folder.path}"
    )


def test_a_run_with_another_plugin_file_is_refused(tmp_path: Path) -> None:
    plugin, recipe = tmp_path / "mine.py", tmp_path / "mine.toml"
    plugin.write_text('import ganlab\n\n@ganlab.hookimpl\ndef register_tricks(register):\n    register("mine", object)\n')
    recipe.write_text('extends = "ring"\nplugins = ["mine.py"]\n')
    sweep = a_sweep(tmp_path, recipe=recipe)
    digest = sweep.runs[0].combination.recipe.plugins[0].sha256
    add(sweep, 0, plugins=[{"name": "mine.py", "from": str(plugin), "sha256": digest}])
    assert a_sweep(tmp_path, recipe=recipe).runs[0].state == "finished"
    plugin.write_text(plugin.read_text() + "x = 1\n")
    with pytest.raises(UsageError, match=r"runs: the plugin file mine\.py\n"):
        a_sweep(tmp_path, recipe=recipe)


def test_the_tracker_does_not_identify_a_sweep(tmp_path: Path) -> None:
    overrides = ["tracking.uri=x", " tracking = {enabled=false}", " train.steps = 5 "]
    assert SweepDefinition.of("ring", tmp_path, overrides, [LR]).overrides == ("train.steps = 5",)


def test_a_run_that_was_changed_and_changed_back_is_refused(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path)
    folder = add(sweep, 0)
    info = json.loads((folder.path / "run.json").read_text())
    there, back = ({"time": 0.0, "changed": {}, "step": step, "recipe": [words]} for step, words in ((10, "a = 1"), (20, "a = 0")))
    (folder.path / "run.json").write_text(json.dumps(info | {"resumed": [there, there, back]}))
    with pytest.raises(UsageError, match=r"runs: no change at step 10 \(a = 1; then a = 1\); no change at step 20 \(a = 0\)"):
        a_sweep(tmp_path)


def test_a_sweep_is_locked(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path)
    sweep.open(COMMAND)
    with pytest.raises(UsageError, match=f"sweep {sweep.name} is being run by another process"):
        a_sweep(tmp_path).open(COMMAND)
    sweep.close()


def test_the_summary_has_mean_and_standard_deviation_over_seeds(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path)
    sweep.open(COMMAND)
    add(sweep, 0, findings=["fakes_alike"])
    add(sweep, 1)
    add(sweep, 2)
    add(sweep, 3, status="failed")
    sweep = a_sweep(tmp_path)
    combinations = combination_results(sweep)
    write_summary(sweep, combinations)
    first, second = json.loads((sweep.path / "summary.json").read_text())["combinations"]
    assert first["metrics"] == {"modes": {"mean": 1.0, "standard_deviation": math.sqrt(2), "n": 2}}
    assert (first["findings"], first["finished"], first["minutes"]) == ({"fakes_alike": 1}, 2, 1.0)
    assert (second["failed"], second["metrics"]["modes"]) == (1, {"mean": 1.0, "standard_deviation": None, "n": 1})
    wide = result_rows(combinations, 200)
    assert wide == [
        ["combination", "finished", "failed", "found", "modes", "minutes"],
        [f"{LR}=0.0001", "2 of 2", "", "fakes_alike in 1", "1.0 ± 1.4", "1.0"],
        [f"{LR}=0.0002", "1 of 2", "1", "", "1", "1.0"],
    ]
    assert result_rows(combinations, 80) == [list(column) for column in zip(*wide, strict=True)]


def test_a_terminal_shows_a_table_that_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = a_sweep(tmp_path, seeds="10")
    for number, state in enumerate(["finished", "running", "failed"]):
        add(sweep, number)
        sweep.runs[number].state = state
    sweep.runs[1].summary = find_run(tmp_path, "20260101-000001-ring-aaa1")
    sweep.runs[2].message = "no room"
    with open(sweep.runs[1].summary.folder.metrics, "a") as file:
        file.write('{"step": 9, "time": 0, "metrics": {"loss/generator": 0.5}}\n')
    narrow = Console(width=120, height=12, force_terminal=True, color_system=None, record=True)
    monkeypatch.setattr(sweep_display, "console", narrow)
    narrow.print(sweep_display.SweepDisplay(sweep)._panel())
    rows = [line.rstrip() for line in narrow.export_text().splitlines()]
    assert [row.split()[3] for row in rows[1:7]] == ["running", "failed", "waiting", "waiting", "waiting", "waiting"]
    assert "9 of 9" in rows[1] and "loss/generator 0.5" in rows[1]
    assert rows[2].endswith("no room")
    assert rows[7:] == ["... and 14 more", "1 running, 1 failed, 17 waiting, 1 finished"]
