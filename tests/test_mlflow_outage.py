"""A real MLflow server that comes late, is suspended, is stopped and comes back while a real run goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cases import RING, SHORT, Case
from plan import only_run
from server import Ended, Server

from ganlab_mlflow import helper
from ganlab_mlflow.state import State
from ganlab_mlflow.tracker import MlflowTracker

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of MLflow

LONG = pytest.mark.skipif("GANLAB_LONG" not in os.environ, reason="takes long; runs with GANLAB_LONG=1")
IMPATIENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "2"}  # seconds that the mirror gives a suspended server
#: A mirror that reads the folder and tries again more often than it does for people.
EAGER = helper._BOOT.replace("sys.exit(", "from ganlab_mlflow import mirror; mirror.EVERY, mirror.LONGEST_PAUSE = 0.3, 1.0; sys.exit(")
LIMIT = 200.0  # seconds that a busy machine may take: the mirror has the lowest priority
#: Waits in each step while a file is there, and a little in any case, so that things can happen to the tracker meanwhile.
SLOW = """
import time
from pathlib import Path
import ganlab

class Slow:
    @ganlab.hookimpl
    def after_step(self, step):
        time.sleep(0.01)
        while Path(f"wait{step}").exists():
            time.sleep(0.01)

@ganlab.hookimpl
def register_tricks(register):
    register("slow", Slow)
"""
OURS = ('tricks.slow={use="slow"}', "tracking.enabled=true")
CASE = Case(
    "slow",
    "slow.toml",
    (*(line for line in SHORT if not line.startswith("tracking")), *RING, *OURS),
    (("slow.py", SLOW), ("slow.toml", 'extends = "ring"\nplugins = ["./slow.py"]\n')),
)


class Mlflow:
    """An MLflow server on a port of its own, with its store."""

    def __init__(self, folder: Path, empty_store: Path) -> None:
        shutil.copyfile(empty_store, folder / "mlflow.db")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.folder, self.uri = folder, f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers."""
        if self.process is not None:
            return
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        store = f"sqlite:///{self.folder / 'mlflow.db'}"
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--artifacts-destination"]
        command += [str(self.folder / "artifacts"), "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        wait_for(self.answers)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def tell(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def stop(self) -> None:
        if self.process is not None:
            self.tell(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def has_recorded(self, run: Path) -> None:
        """All metrics and sheets of ``run`` are in the store, and each once."""
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=f"sqlite:///{self.folder / 'mlflow.db'}")
        experiment = client.get_experiment_by_name("ganlab")
        (recorded,) = client.search_runs([experiment.experiment_id], f"tags.`ganlab.run` = '{run.name}'")
        assert recorded.info.status == "FINISHED"
        wanted: dict[str, list[tuple[int, float]]] = {}
        for line in (run / "metrics.jsonl").read_text().splitlines():
            content = json.loads(line)
            for key, value in content["metrics"].items():
                wanted.setdefault(key, []).append((0 if key.startswith("final/") else content["step"], value))
        for key, points in wanted.items():
            history = client.get_metric_history(recorded.info.run_id, key)
            assert sorted((metric.step, metric.value) for metric in history) == sorted(points), key
        (artifacts,) = (self.folder / "artifacts").rglob(recorded.info.run_id)
        sheets = Counter(path.name.split("+")[2] for path in artifacts.rglob("samples+*.png"))
        assert sheets == {str(int(path.stem[5:])): 1 for path in (run / "samples").glob("*.png")}


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Mlflow]:
    """One server for all: it takes ten seconds to start."""
    made = Mlflow(tmp_path_factory.mktemp("server"), empty_store)
    yield made
    made.stop()


def wait_for(condition: Callable[[], Any], what: str = "") -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, f"it never happened {what}"
        time.sleep(0.05)


class Training:
    """`ganlab run` or `ganlab resume`, going on meanwhile."""

    def __init__(self, server: Server, folder: Path, *words: str, **more: Any) -> None:
        self.folder = folder
        self.ended: Ended | None = None
        self.constants = {"ganlab_mlflow.tracker:HEAD_START": 0.0, "ganlab_mlflow.helper:_BOOT": EAGER}

        def carry_out() -> None:
            self.ended = server.run(folder, *words, constants=self.constants, **more)
            self.end = time.monotonic()

        self.thread = threading.Thread(target=carry_out)
        self.thread.start()

    @property
    def run(self) -> Path:
        return only_run(self.folder)

    def state(self) -> dict[str, Any]:
        """What the mirror says."""
        try:
            return dict(json.loads((self.run / "mlflow.json").read_text()))
        except (OSError, ValueError):
            return {}

    def delivered(self, *names: str) -> bool:
        """Whether all that these files hold now has been sent."""
        at = self.state().get("positions", {})
        return all(name in at and at[name]["next"] == (self.run / name).stat().st_size for name in names)

    def step(self) -> int:
        """The latest step on record."""
        try:
            return int(json.loads((self.run / "metrics.jsonl").read_text().splitlines()[-1])["step"])
        except (OSError, ValueError, IndexError):
            return -1

    def result(self) -> Ended:
        self.thread.join(LIMIT)
        assert self.ended is not None
        return self.ended


def hold(folder: Path, *steps: int) -> Callable[[int], None]:
    """Let the run wait after these steps; call the result to let it go on from one."""
    for step in steps:
        (folder / f"wait{step}").touch()
    return lambda step: (folder / f"wait{step}").unlink()


def warnings(run: Path) -> list[str]:
    """What the person was told of MLflow."""
    return [text for text in json.loads((run / "run.json").read_text())["announcements"] if "MLflow" in text]


def test_a_server_that_comes_late_is_suspended_and_comes_back(server: Server, mlflow: Mlflow, tmp_path: Path) -> None:
    CASE.prepare(tmp_path)
    mlflow.stop()
    go_on = hold(tmp_path, 5, 9, 17, 21)
    training = Training(server, tmp_path, *CASE.words(), "--tracking-uri", mlflow.uri, environment=IMPATIENT)
    wait_for(lambda: training.step() == 4 and training.state().get("problem"))  # nobody listens
    go_on(5)
    wait_for(lambda: training.step() == 8)
    mlflow.start()
    wait_for(lambda: training.state()["problem"] == "" and training.state()["run_id"])
    mlflow.tell(signal.SIGSTOP)
    go_on(9)
    wait_for(lambda: training.step() == 16 and training.state()["problem"])  # it hangs: training does not care
    assert training.state()["problem"] == "it does not answer in time"
    mlflow.tell(signal.SIGCONT)
    wait_for(lambda: training.state()["problem"] == "")
    go_on(17)
    wait_for(lambda: training.step() == 20)
    go_on(21)
    ended = training.result()
    assert ended.code == 0, ended.text
    assert len(warnings(training.run)) == 1
    assert warnings(training.run)[0].startswith(f"MLflow at {mlflow.uri} cannot be used: nothing listens there (connection refused).")
    assert json.loads((training.run / "run.json").read_text())["mlflow"]["complete"]
    mlflow.has_recorded(training.run)


@pytest.mark.parametrize("how", ["suspended", pytest.param("stopped", marks=LONG)])
@pytest.mark.usefixtures("forked_mirrors")
def test_a_server_that_is_gone_when_the_run_ends(how: str, server: Server, mlflow: Mlflow, tmp_path: Path) -> None:
    CASE.prepare(tmp_path)
    mlflow.start()
    go_on = hold(tmp_path, 9, 23)
    training = Training(server, tmp_path, *CASE.words(), "--tracking-uri", mlflow.uri, environment=IMPATIENT)
    wait_for(lambda: training.state().get("positions", {}).get("metrics.jsonl"))
    mlflow.tell(signal.SIGSTOP) if how == "suspended" else mlflow.stop()
    go_on(9)
    wait_for(lambda: training.step() == 20)
    began = time.monotonic()
    go_on(23)
    ended = training.result()
    assert training.end - began < 10 + 3  # three for the last step, sheet and checkpoint on a busy machine
    assert ended.code == 0, ended.text
    (warning,) = warnings(training.run)
    assert f"`ganlab sync runs/{training.run.name}`" in warning
    mlflow.tell(signal.SIGCONT) if how == "suspended" else mlflow.start()
    for _ in range(2):  # the second time nothing is missing, and nothing comes twice
        MlflowTracker(uri=mlflow.uri).sync(training.run, print)
        mlflow.has_recorded(training.run)


def test_a_run_that_is_killed_and_resumed_is_told_of_once(server: Server, mlflow: Mlflow, tmp_path: Path) -> None:
    CASE.prepare(tmp_path)
    mlflow.start()
    go_on = hold(tmp_path, 21)  # the last checkpoint is of step 18; metrics and a sheet of step 20 have been sent
    training = Training(server, tmp_path, *CASE.words(), "--tracking-uri", mlflow.uri)
    wait_for(lambda: training.step() == 20 and training.delivered("metrics.jsonl", "artifacts.jsonl"))
    victim = json.loads((training.run / "run.json").read_text())["pid"]
    os.kill(victim, signal.SIGKILL)
    assert training.result().killed
    go_on(21)
    resumed = Training(server, tmp_path, "resume", "last", "--quiet").result()
    assert resumed.code == 0, resumed.text
    slow = [text for text in warnings(training.run) if text.startswith("A process still sends this run to MLflow")]
    assert warnings(training.run) == slow  # on a machine with other things to do
    wait_for(lambda: not slow or State.load(training.run).complete)
    mlflow.has_recorded(training.run)
