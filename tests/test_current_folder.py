"""Python files in the folder where ``ganlab`` is typed are not run in place of the modules of their names, by no process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from test_mlflow_ui import ended
from test_rooms import modules

from ganlab.child_process import python_command, python_environment
from ganlab.cli.process import leave_out_current_folder
from ganlab_mlflow.place import in_any_folder

NAMES = ("random", "torch", "mlflow", "types", "json", "ganlab", "uvicorn", "numpy", "click", "sitecustomize", "logging", "ganlab_mlflow")
#: Python itself imports these before a module of `python -m` can change where it searches.
BEFORE_ANY_MODULE = ("types", "ganlab")
GANLAB = str(Path(sys.executable).with_name("ganlab"))
SMALL = ["--set", "train.steps=4", "--set", "evaluation.samples=100", "--set", "data.samples=400", "--quiet"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder full of files with names of modules. Each leaves a mark when it is run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(
            f"open({str(tmp_path / 'marks')!r}, 'a').write('{name}\\n')\nraise ImportError('the wrong file')\n"
        )
    return tmp_path


def marks(folder: Path) -> str:
    """The names of the files that were run."""
    file = folder / "marks"
    return file.read_text() if file.exists() else ""


def test_a_python_child_and_its_own_children_run_no_file_of_the_folder(here: Path) -> None:
    code = "import json, random, subprocess, sys, types; assert not subprocess.call([sys.executable, '-c', 'import json, random, types'])"
    assert subprocess.call(python_command("-c", code), env=python_environment()) == 0
    assert marks(here) == ""


def test_only_one_module_knows_how_python_is_started() -> None:
    starting = {path for path, text in modules() if re.search(r"sys\.executable|multiprocessing|ProcessPool|runpy", text)}
    assert starting == {"ganlab/child_process.py"}


def test_an_empty_entry_of_the_python_path_is_no_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f":/mine:{os.pathsep}.")
    assert python_environment()["PYTHONPATH"] == "/mine:."
    monkeypatch.setattr(sys, "path", [str(here), "/mine", str(here)])  # the last one is an installed distribution
    leave_out_current_folder()
    assert sys.path == ["/mine", str(here)]
    monkeypatch.setenv("PYTHONPATH", "/mine")
    leave_out_current_folder()
    assert sys.path == ["/mine", str(here)]


def test_python_m_ganlab_runs_no_file_of_the_folder(here: Path) -> None:
    for name in BEFORE_ANY_MODULE:
        (here / f"{name}.py").unlink()
    done = subprocess.run([sys.executable, "-m", "ganlab", "runs"], capture_output=True, text=True, check=False)
    assert (done.returncode, marks(here)) == (2, ""), done.stderr
    assert done.stderr.startswith("error: there are no runs in runs\n")


def test_a_store_is_found_from_another_folder(here: Path) -> None:
    assert in_any_folder("sqlite:///mine.db?timeout=9") == f"sqlite:///{here}/mine.db?timeout=9"
    assert in_any_folder("sqlite+pysqlite:////there/mine.db") == "sqlite+pysqlite:////there/mine.db"
    assert in_any_folder("postgresql://host/mine") == "postgresql://host/mine"


def ganlab(*words: str) -> str:
    done = subprocess.run([GANLAB, *words], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_no_command_runs_a_file_of_the_folder(here: Path) -> None:
    ganlab("run", "ring", *SMALL)
    (run,) = Path("runs").iterdir()
    wait_for_delivery(run)
    ganlab("run", "ring", *SMALL, "--seeds", "1", "--name", "one", "--set", "tracking.enabled=false")
    assert len(list(Path("runs").glob("*-ring-*"))) == 2
    for command in ("evaluate", "export", "sync"):
        ganlab(command, run.name)
    assert marks(here) == ""


def wait_for_delivery(run: Path) -> None:
    """Wait until the mirror, which imports MLflow, has sent everything."""
    end = time.monotonic() + 100
    while not ((file := run / "mlflow.json").exists() and json.loads(file.read_text())["complete"]):
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.slow
def test_the_server_of_ganlab_ui_answers(here: Path, empty_store: Path) -> None:
    (here / "mlflow.db").write_bytes(empty_store.read_bytes())
    command = [GANLAB, "ui", "--port", "5600", "--tracking-uri", "sqlite:///mlflow.db"]
    listen = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731 - where the tests ignore it
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=listen) as process:
        try:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(2)]
            link = next(line for line in [*said, process.stdout.readline()] if "http://" in line)
            with urllib.request.urlopen(re.sub(r".*(http://[^/]+).*", r"\1", link).strip()) as page:
                assert b"<title>MLflow</title>" in page.read()
            import psutil

            servers = psutil.Process(process.pid).children(recursive=True)
        finally:
            process.send_signal(signal.SIGINT)
    assert servers and all(map(ended, servers))
    assert marks(here) == ""
