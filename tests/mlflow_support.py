"""What the tests of the tracker share: a run's folder without a run, an empty store, and mirror processes that start at once."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import traceback
import warnings
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ganlab.pictures import save_png
from ganlab.records import trust
from ganlab.records.folder import RunFolder
from ganlab_mlflow.place import Settings
from ganlab_mlflow.process import main
from ganlab_mlflow.state import State

RUN = "20260102-030405-ring-1a2b"
RECIPE = """
defaults = false
description = "a ring"
[data]
use = "ring"
[generator]
use = "mlp"
hidden = [8, 8]
[[tricks]]
use = "clamp"
margin = 0.001
[tracking]
use = "mlflow"
uri = "https://me:secret@host"
"""
INFO: dict[str, Any] = {
    "id": RUN,
    "recipe": "ring",
    "status": "running",
    "ganlab": "0.1.0",
    "git": {"commit": "abc123", "dirty": True},
    "user": "ada",
    "command": ["/somewhere/bin/ganlab", "run", "ring"],
    "device": "cpu",
    "device_name": "AMD EPYC",
    "seed": 7,
    "data": {"use": "ring", "size": 100_000, "fingerprint": "85dfbefe0f136cb0", "fallback_from": None},
    "created": 1_790_000_000.0,
    "started": 1_790_000_001.0,
    "announcements": [],
}


class FakeRun:
    """The folder of a run, and of the run itself what a tracker uses."""

    def __init__(self, runs: Path, name: str = RUN) -> None:
        self.path = runs / name
        (self.path / "samples").mkdir(parents=True)
        (self.path / "checkpoints").mkdir()
        self.info: dict[str, Any] = {**INFO, "announcements": []}
        self.saved = 0
        self.resumed_from: int | None = None
        (self.path / "recipe.toml").write_text(RECIPE, encoding="utf-8")
        self.save_info()

    def save_info(self) -> None:
        self.saved += 1
        (self.path / "run.json").write_text(json.dumps(self.info), encoding="utf-8")

    def announce(self, text: str) -> None:
        self.info["announcements"].append(text)

    def log(self, step: int, file: str = "metrics.jsonl", **metrics: float | None) -> None:
        """Append a line of metrics; ``loss__generator`` stands for loss/generator."""
        named = {name.replace("__", "/"): value for name, value in metrics.items()}
        with open(self.path / file, "a", encoding="utf-8") as lines:
            lines.write(json.dumps({"step": step, "time": 1_790_000_001.0 + step, "metrics": named}) + "\n")

    def cut_back(self, step: int) -> None:
        """Drop the metrics after ``step``, as a run does that goes back to a checkpoint."""
        file = self.path / "metrics.jsonl"
        kept = [line for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if json.loads(line)["step"] <= step]
        aside = file.with_suffix(".part")
        aside.write_text("".join(kept), encoding="utf-8")
        aside.replace(file)

    def sheet(self, step: int, shade: int = 128) -> Path:
        """A sample sheet, on the disk."""
        path = self.path / "samples" / f"step_{step:09d}.png"
        save_png(np.full((6, 8, 3), shade, np.uint8), path)
        return path

    def end(self, status: str) -> None:
        """As the engine leaves the folder: files, and the status in run.json."""
        self.info |= {"status": status, "ended": 1_790_000_100.0, "last_checkpoint": "checkpoints/step_000000002.safetensors"}
        (self.path / "checkpoints" / "step_000000002.safetensors").write_bytes(b"weights of both")
        (self.path / "generator.safetensors").write_bytes(b"weights")
        self.save_info()

    def sign(self) -> None:
        """As a run that this account has made."""
        self.info["signature"] = trust.sign(RunFolder(self.path), [])
        self.save_info()

    def state_is(self, **known: str) -> None:
        """What the mirror of an earlier process has left in mlflow.json."""
        State(**known).save(self.path)  # type: ignore[arg-type]

    @property
    def state(self) -> State:
        return State.load(self.path)


class SilentServer:
    """A server that accepts and says nothing."""

    def __enter__(self) -> str:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.accepted: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def __exit__(self, *error: object) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for connection in self.accepted:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                self.accepted.append(self.socket.accept()[0])
            except OSError:
                return


def closed_port() -> str:
    """The address of a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def create_store(folder: Path) -> Path:
    """An sqlite store of MLflow without runs. From here on, no store of this process or of its forks waits for the disk."""
    file = folder / "mlflow.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow and what it imports
        import sqlalchemy
        from mlflow import MlflowClient

        def do_not_wait(connection: Any, record: object) -> None:
            with contextlib.suppress(sqlite3.DatabaseError):  # a damaged file is for the test to find
                connection.execute("PRAGMA synchronous = OFF")

        sqlalchemy.event.listen(sqlalchemy.Engine, "connect", do_not_wait)
        MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


def fork_mirror(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """``subprocess.Popen`` for the mirror process. The child does not execute ``command``: it goes on as the mirror itself."""
    return subprocess.Popen(command, preexec_fn=_be_the_mirror, **options)


def _be_the_mirror() -> NoReturn:
    code = 70
    try:
        os.closerange(3, 4096)  # Popen returns once its pipe to the child is closed; nobody else's pipes may stay open
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        settings = json.loads(sys.stdin.readline())
        del settings["path"]
        code = main(Settings(**settings))
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)
