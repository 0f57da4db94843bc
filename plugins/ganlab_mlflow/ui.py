"""The command ``ganlab ui``: start MLflow's server on the store of the runs, and print the link to their charts."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import IO, Any

import click
import psutil
import requests
from filelock import Timeout

from ganlab.child_process import python_command, python_environment
from ganlab.commands import RUNS_DIR, damaged_runs, handle_signals, list_runs, show_lines, warn
from ganlab.errors import GanlabError, UsageError
from ganlab.redaction import redacted_value
from ganlab_mlflow.place import PATIENCE, artifacts_of, in_any_folder, opening, sqlite_file, tracking_uri
from ganlab_mlflow.view import CHOSEN, TAG

HOST = "127.0.0.1"
PORTS = 50  # ports to try, one after the other
START_SECONDS = 90.0  # time in which a local server must answer; it may have to migrate an old store first
REQUEST_SECONDS = 5.0  # timeout of a request to a server
STOP_SECONDS = 5.0  # time that the server's processes have to end before they are killed
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
# Without these settings the server starts seven more processes, which serve language models and take 2.4 GB.
ENVIRONMENT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "INFO",  # at a lower verbosity it does not say why it cannot start
}


@click.command("ui")
@RUNS_DIR
@click.option("--tracking-uri", help="The store to show.  [default: $MLFLOW_TRACKING_URI, else mlflow.db beside the runs folder]")
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port of the UI; if taken, the next free one.")
@click.option("--open/--no-open", "open_browser", default=False, help="Open it in a browser.")
def command(runs_dir: Path, tracking_uri: str | None, port: int, open_browser: bool) -> None:
    """Open the MLflow UI on the runs, and print the link to their charts."""
    serve_ui(runs_dir, tracking_uri or "", port, open_browser)


def serve_ui(runs_dir: Path, uri: str, port: int, open_browser: bool) -> None:
    """Serve the MLflow UI until Ctrl-C. Where the tracking URI is that of a running server, only print the link.

    Raises:
        UsageError: there is nothing to show, or no port is free.
        GanlabError: MLflow's server does not start, or exits.
    """
    uri = tracking_uri(uri, runs_dir)
    for damage in damaged_runs(runs_dir):
        warn(f"one run is passed over: {damage}")
    experiment = _experiment_name(runs_dir)
    scheme = uri.partition(":")[0].partition("+")[0]
    if scheme in ("http", "https"):
        show(link(uri, experiment), experiment, open_browser)
        return
    if scheme not in DATABASES:
        raise UsageError(
            f"ganlab ui cannot show the tracking URI '{redacted_value(uri)}'",
            f"it shows servers (http://host:port) and databases ({', '.join(DATABASES)})",
        )
    _check_file(uri, runs_dir)
    server = local_server(uri, runs_dir.resolve().parent / "mlartifacts", free_port(port))
    with handle_signals(interrupt, "SIGTERM", "SIGHUP"), server as (base, process, log):
        show(link(base, experiment), experiment, open_browser)
        show_lines("Ctrl-C stops it.")
        with contextlib.suppress(KeyboardInterrupt):
            process.wait()
            raise GanlabError(f"MLflow's server has exited (code {process.returncode})", _last_lines(log))


def show(address: str, experiment: str, open_browser: bool) -> None:
    """Print the link in one line, which terminals make clickable, and open it in a browser if ``open_browser``."""
    show_lines(f"The charts of experiment '{experiment}': {address}")
    if open_browser:
        webbrowser.open(address)


def link(base: str, experiment: str) -> str:
    """Return the address of an experiment's charts, in the view that its tag ``ganlab.view`` names if that view still exists.

    If the server has no experiment of that name, return the address of the list of experiments.
    """
    base = base.rstrip("/")
    name = urllib.parse.quote(experiment)
    answer = get_json(f"{base}/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}")
    details = (answer or {}).get("experiment", {})
    experiment_id = details.get("experiment_id")
    if experiment_id is None:
        return f"{base}/#/experiments"
    tags = {tag["key"]: tag["value"] for tag in details.get("tags", [])}
    view = tags.get(CHOSEN, "")
    view_parameter = f"&viewStateShareKey={urllib.parse.quote(view)}" if f"{TAG}{view}" in tags else ""
    return f"{base}/#/experiments/{experiment_id}/runs?workflowType=machine_learning&compareRunsMode=CHART{view_parameter}"


def get_json(address: str) -> dict[str, Any] | None:
    """Return the JSON object that a server answers, or None if it gives none. A server on this machine is reached without a proxy."""
    with requests.Session() as session:
        session.trust_env = urllib.parse.urlsplit(address).hostname not in (HOST, "localhost")
        try:
            content = session.get(address, timeout=REQUEST_SECONDS).json()
        except (requests.RequestException, ValueError):
            return None
    return content if isinstance(content, dict) else None


def free_port(wanted: int) -> int:
    """Return the first free port from ``wanted`` on, and print it if it is another one.

    Raises:
        UsageError: none of the PORTS ports from ``wanted`` on is free.
    """
    for port in range(wanted, min(wanted + PORTS, 65536)):
        with socket.socket() as probe:
            if sys.platform != "win32":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the port of a server that has just ended is free
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        if port != wanted:
            show_lines(f"Port {wanted} is taken: using {port}.")
        return port
    raise UsageError(f"no port from {wanted} on is free", "choose another with --port")


@contextlib.contextmanager
def local_server(uri: str, artifacts: Path, port: int) -> Iterator[tuple[str, subprocess.Popen[bytes], IO[bytes]]]:
    """Start MLflow's server on a store, wait until it answers, and stop it with all its processes at the end.

    Yields:
        Its address, its process, and the file that it logs to.

    Raises:
        GanlabError: the server does not start.
    """
    command = python_command("-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1")
    places = {"MLFLOW_BACKEND_STORE_URI": in_any_folder(uri), "MLFLOW_ARTIFACTS_DESTINATION": str(artifacts)}
    # MLflow starts uvicorn, which always searches modules in its working folder: an empty one.
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as at_end:
        with _opening(uri):
            show_lines("Starting MLflow ...")
            process = subprocess.Popen(  # in a session of its own, where Ctrl-C does not reach it: stop() ends it
                command,
                cwd=folder,
                env={**python_environment(), **ENVIRONMENT, **places},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            at_end.callback(stop, process)
            base = f"http://{HOST}:{port}"
            _wait_for_answer(base, process, log)
        yield base, process, log


@contextlib.contextmanager
def _opening(uri: str) -> Iterator[None]:
    """Keep other processes from opening the store until the server answers: one of the two may have to migrate its tables.

    Raises:
        GanlabError: another process takes too long for it.
    """
    with contextlib.ExitStack() as lock:
        try:
            try:
                lock.enter_context(opening(uri, patience=0))
            except Timeout:
                show_lines("Waiting for another process that is opening the store ...")
                lock.enter_context(opening(uri))
        except Timeout:
            raise GanlabError(
                f"another process has been opening MLflow's store for more than {PATIENCE:.0f} s", "try again, or end it"
            ) from None
        yield


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and all its children: terminate them, and kill those that do not end in time."""
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        processes = [*parent.children(recursive=True), parent]
        for each in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.terminate()
        alive = psutil.wait_procs(processes, timeout=STOP_SECONDS)[1]
        for each in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(alive, timeout=STOP_SECONDS)
    process.wait()


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Handle SIGTERM and SIGHUP (the terminal was closed) as Ctrl-C."""
    raise KeyboardInterrupt


def _wait_for_answer(base: str, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise GanlabError("MLflow's server does not start", _last_lines(log))
        if get_json(f"{base}/api/2.0/mlflow/experiments/search?max_results=1") is not None:
            return
        time.sleep(0.2)
    raise GanlabError(f"MLflow's server has not answered for {START_SECONDS:.0f} s", _last_lines(log))


def _last_lines(log: IO[bytes], count: int = 8) -> str:
    log.seek(0)
    return "\n".join(["its last log lines:", *log.read().decode(errors="replace").splitlines()[-count:]])


def _check_file(uri: str, runs_dir: Path) -> None:
    """Refuse an sqlite store that does not exist: the server would create an empty one.

    Raises:
        UsageError: it does not exist.
    """
    path = sqlite_file(uri)
    if path is not None and not path.is_file() and artifacts_of(path).is_dir():
        with _opening(uri):  # the process of a run may be creating it
            pass
    if path is not None and not path.is_file():
        raise UsageError(
            f"no runs are recorded in MLflow yet: {path} does not exist",
            f"`ganlab run mnist_adaptive` creates it, within two minutes; --runs-dir names another folder of runs than {runs_dir}",
        )


def _experiment_name(runs_dir: Path) -> str:
    """Return the MLflow experiment of the latest run that has one, else the default, ``ganlab``."""
    tables = [run.info.get("mlflow") for run in list_runs(runs_dir)]
    names = [name for table in tables if isinstance(table, dict) and isinstance(name := table.get("experiment"), str) and name]
    return names[-1] if names else "ganlab"
