"""The trick ``mlflow`` in the training process: the mirror at its side, and what a person is told when it has trouble."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from mlflow_support import FakeRun, SilentServer, closed_port

from ganlab.errors import GanlabError
from ganlab_mlflow import helper as helper_module
from ganlab_mlflow import process as process_module
from ganlab_mlflow import tracker as tracker_module
from ganlab_mlflow.helper import Helper
from ganlab_mlflow.place import Settings
from ganlab_mlflow.state import State
from ganlab_mlflow.tracker import MlflowTracker

LIMIT = 120.0  # seconds that a busy machine may take for what takes two


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setattr(tracker_module, "HEAD_START", 0.0)
    monkeypatch.setattr(helper_module, "LONGEST_WAIT", LIMIT)
    return FakeRun(tmp_path / "runs")


@pytest.fixture
def store(run: FakeRun, tmp_path: Path, empty_store: Path, forked_mirrors: None) -> str:
    """The tracking URI of an empty store beside the runs, and mirrors that start at once."""
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def rows(store: str, query: str) -> list[Any]:
    """What the database of a store answers."""
    with contextlib.closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as database:
        return database.execute(query).fetchall()


def announcement(uri: str, problem: str, run: FakeRun) -> str:
    return (
        f"MLflow at {uri} cannot be used: {problem}. The run does not need it: everything is in its folder, and is sent as "
        f"soon as MLflow answers, by the next run here that can reach it, or by `ganlab sync {run.path}`."
    )


def wait_for(condition: Any) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def instead_of_the_mirror(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(helper_module, "_BOOT", f"import sys, time, os, json; sys.stdin.readline(); {code}")


def settings(run: FakeRun) -> Settings:
    return Settings(str(run.path), "sqlite://", "ganlab")


# -- with the mirror itself ------------------------------------------------------------------------------------------------


def test_a_run_is_mirrored_by_a_process_of_its_own(run: FakeRun, store: str, tmp_path: Path) -> None:
    tracker = MlflowTracker()
    tracker.before_run(run)
    run.log(1, loss=1.0)
    tracker.on_metrics(run)
    tracker.on_images(run, 1, "samples", run.sheet(1))
    run.end("finished")
    tracker.deliver(run)
    assert run.info["announcements"] == []
    known = run.info["mlflow"]
    assert (known["uri"], known["experiment"], known["complete"]) == (store, "ganlab", True)
    artifacts = tmp_path / "mlartifacts" / "ganlab" / known["run_id"] / "artifacts"
    assert (artifacts / "recipe.toml").is_file()
    assert sorted(path.name.split("+")[0] for path in (artifacts / "images").glob("*.png")) == ["final~samples", "samples"]
    assert not (Path.cwd() / "mlruns").exists()


def test_a_server_that_says_nothing_is_one_announcement(run: FakeRun, forked_mirrors: None) -> None:
    with SilentServer() as uri:
        tracker = MlflowTracker(uri=uri)
        tracker.before_run(run)
        wait_for(lambda: State.load(run.path).problem)
        for _ in range(3):
            tracker.on_metrics(run)
        run.end("finished")
        tracker.deliver(run)
    assert run.info["announcements"] == [announcement(uri, "it does not answer in time", run)]
    assert run.info["mlflow"] == {"uri": uri, "experiment": "ganlab", "experiment_id": "", "run_id": "", "complete": False}


def test_a_server_that_is_down_is_told_at_the_end_when_no_hook_came_before(run: FakeRun, forked_mirrors: None) -> None:
    uri = closed_port()
    tracker = MlflowTracker(uri=uri.replace("//", "//me:secret@"))
    tracker.before_run(run)
    run.end("finished")
    tracker.deliver(run)
    shown = uri.replace("//", "//***@")
    assert run.info["announcements"] == [announcement(shown, "nothing listens there (connection refused)", run)]
    assert "secret" not in json.dumps(run.info) + (run.path / "mlflow.json").read_text(encoding="utf-8")


def test_hook_sync(run: FakeRun, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker_module, "PATIENCE", 0.1)
    run.log(1, loss=1.0)
    run.end("finished")
    told: list[str] = []
    with pytest.raises(GanlabError) as caught:
        MlflowTracker(uri=(nowhere := closed_port())).sync(run.path, told.append)
    assert str(caught.value) == (
        f"MLflow at {nowhere} cannot be used: nothing listens there (connection refused)\nnothing is lost; try again when it answers"
    )
    with process_module.the_only_one(run.path), pytest.raises(GanlabError) as caught:
        MlflowTracker(uri=store).sync(run.path, told.append)
    assert str(caught.value) == f"another process is sending {run.path} to MLflow\nwait until it has ended"
    for _ in range(2):
        MlflowTracker(uri=store).sync(run.path, told.append)
    assert told == [f"{run.path} is in MLflow at {store}, experiment 'ganlab'"] * 2
    assert run.state.complete
    assert rows(store, "SELECT status, (SELECT count(*) FROM metrics) FROM runs") == [("FINISHED", 1)]


def test_a_run_that_is_over_at_once_sends_what_others_could_not_after_its_own(
    run: FakeRun, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker_module, "HEAD_START", 100.0)
    other = FakeRun(tmp_path / "runs", "other")
    other.end("finished")
    other.sign()
    other.state_is(uri=store, experiment="kept", problem="nothing listens there")
    tracker = MlflowTracker(uri=store)
    tracker.before_run(run)
    run.end("finished")
    tracker.deliver(run)
    assert run.state.complete
    assert run.info["announcements"] == []
    wait_for(lambda: other.state.complete)


def test_a_checkpoint_that_a_kill_left_off_the_list_is_sent_by_the_resumed_run(run: FakeRun, store: str, tmp_path: Path) -> None:
    run.end("interrupted")  # with a checkpoint of step 2, which is on no list
    run.resumed_from = 2
    tracker = MlflowTracker(uri=store, checkpoints="every")
    tracker.before_run(run)
    tracker.deliver(run)
    sent = list((tmp_path / "mlartifacts").rglob("step_000000002.safetensors"))
    assert [path.parent.name for path in sent] == ["checkpoints"]


def test_the_next_run_sends_what_others_could_not(run: FakeRun, store: str, tmp_path: Path) -> None:
    others = [FakeRun(tmp_path / "runs", name) for name in ("a", "b", "going", "elsewhere", "strangers")]
    for other in others[:4]:
        other.sign()
    for other in others:
        other.log(1, loss=1.0)
        other.end("finished")
    others[2].info |= {"status": "running", "host": "elsewhere"}
    others[2].save_info()
    for other in (*others[:3], others[4]):
        other.state_is(uri=store, experiment="kept", problem="nothing listens there")
    others[3].state_is(uri="http://elsewhere", experiment="kept", problem="nothing listens there")
    tracker = MlflowTracker(uri=store)
    tracker.before_run(run)
    wait_for(lambda: others[0].state.complete and others[1].state.complete)  # while this run goes on
    assert not run.state.complete
    run.end("finished")
    tracker.deliver(run)
    assert run.state.complete
    assert run.info["announcements"] == []
    assert [other.state.complete for other in others] == [True, True, False, False, False]
    assert {other.state.experiment for other in others} == {"kept"}


def test_a_training_process_that_is_killed_leaves_a_true_status(run: FakeRun, store: str) -> None:
    training = os.fork()
    if training == 0:
        MlflowTracker().before_run(run)
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(training, 0)[1]) == -signal.SIGKILL
    wait_for(lambda: run.state.complete)
    assert rows(store, "SELECT status FROM runs") == [("KILLED",)]


# -- with something else in the mirror's place -----------------------------------------------------------------------------


def test_a_mirror_that_dies_is_one_announcement(run: FakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    instead_of_the_mirror(monkeypatch, "os.kill(os.getpid(), 9)")
    tracker = MlflowTracker(uri="sqlite://")
    tracker.before_run(run)
    wait_for(lambda: tracker.on_metrics(run) or run.info["announcements"])
    tracker.on_metrics(run)
    tracker.deliver(run)
    assert run.info["announcements"] == [announcement("sqlite://", "its process was ended by signal 9", run)]


def test_a_mirror_that_cannot_begin_says_why(run: FakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    instead_of_the_mirror(monkeypatch, "sys.exit('ModuleNotFoundError: No module named mlflow') if len(sys.argv) else 0")
    mirror = Helper(settings(run))
    wait_for(lambda: mirror.death)
    assert mirror.death == "its process ended with code 1: ModuleNotFoundError: No module named mlflow"
    mirror.stop()


def test_a_mirror_that_cannot_be_started_is_announced(run: FakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError("Cannot allocate memory")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    tracker = MlflowTracker(uri="sqlite://")
    tracker.before_run(run)
    tracker.on_metrics(run)
    tracker.deliver(run)
    assert run.info["announcements"] == [announcement("sqlite://", "its process cannot be started (Cannot allocate memory)", run)]


def test_the_end_of_a_run_does_not_wait_for_ever_for_a_mirror_that_works(run: FakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper_module, "LONGEST_WAIT", 0.2)
    done = run.path / "done"
    works = (
        f"[None for _ in iter(time.process_time, None) if time.process_time() > 1.2 and (open({json.dumps(str(done))}, 'w'), os._exit(0))]"
    )
    instead_of_the_mirror(monkeypatch, works)
    tracker = MlflowTracker(uri="sqlite://")
    tracker.before_run(run)
    began = time.monotonic()
    tracker.deliver(run)
    assert time.monotonic() - began < 5
    assert run.info["mlflow"]["complete"] is False
    (told,) = run.info["announcements"]
    assert told.startswith("A process still sends this run to MLflow, after the end of the training. ")
    assert told.endswith(f"`ganlab sync {run.path}` sends what is missing.")
    assert not done.exists()
    while not done.exists() and time.monotonic() - began < 100:
        time.sleep(0.05)
    assert done.exists()  # it was not stopped


def test_ctrl_c_in_the_terminal_is_not_for_the_mirror(run: FakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    instead_of_the_mirror(monkeypatch, "time.sleep(1000)")
    mirror = Helper(settings(run))
    assert os.getpgid(mirror._process.pid) != os.getpgid(0)
    assert os.getsid(mirror._process.pid) == os.getsid(0)  # a session of its own would undo its low priority on Linux
    mirror.stop()


def test_ctrl_c_while_waiting_ends_the_mirror(run: FakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    instead_of_the_mirror(monkeypatch, "time.sleep(1000)")
    mirror = Helper(settings(run))
    monkeypatch.setattr(helper_module.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        mirror.finish()
    assert mirror._process.returncode == -signal.SIGKILL


def test_a_state_from_before_does_not_pass_for_a_delivery(run: FakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    State(uri="sqlite://", run_id="r", complete=True).save(run.path)  # of the run before it was resumed
    instead_of_the_mirror(monkeypatch, "os.kill(os.getpid(), 9)")
    tracker = MlflowTracker(uri="sqlite://")
    tracker.before_run(run)
    tracker.deliver(run)
    assert run.info["mlflow"]["complete"] is False
    assert run.info["announcements"] == [announcement("sqlite://", "its process was ended by signal 9", run)]


# -- leaving the machine to the training -----------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "nice"), reason="Windows has no niceness")
def test_the_mirror_gives_way_before_it_imports_anything() -> None:
    with subprocess.Popen([sys.executable, "-c", helper_module._BOOT], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: psutil.Process(process.pid).nice() == 19)  # it has not even been told where its modules are
        process.kill()


def test_the_mirror_imports_little_while_it_waits_for_its_turn() -> None:
    code = "import sys, ganlab_mlflow.process; print(*sorted({'torch', 'mlflow', 'pydantic', 'numpy', 'rich'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


@pytest.mark.parametrize(("busy", "waits"), [([100.0] * 9, 9.0), ([100.0, 76.0, 75.0], 7.0), ([10.0], 3.0)])
def test_mlflow_waits_for_an_idle_core_or_its_time(monkeypatch: pytest.MonkeyPatch, busy: list[float], waits: float) -> None:
    clock, load = [0.0], [0.0, *busy]

    class Ended:
        def wait(self, seconds: float) -> bool:
            clock[0] += seconds
            return False

    monkeypatch.setattr(process_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(process_module, "psutil", SimpleNamespace(cpu_percent=lambda: load.pop(0), cpu_count=lambda: 4))
    process_module.await_room(9.0, Ended())  # type: ignore[arg-type]
    assert clock[0] == waits


def test_mlflow_does_not_wait_once_the_run_is_over() -> None:
    ended = threading.Event()
    ended.set()
    process_module.await_room(1e6, ended)


# -- with the engine -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of MLflow
def test_a_run_of_the_engine_is_in_mlflow_and_the_training_process_never_imports_it(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    code = (
        "import sys; from ganlab.cli import cli\n"
        "cli.main(sys.argv[1:], standalone_mode=False)\n"
        "sys.exit('mlflow was imported' if 'mlflow' in sys.modules else 0)"
    )
    sets = ["train.steps=20", "train.log_every=5", "train.batch_size=16", "train.sample_every=10", "data.samples=500", "train.threads=1"]
    command = ["run", "ring", "--quiet", *(word for key in sets for word in ("--set", key))]
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    done = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    wait_for(lambda: State.load(folder).complete)  # on a busy machine the mirror outlives the run
    known = State.load(folder).summary()
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    found = client.get_run(known["run_id"])
    assert (known["complete"], found.info.status) == (True, "FINISHED")
    assert (found.data.params["data.use"], found.data.params["train.steps"]) == ("ring", "20")
    assert [m.step for m in client.get_metric_history(known["run_id"], "loss/discriminator")] == [5, 10, 15, 20]
    assert found.data.metrics["speed/steps_per_second"] > 0
    files = {file.path for file in client.list_artifacts(known["run_id"])}
    assert files == {"checkpoints", "evaluation.json", "generator.safetensors", "images", "losses.png", "recipe.toml", "run.json"}
    images = [file.path for file in client.list_artifacts(known["run_id"], "images") if file.path.endswith(".png")]
    assert sorted(int(path.split("+")[2]) for path in images if "final" not in path) == [0, 10, 20]
    wait_for(lambda: not State.load(folder).model_missing)
    (model,) = client.search_logged_models([known["experiment_id"]])
    assert [metric.key for metric in model.metrics if metric.key == "final/modes"] == ["final/modes"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlartifacts", "mlflow.db", "runs"]
