"""The trick ``mlflow``: starts the mirror process, lists pictures and checkpoints for it, and announces its problems."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from filelock import Timeout
from pydantic import Field

from ganlab.errors import GanlabError, cannot_be_written
from ganlab.hookspecs import hookimpl
from ganlab_mlflow.helper import Helper
from ganlab_mlflow.place import Settings, redacted, tracking_uri
from ganlab_mlflow.process import the_only_one
from ganlab_mlflow.state import ARTIFACTS, State

if TYPE_CHECKING:
    from ganlab import Run

# Seconds. MLflow computes for two seconds before it can do anything. They delay a training that uses every core by as much. A shorter
# run pays for them after its end; in a longer one they are less than two percent.
HEAD_START = 120.0
ALL_DAY = 86400.0  # seconds that `ganlab sync` may take for a run
PATIENCE = 10.0  # seconds that `ganlab sync` waits for another process that sends the same run


@dataclass
class MlflowTracker:
    """Record the run in MLflow: parameters, metrics, sheets, data set, tags, and at the end checkpoint, generator and status.

    The run's folder is the source of truth. A child process follows it and sends what is new every two seconds. If MLflow
    cannot be used, one announcement says so, training continues, and what is missing is sent later.

    Options:
        uri: MLflow's tracking URI, such as ``"http://host:5000"``; empty takes ``MLFLOW_TRACKING_URI``, else the sqlite store
            ``mlflow.db`` beside the folder of all runs.
        experiment: name of the experiment; created if it does not exist.
        images: send the sample sheets, as steps of one image.
        checkpoints: which to send: ``"last"`` and the generator at the end of the run, ``"every"`` one when it is written, or ``"none"``.
        model: also log the generator as a model, which can be loaded, registered and served; not with ``checkpoints = "none"``.
    """

    uri: str = ""
    experiment: Annotated[str, Field(min_length=1, max_length=500)] = "ganlab"
    images: bool = True
    checkpoints: Literal["last", "every", "none"] = "last"
    model: bool = True

    next_commands: ClassVar[dict[str, str]] = {"to compare runs in MLflow": "ui"}

    helper: Helper | None = field(default=None, init=False, repr=False)
    announced: bool = field(default=False, init=False, repr=False)

    @hookimpl
    def before_run(self, run: Run) -> None:
        uri = tracking_uri(self.uri, run.path.parent)
        try:
            self.helper = Helper(self._settings(run.path, uri, head_start=HEAD_START))
        except OSError as error:
            self._announce(run, f"its process cannot be started ({error})")
        if (
            run.resumed_from is not None and self.checkpoints == "every"
        ):  # the run may have been killed after the checkpoint was written and before it was listed
            for path in (run.path / "checkpoints").glob(f"step_{run.resumed_from:09d}.safetensors"):
                self._list(run, run.resumed_from, "checkpoint", path.stem, path)

    @hookimpl
    def on_metrics(self, run: Run) -> None:
        self._look(run)

    @hookimpl
    def on_images(self, run: Run, step: int, name: str, path: Path) -> None:
        if self.images:
            self._list(run, step, "image", name, path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())

    @hookimpl
    def after_checkpoint(self, run: Run, step: int, path: Path) -> None:
        if self.checkpoints == "every":
            self._list(run, step, "checkpoint", path.stem, path)

    @hookimpl
    def deliver(self, run: Run) -> None:
        if self.helper is None:
            return
        helper, self.helper = self.helper, None
        failure = helper.finish()
        state = State.load(run.path)
        state.complete = state.complete and not failure and not helper.left
        run.info["mlflow"] = state.summary()
        run.save_info()
        if helper.left:
            run.announce(
                "A process still sends this run to MLflow, after the end of the training. If it is stopped, "
                f"`ganlab sync {run.path}` sends what is missing."
            )
        elif not state.complete:
            self._announce(run, failure or state.problem or "its process ended too early")

    @hookimpl
    def sync(self, path: Path, tell: Callable[[str], None]) -> None:
        uri = tracking_uri(self.uri, path.resolve().parent)
        try:
            with the_only_one(path, PATIENCE):
                pass
        except Timeout:
            raise GanlabError(f"another process is sending {path} to MLflow", "wait until it has ended") from None
        try:
            helper = Helper(self._settings(path, uri, after_the_end=ALL_DAY))
        except OSError as error:
            raise GanlabError(f"MLflow's process cannot be started: {error}") from error
        failure = helper.finish(math.inf)
        state = State.load(path)
        problem = failure or state.problem or ("" if state.complete else "its process ended too early")
        if problem:
            raise GanlabError(f"MLflow at {redacted(uri)} cannot be used: {problem}", "nothing is lost; try again when it answers")
        tell(f"{path} is in MLflow at {redacted(uri)}, experiment '{state.experiment}'")

    def _settings(self, path: Path, uri: str, **times: float) -> Settings:
        return Settings(str(path.resolve()), uri, self.experiment, self.images, self.checkpoints, model=self.model, **times)

    def _look(self, run: Run) -> None:
        """Read the mirror's state if it has changed. Two system calls if it has not."""
        if self.helper is None:
            return
        if self.helper.news():
            state = State.load(run.path)
            if state.run_id and run.info.get("mlflow") != state.summary():
                run.info["mlflow"] = state.summary()
                run.save_info()
            if state.problem:
                self._announce(run, state.problem)
        elif self.helper.death:
            self._announce(run, self.helper.death)

    def _list(self, run: Run, step: int, kind: str, name: str, path: Path, **more: str) -> None:
        """Add a file to the list that the mirror follows."""
        relative = path.relative_to(run.path).as_posix()
        line = {"step": step, "time": round(time.time(), 3), "kind": kind, "name": name, "path": relative, **more}
        try:
            with open(run.path / ARTIFACTS, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise cannot_be_written(run.path / ARTIFACTS, error) from error

    def _announce(self, run: Run, problem: str) -> None:
        """Announce a problem, once in a run: an unreliable tracker must not fill the screen."""
        if self.announced:
            return
        self.announced = True
        run.announce(
            f"MLflow at {redacted(tracking_uri(self.uri, run.path.parent))} cannot be used: {problem.rstrip('.')}. The run does not "
            f"need it: everything is in its folder, and is sent as soon as MLflow answers, by the next run here that can reach it, or by "
            f"`ganlab sync {run.path}`."
        )
