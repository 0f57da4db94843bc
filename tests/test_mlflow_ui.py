"""``ganlab ui``, and the tracker against a real MLflow server, which is one and the same here."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import psutil
import pytest
from filelock import FileLock
from mlflow_support import FakeRun, closed_port

from ganlab.commands import handle_signals
from ganlab.errors import GanlabError, UsageError
from ganlab_mlflow import place, ui
from ganlab_mlflow.mirror import Mirror
from ganlab_mlflow.place import Settings
from ganlab_mlflow.tracker import MlflowTracker

CHARTS = "runs?workflowType=machine_learning&compareRunsMode=CHART"
VIEW = "&viewStateShareKey=ganlab-runs"


def ended(process: psutil.Process) -> bool:
    """Whether it is over; the system may not have forgotten it yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(autouse=True)
def no_tracking_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


# -- the real one ----------------------------------------------------------------------------------------------------------


class Served:
    """``ganlab ui`` at work, on a port beside one that was taken."""

    def __init__(self, folder: Path, empty_store: Path) -> None:
        self.folder = folder
        shutil.copyfile(empty_store, folder / "mlflow.db")
        self.run = FakeRun(folder / "runs")
        self.run.log(1, loss=1.0)
        self.run.end("finished")
        assert Mirror(Settings(str(self.run.path), f"sqlite:///{folder / 'mlflow.db'}", "ganlab")).attempt(last=True)
        self.taken = socket.create_server(("127.0.0.1", 0))
        self.wanted = self.taken.getsockname()[1]
        command = [sys.executable, "-m", "ganlab", "ui", "--port", str(self.wanted)]
        listen = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731 - where the tests ignore it
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, preexec_fn=listen)
        assert self.process.stdout is not None
        self.said = [self.process.stdout.readline().strip() for _ in range(4)]
        self.base = re.sub(r".*(http://[^/]+).*", r"\1", self.said[2])

    def close(self) -> None:
        self.taken.close()
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        server = Served(tmp_path_factory.mktemp("served"), empty_store)
        yield server
        server.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_it_says_where_the_charts_are(served: Served) -> None:
    port = int(served.base.rpartition(":")[2])
    assert served.said == [
        f"Port {served.wanted} is taken: using {port}.",
        "Starting MLflow ...",
        f"The charts of experiment 'ganlab': http://127.0.0.1:{port}/#/experiments/1/{CHARTS}{VIEW}",
        "Ctrl-C stops it.",
    ]
    with urllib.request.urlopen(served.base) as page:
        assert b"<title>MLflow</title>" in page.read()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_run_is_recorded_on_a_server_with_its_sheets(served: Served, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    run = FakeRun(tmp_path / "runs", "20260102-030405-far-9999")
    run.log(1, loss=None)
    MlflowTracker().on_images(run, 1, "samples", run.sheet(1))
    run.end("failed")
    assert Mirror(Settings(str(run.path), served.base, "elsewhere")).attempt(last=True), run.state.problem
    client = MlflowClient(tracking_uri=served.base)
    found = client.get_run(run.state.run_id)
    assert (found.info.run_name, found.info.status) == ("far-9999 seed 7", "FAILED")
    assert [m.step for m in client.get_metric_history(run.state.run_id, "loss")] == [1]
    _, sheet = [file.path for file in client.list_artifacts(run.state.run_id, "images") if file.path.endswith(".png")]
    assert Path(client.download_artifacts(run.state.run_id, sheet, str(tmp_path))).read_bytes()[:4] == b"\x89PNG"
    assert ui.link(served.base, "elsewhere") == f"{served.base}/#/experiments/{run.state.experiment_id}/{CHARTS}{VIEW}"
    client.delete_experiment_tag(run.state.experiment_id, "mlflow.sharedViewState.ganlab-runs")  # the user has deleted the view
    assert ui.link(served.base, "elsewhere") == f"{served.base}/#/experiments/{run.state.experiment_id}/{CHARTS}"
    assert ui.link(served.base, "nowhere") == f"{served.base}/#/experiments"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_ctrl_c_ends_it_with_all_its_processes(served: Served) -> None:  # the last one that uses it
    family = psutil.Process(served.process.pid).children(recursive=True)
    assert family
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(60) == 0
    assert all(ended(member) for member in family)
    assert sorted(path.name for path in served.folder.iterdir()) == ["mlartifacts", "mlflow.db", "runs"]


@pytest.mark.slow
def test_a_store_that_cannot_be_read_is_an_error_with_the_servers_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_LOGGING_LEVEL", "CRITICAL")  # as who does not want to hear MLflow in training may set it
    (tmp_path / "mlflow.db").write_text("this is no database", encoding="utf-8")
    (tmp_path / "runs").mkdir()
    with pytest.raises(GanlabError) as caught:
        ui.serve_ui(tmp_path / "runs", "", 5000, False)
    assert caught.value.message == "MLflow's server does not start"
    assert caught.value.hint.startswith("its last log lines:\n")
    assert "file is not a database" in caught.value.hint


# -- without a server of its own -------------------------------------------------------------------------------------------


def test_no_store_is_an_error_with_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        ui.serve_ui(tmp_path / "runs", "", 5000, False)
    assert str(caught.value) == (
        f"no runs are recorded in MLflow yet: {tmp_path}/mlflow.db does not exist\n"
        f"`ganlab run mnist_adaptive` creates it, within two minutes; --runs-dir names another folder of runs than {tmp_path}/runs"
    )
    assert not (tmp_path / "mlflow.db").exists()


def test_a_tracker_that_has_no_pages_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        ui.serve_ui(tmp_path / "runs", "databricks://me", 5000, False)
    assert str(caught.value) == (
        "ganlab ui cannot show the tracking URI 'databricks://me'\n"
        "it shows servers (http://host:port) and databases (sqlite, postgresql, mysql, mssql)"
    )


class Answers(http.server.BaseHTTPRequestHandler):
    """An MLflow server that knows the experiment "mine"."""

    def do_GET(self) -> None:
        known = self.path.endswith("experiment_name=mine")
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"experiment": {"experiment_id": "42"}} if known else {}).encode())

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_of_a_server_elsewhere_only_the_link_is_printed(
    tmp_path: Path, elsewhere: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = FakeRun(tmp_path / "runs")
    run.info["mlflow"] = {"experiment": "mine"}
    run.save_info()
    opened: list[str] = []
    monkeypatch.setattr(ui.webbrowser, "open", opened.append)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{elsewhere}/")
    monkeypatch.setenv("http_proxy", closed_port())  # is not asked about this machine
    ui.serve_ui(tmp_path / "runs", "", 5000, True)
    assert capsys.readouterr().out == f"The charts of experiment 'mine': {elsewhere}/#/experiments/42/{CHARTS}\n"
    assert opened == [f"{elsewhere}/#/experiments/42/{CHARTS}"]


def test_a_server_that_does_not_answer_still_gets_a_link(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri = closed_port()
    ui.serve_ui(tmp_path / "runs", uri, 5000, False)
    assert capsys.readouterr().out == f"The charts of experiment 'ganlab': {uri}/#/experiments\n"


def test_a_damaged_run_is_named_and_the_others_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, uri = FakeRun(tmp_path / "runs"), closed_port()
    run.info["mlflow"] = {"experiment": "mine"}
    run.save_info()
    (tmp_path / "runs" / "odd").mkdir()
    (tmp_path / "runs" / "odd" / "run.json").write_text('{"created": 1e300}')
    ui.serve_ui(tmp_path / "runs", uri, 5000, False)
    shown = capsys.readouterr()
    assert shown.out == f"The charts of experiment 'mine': {uri}/#/experiments\n"
    assert shown.err == f"note: one run is passed over: {tmp_path}/runs/odd/run.json is damaged: its created is 1e+300\n"


def test_no_free_port_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "PORTS", 1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError) as caught:
            ui.free_port(port)
    assert str(caught.value) == f"no port from {port} on is free\nchoose another with --port"


def test_sigterm_stops_it_as_ctrl_c_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), handle_signals(ui.interrupt, "SIGTERM"):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_processes_that_do_not_go_are_made_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "STOP_SECONDS", 0.5)
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(1000)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {stubborn!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        (child,) = psutil.Process(process.pid).children()
        ui.stop(process)
    assert ended(child)


def test_the_server_waits_for_the_process_that_creates_the_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it finds half of the tables, and ends with the last lines of an SQL error."""
    uri, started = f"sqlite:///{tmp_path / 'mlflow.db'}", []
    monkeypatch.setattr(ui, "_wait_for_answer", lambda base, process, log: started.append(lock.is_locked))
    instead = SimpleNamespace(Popen=lambda *given, **more: subprocess.Popen([sys.executable, "-c", ""]), DEVNULL=None, STDOUT=None)
    monkeypatch.setattr(ui, "subprocess", instead)
    (tmp_path / "mlartifacts").mkdir()
    lock = FileLock(tmp_path / "mlartifacts" / ".lock", thread_local=False)
    lock.acquire()
    threading.Timer(0.5, lock.release).start()
    with ui.local_server(uri, tmp_path / "mlartifacts", 5000):
        assert started == [False]
    assert capsys.readouterr().out == "Waiting for another process that is opening the store ...\nStarting MLflow ...\n"


def test_a_store_that_another_process_never_opens_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "PATIENCE", 0.1)
    (tmp_path / "mlartifacts").mkdir()
    with FileLock(tmp_path / "mlartifacts" / ".lock"), pytest.raises(GanlabError, match="another process has been opening MLflow's store"):
        ui.serve_ui(tmp_path / "runs", f"sqlite:///{tmp_path / 'mlflow.db'}", 5000, False)


def test_the_command_hands_over_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    from ganlab.cli import cli

    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(ui, "serve_ui", lambda *args: asked.append(args))
    command = ["ui", "--runs-dir", "there", "--tracking-uri", "http://h", "--port", "7000", "--open"]
    with click.Context(cli):
        cli.main(command, standalone_mode=False)
    assert asked == [(Path("there"), "http://h", 7000, True)]


@pytest.mark.parametrize("table", [[1], 3, None, {}, {"experiment": 5}, {"experiment": ""}])
def test_a_run_whose_table_of_mlflow_is_something_else_is_passed_over(table: object, tmp_path: Path) -> None:
    for number, content in enumerate(({"experiment": "mine"}, table)):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "run.json").write_text(json.dumps({"created": number, "mlflow": content}))
    assert ui._experiment_name(tmp_path) == "mine"
