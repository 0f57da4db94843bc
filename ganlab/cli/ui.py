"""``ganlab ui``: MLflow's own pages on the store that holds the runs, and the link that lands on their charts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import IO, Any

import click
import psutil

from ganlab.errors import GanlabError, UsageError
from ganlab.records.summaries import list_runs

HOST = "127.0.0.1"
PORTS = 50  # tried one after the other
PATIENCE = 90.0  # seconds until a local server must answer; an old store may be brought up to date first
ASKING = 5.0  # seconds for a question to a server
STOPPING = 5.0  # seconds that the server's processes have to end by themselves
VIEW = "ganlab.view"  # the tag of an experiment by which a tracker says which of its saved views is to be opened
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
# Without these two the server starts seven helpers that serve language models, in 2.4 GB.
ENVIRONMENT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "INFO",  # quieter, and it would not say why it cannot start
}


def serve_ui(runs_dir: Path, uri: str, port: int, open_browser: bool) -> None:
    """Show the runs in MLflow until Ctrl-C; of a tracker that runs elsewhere, only print the link.

    Args:
        runs_dir: the folder of all runs; the default store lies beside it.
        uri: the tracking URI; empty takes ``MLFLOW_TRACKING_URI``, else the default store.
        port: of the local server; the next free one when it is taken.
        open_browser: whether to open a browser on the link too.

    Raises:
        UsageError: there is nothing to show, or no port.
        GanlabError: MLflow's server does not start, or ends by itself.
    """
    store = runs_dir.resolve().parent / "mlflow.db"
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI", "") or f"sqlite:///{store.as_posix()}"
    experiment = _experiment_name(runs_dir)
    scheme = uri.partition(":")[0].partition("+")[0]
    if scheme in ("http", "https"):
        show(link(uri, experiment), experiment, open_browser)
        return
    if scheme not in DATABASES:
        raise UsageError(
            f"ganlab ui cannot show the tracking URI '{uri}'",
            f"it shows servers (http://host:port) and databases ({', '.join(DATABASES)})",
        )
    _check_file(uri, runs_dir)
    with stopped_by_signals(), local_server(uri, store.with_name("mlartifacts"), free_port(port)) as (base, process, log):
        show(link(base, experiment), experiment, open_browser)
        click.echo("Ctrl-C stops it.")
        with contextlib.suppress(KeyboardInterrupt):
            process.wait()
            raise GanlabError(f"MLflow's server has ended by itself (code {process.returncode})", _last_lines(log))


def show(address: str, experiment: str, open_browser: bool) -> None:
    """Print the link, unbroken so that terminals make it one, and open it if asked to."""
    click.echo(f"The charts of experiment '{experiment}': {address}")
    if open_browser:
        webbrowser.open(address)


def link(base: str, experiment: str) -> str:
    """The address of an experiment's charts, in the view that its tag ``ganlab.view`` names if that is there still.

    Of the list of experiments where the server knows none of that name.
    """
    base = base.rstrip("/")
    name = urllib.parse.quote(experiment)
    answer = ask(f"{base}/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}")
    found = (answer or {}).get("experiment", {})
    number = found.get("experiment_id")
    if number is None:
        return f"{base}/#/experiments"
    tags = {tag["key"]: tag["value"] for tag in found.get("tags", [])}
    view = tags.get(VIEW, "")
    saved = f"&viewStateShareKey={urllib.parse.quote(view)}" if f"mlflow.sharedViewState.{view}" in tags else ""
    return f"{base}/#/experiments/{number}/runs?workflowType=machine_learning&compareRunsMode=CHART{saved}"


def ask(address: str) -> dict[str, Any] | None:
    """The JSON answer of a server, or None where it gives none. A server on this machine is asked directly, without a proxy."""
    local = urllib.parse.urlsplit(address).hostname in (HOST, "localhost")
    opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if local else []))
    try:
        with opener.open(address, timeout=ASKING) as answer:
            content = json.loads(answer.read())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def free_port(wanted: int) -> int:
    """``wanted``, or the next port after it that nobody listens on, which is then announced.

    Raises:
        UsageError: none is free.
    """
    for port in range(wanted, min(wanted + PORTS, 65536)):
        with socket.socket() as probe:
            if sys.platform != "win32":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server that has just ended does not count
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        if port != wanted:
            click.echo(f"Port {wanted} is taken: using {port}.")
        return port
    raise UsageError(f"no port from {wanted} on is free", "choose another with --port")


@contextlib.contextmanager
def local_server(uri: str, artifacts: Path, port: int) -> Iterator[tuple[str, subprocess.Popen[bytes], IO[bytes]]]:
    """MLflow's server on a store, from the moment it answers; ended with all its processes.

    Yields:
        Its address, its process, and the file that it logs to.

    Raises:
        GanlabError: it does not start.
    """
    click.echo("Starting MLflow ...")
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    environment = {**os.environ, **ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_ARTIFACTS_DESTINATION": str(artifacts)}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # in a session of its own: Ctrl-C reaches it through this process, once
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            base = f"http://{HOST}:{port}"
            _await_answer(base, process, log)
            yield base, process, log
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started: asked first, then made to."""
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        family = [*parent.children(recursive=True), parent]
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.terminate()
        stubborn = psutil.wait_procs(family, timeout=STOPPING)[1]
        for member in stubborn:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(stubborn, timeout=STOPPING)
    process.wait()


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """SIGTERM, and the closing of the terminal, stop the server as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), interrupt) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def _await_answer(base: str, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            raise GanlabError("MLflow's server does not start", _last_lines(log))
        with contextlib.suppress(OSError, ValueError), socket.create_connection((HOST, int(base.rpartition(":")[2])), timeout=1):
            if ask(f"{base}/api/2.0/mlflow/experiments/search?max_results=1") is not None:
                return
        time.sleep(0.2)
    raise GanlabError(f"MLflow's server has not answered for {PATIENCE:.0f} s", _last_lines(log))


def _last_lines(log: IO[bytes], count: int = 8) -> str:
    log.seek(0)
    return "\n".join(["its last words:", *log.read().decode(errors="replace").splitlines()[-count:]])


def _check_file(uri: str, runs_dir: Path) -> None:
    """See that an sqlite store is there: the server would make an empty one."""
    path = uri.partition(":///")[2]
    if uri.startswith("sqlite") and not Path(path).is_file():
        raise UsageError(
            f"no runs are recorded in MLflow yet: {path or uri} does not exist",
            f"`ganlab run mnist_adaptive` makes one, within two minutes; --runs-dir looks beside another folder than {runs_dir}",
        )


def _experiment_name(runs_dir: Path) -> str:
    """The experiment of the latest run that MLflow has; ``ganlab``, the default, when there is none."""
    names = [name for run in list_runs(runs_dir) if (name := run.info.as_dict().get("mlflow", {}).get("experiment"))]
    return str(names[-1]) if names else "ganlab"
