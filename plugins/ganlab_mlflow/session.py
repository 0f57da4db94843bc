"""One run in MLflow: creates it, and sends metrics, pictures, files and the status. Runs in the mirror's process."""

from __future__ import annotations

import contextlib
import json
import math
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Any

from ganlab_mlflow import describe, view
from ganlab_mlflow import model as model_module
from ganlab_mlflow.pictures import Pictures, unless_it_is_gone
from ganlab_mlflow.place import artifacts_of, opening, redacted, sqlite_file
from ganlab_mlflow.state import ARTIFACTS, METRICS, Position, State
from ganlab_mlflow.tail import milliseconds, new_lines, was_cut

if TYPE_CHECKING:
    from mlflow import MlflowClient

AT_ONCE = 1000  # metrics in one request: MLflow's limit
TEXTS = (".json", ".toml")  # sent as text, without the passwords in their URIs
FINAL = "final/"  # prefix of metrics that are measured at the end
STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}


class Session:
    """One run in MLflow. Every method raises what MLflow raises, and may be called again.

    Args:
        run: the run's folder.
        uri: of the tracker.
        experiment: its name; created if it does not exist.
        state: what has been delivered; updated and saved after each delivery.

    Raises:
        Exception: the tracker does not answer, or refuses; MLflow raises many types.
    """

    def __init__(self, run: Path, uri: str, experiment: str, state: State) -> None:
        from mlflow import MlflowClient

        self.run, self.state = run, state
        self.info, self.recipe = describe.read_info(run), describe.read_recipe(run)
        with opening(uri):
            _create_store(uri)
            self.client: MlflowClient = MlflowClient(tracking_uri=uri)
            state.experiment_id = _experiment(self.client, experiment, uri)
            view.make_views(self.client, state.experiment_id, time_ns() // 1_000_000)
        state.uri, state.experiment = redacted(uri), experiment
        known = self._known_run()
        if known is None:
            state.begun, state.positions, state.doubtful, state.complete = False, {}, [], False
            state.run_id = self._create_run()
        elif state.run_id != known:
            state.begun, state.positions, state.run_id = False, {}, known  # mlflow.json was lost; what is sent twice counts once
            state.doubtful = list(METRICS)
        state.save(run)
        self.pictures = Pictures(self.client, state.run_id, run)
        self._begin()

    def deliver(self, images: bool = True) -> None:
        """Send what is new: metrics in batches, then pictures and checkpoints one by one."""
        for name in METRICS:
            self._deliver_metrics(name)
        for line in new_lines(self.run / ARTIFACTS, self._position(ARTIFACTS)):
            self._deliver_file(line.content, images)
            self._delivered(ARTIFACTS, line.position)

    def finish(self, status: str, checkpoints: str, images: bool = True, model: bool = False) -> None:
        """Send the files that exist at the end, and the final status: ``"finished"``, ``"interrupted"`` or ``"failed"``.

        The other arguments are the options of these names.
        """
        client, run_id, info = self.client, self.state.run_id, describe.read_info(self.run)
        names = ["recipe.toml", "run.json", "losses.png", "evaluation.json"]
        if checkpoints != "none":
            names.append("generator.safetensors")
        if checkpoints == "last" and info.get("last_checkpoint"):
            names.append(str(info["last_checkpoint"]))
        for name in names:
            path = inside(self.run, name)
            if path is None:
                continue
            with unless_it_is_gone(path):
                if path.suffix in TEXTS:
                    client.log_text(run_id, redacted(path.read_text(encoding="utf-8")), name)
                else:
                    client.log_artifact(run_id, str(path), str(Path(name).parent) if Path(name).parent.name else None)
        if images:
            self._deliver_last_sheet()
        client.set_tag(run_id, "mlflow.note.content", describe.note(info, self.recipe))  # with what was announced meanwhile
        client.set_terminated(run_id, STATUS.get(status, "FAILED"), int((info.get("ended") or 0) * 1000) or None)
        self.state.complete, self.state.completed_by = True, os.getpid()
        self.state.model_missing = model and inside(self.run, model_module.FILE) is not None
        self.state.save(self.run)

    def log_model(self) -> None:
        """Log the generator as a model if that is still missing."""
        if not self.state.model_missing:
            return
        with contextlib.suppress(ValueError):  # the file is not a generator: trying again would not help
            generator = model_module.LoggedGenerator(self.run, describe.read_info(self.run), self.recipe)
            measured = [
                metric
                for line in new_lines(self.run / METRICS[0], Position())
                if line.content["step"] == generator.step
                for metric in _metrics(line.content)
                if metric.key.startswith(FINAL) and not math.isnan(metric.value)
            ]
            generator.log(self.client, self.state.experiment_id, self.state.run_id, measured)
        self.state.model_missing = False
        self.state.save(self.run)

    # -- the run in MLflow -------------------------------------------------------------------------------------------------

    def _known_run(self) -> str | None:
        """This run's id in MLflow, if it exists: that of the state, else by its tag."""
        from mlflow.exceptions import MlflowException

        uid = describe.uid(self.run, self.info)
        if self.state.run_id:
            with contextlib.suppress(MlflowException):
                known = self.client.get_run(self.state.run_id)
                if known.info.lifecycle_stage == "active" and known.data.tags.get("ganlab.uid") == uid:
                    return self.state.run_id
        runs = self.client.search_runs([self.state.experiment_id], f"tags.`ganlab.uid` = '{uid}'", max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def _create_run(self) -> str:
        from mlflow.tracking.context.registry import resolve_tags

        latest = self.client.search_runs([self.state.experiment_id], max_results=len(describe.COLOURS) - 1)
        colour = describe.colour(self.run.name, [str(run.data.tags.get("mlflow.runColor")) for run in latest])
        tags = resolve_tags() | describe.tags(self.run, self.info, self.recipe) | {"mlflow.runColor": colour}
        created = int((self.info.get("started") or self.info.get("created") or 0) * 1000) or None
        return str(self.client.create_run(self.state.experiment_id, created, tags, describe.run_name(self.run.name, self.info)).info.run_id)

    def _begin(self) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param

        run_id, client = self.state.run_id, self.client
        if not self.state.begun:
            there = client.get_run(run_id).data.params  # MLflow refuses another value, which a resumed run may have
            params = [Param(key, value) for key, value in describe.parameters(self.recipe).items() if key not in there]
            client.log_batch(run_id, params=params)
            data = self.info.get("data", {})
            if data:
                source = json.dumps({"tags": {"ganlab.data": data["use"]}})
                profile = json.dumps({"samples": data["size"]})
                dataset = Dataset(str(data["use"]), str(data["fingerprint"])[:36], "code", source, profile=profile)
                client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
            client.log_text(run_id, redacted((self.run / "recipe.toml").read_text(encoding="utf-8")), "recipe.toml")
            self.state.begun = True
        if self.info.get("status") == "running":
            client.update_run(run_id, "RUNNING")
            self.state.complete = False
        self.state.save(self.run)

    # -- what is new -------------------------------------------------------------------------------------------------------

    def _deliver_metrics(self, name: str) -> None:
        waiting: list[Any] = []
        position = self._position(name)
        # A killed run repeats its last steps when it is resumed: on the CPU with the same numbers, at another time. Of what depends on the
        # clock, a line that is there is the line that was sent.
        again = name in self.state.doubtful or was_cut(self.run / name, position)
        point = _point if name == METRICS[0] else _timed_point
        sent = {point(metric) for metric in _history(self.client, self.state.run_id)} if again else set()
        for line in new_lines(self.run / name, position):
            new = [metric for metric in _metrics(line.content) if point(metric) not in sent]
            if len(waiting) + len(new) > AT_ONCE and waiting:
                self._send(name, waiting, position)
                waiting = []
            waiting, position = waiting + new, line.position
        if position != self._position(name):
            self._send(name, waiting, position)
        if name in self.state.doubtful:
            self.state.doubtful.remove(name)
            self.state.save(self.run)

    def _send(self, name: str, metrics: list[Any], position: Position) -> None:
        if metrics:
            if name not in self.state.doubtful:
                self.state.doubtful.append(name)
                self.state.save(self.run)
            self.client.log_batch(self.state.run_id, metrics=metrics, synchronous=True)
        self._delivered(name, position)

    def _deliver_file(self, line: dict[str, Any], images: bool) -> None:
        path = inside(self.run, str(line["path"]))
        if path is None:
            return  # pruned, or removed when the run returned to a checkpoint
        if line["kind"] == "checkpoint":
            with unless_it_is_gone(path):
                self.client.log_artifact(self.state.run_id, str(path), "checkpoints")
        elif images:
            self.pictures.send(path, str(line["name"]), line["step"], line)

    def _deliver_last_sheet(self) -> None:
        """Send the last sheet once more, under a key and a step that all runs have: MLflow then shows them side by side."""
        lines = [line.content for line in new_lines(self.run / ARTIFACTS, Position())]
        sheets = [line for line in lines if line["kind"] == "image" and line["name"] == view.SHEETS and inside(self.run, line["path"])]
        if sheets:
            self.pictures.send(self.run / sheets[-1]["path"], view.LAST_SHEET, 0, sheets[-1])

    def _position(self, name: str) -> Position:
        return self.state.positions.get(name, Position())

    def _delivered(self, name: str, position: Position) -> None:
        self.state.positions[name] = position
        self.state.save(self.run)


def _create_store(uri: str) -> None:
    """Create an sqlite store that does not exist yet, aside: nobody finds half of its tables, not even if this process is killed."""
    from mlflow import MlflowClient

    store = sqlite_file(uri)
    if store is None or "?" in uri or store.exists():
        return
    for left in store.parent.glob(f".{store.name}.*.part"):
        left.unlink()
    aside = store.with_name(f".{store.name}.{uuid.uuid4().hex[:8]}.part")  # MLflow keeps connections to a name that it has opened
    MlflowClient(tracking_uri=f"sqlite:///{aside}").search_experiments(max_results=1)
    aside.replace(store)


def _experiment(client: MlflowClient, name: str, uri: str) -> str:
    """The id of the experiment called ``name``; it is created if it does not exist."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        # A local store gets an absolute location; a server has its own.
        store = sqlite_file(uri)
        location = None if store is None else (artifacts_of(store) / describe.key(name)).as_uri()
        try:
            kind = {"mlflow.experimentKind": "custom_model_development"}  # otherwise the UI asks, and shows pages for chat bots
            return str(client.create_experiment(name, artifact_location=location, tags=kind))
        except Exception:
            experiment = client.get_experiment_by_name(name)  # another run may have created it meanwhile
            if experiment is None:
                raise
    return str(experiment.experiment_id)


def _history(client: MlflowClient, run_id: str) -> Iterator[Any]:
    """All points of the run's metrics in MLflow."""
    for key in client.get_run(run_id).data.metrics:
        yield from client.get_metric_history(run_id, key)


def inside(run: Path, name: str) -> Path | None:
    """The file ``name`` of the run's folder; None if there is none, or if the name leads out of the folder, as in a stranger's run."""
    path = run / name
    if not os.path.isfile(path):  # False also for a name that no file can have, where Path.is_file() may raise
        return None
    path = path.resolve()
    return path if path.is_relative_to(run.resolve()) else None


def _metrics(line: dict[str, Any]) -> list[Any]:
    """The metrics of a line, with its time. A value that is not finite is null in the file, and NaN in MLflow: a gap in the chart.

    What was measured at the end is one number for each run. MLflow draws it as a bar if its step is 0, else as a point.
    """
    from mlflow.entities import Metric

    return [
        Metric(
            describe.key(name),
            float("nan") if value is None else float(value),
            milliseconds(line),
            0 if name.startswith(FINAL) else line["step"],
        )
        for name, value in line["metrics"].items()
    ]


def _point(metric: Any) -> tuple[str, int, str]:
    """The identity of a point of a chart. NaN is not equal to itself, but its text is."""
    return (metric.key, metric.step, repr(float(metric.value)))


def _timed_point(metric: Any) -> tuple[str, int, str, int]:
    """The identity of a point whose value depends on the clock."""
    return (*_point(metric), metric.timestamp)
