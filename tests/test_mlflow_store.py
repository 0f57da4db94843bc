"""The mirror against real stores: what arrives in MLflow, and that interruptions, outages and repeats change none of it."""

from __future__ import annotations

import json
import math
import shutil
import threading
from pathlib import Path
from typing import Any, NoReturn

import pytest
from mlflow_support import RUN, FakeRun, SilentServer, closed_port

from ganlab_mlflow import session
from ganlab_mlflow.mirror import Mirror
from ganlab_mlflow.place import Settings

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow and what it imports; the mirror silences them in its own process


class Place:
    """A run, a store for it, and what MLflow knows of it."""

    def __init__(self, folder: Path, empty_store: Path) -> None:
        shutil.copyfile(empty_store, folder / "mlflow.db")
        self.folder, self.uri = folder, f"sqlite:///{folder / 'mlflow.db'}"
        self.run = FakeRun(folder / "runs")

    def mirror(self, **options: Any) -> Mirror:
        return Mirror(Settings(str(self.run.path), options.pop("uri", self.uri), "ganlab", **options))

    def carry_out(self, **options: Any) -> bool:
        """What a mirror does of a run that is over when it starts."""
        over = threading.Event()
        over.set()
        return self.mirror(**options).follow(over)

    @property
    def client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.uri)

    def recorded(self) -> Any:
        """The one run that MLflow has."""
        experiment = self.client.get_experiment_by_name("ganlab")
        (run,) = self.client.search_runs([experiment.experiment_id])
        return run

    def history(self, key: str) -> list[tuple[int, float]]:
        return [(m.step, m.value) for m in self.client.get_metric_history(self.recorded().info.run_id, key)]

    def artifacts(self, folder: str | None = None) -> list[str]:
        return [file.path for file in self.client.list_artifacts(self.recorded().info.run_id, folder) if not file.is_dir]


@pytest.fixture
def place(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    return Place(tmp_path, empty_store)


def test_a_finished_run_arrives_whole(place: Place) -> None:
    place.run.log(1, loss__generator=0.7, loss__discriminator=1.4)
    place.run.log(2, loss__generator=None, loss__discriminator=1.3)
    place.run.log(1, "system.jsonl", system__cpu_percent=93.5)
    (place.run.path / "losses.png").write_bytes(b"a plot")
    place.run.end("finished")
    assert place.carry_out()
    found = place.recorded()
    assert (found.info.run_name, found.info.status) == ("ring-1a2b seed 7", "FINISHED")
    assert (found.info.start_time, found.info.end_time) == (1_790_000_001_000, 1_790_000_100_000)
    assert found.data.params["tricks.clamp.margin"] == "0.001"
    assert found.data.params["tracking.uri"] == "https://***@host"
    assert found.data.tags["ganlab.run"] == RUN
    assert found.data.tags["mlflow.source.git.commit"] == "abc123"
    assert found.data.tags["mlflow.note.content"] == "a ring"
    assert place.history("loss/discriminator") == [(1, 1.4), (2, 1.3)]
    assert place.history("system/cpu_percent") == [(1, 93.5)]
    (first, second) = place.client.get_metric_history(found.info.run_id, "loss/generator")
    assert (first.value, first.timestamp) == (0.7, 1_790_000_002_000)
    assert math.isnan(second.value)
    (data,) = found.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest, data.dataset.profile) == ("ring", "85dfbefe0f136cb0", '{"samples": 100000}')
    assert place.artifacts() == ["generator.safetensors", "losses.png", "recipe.toml", "run.json"]
    assert place.artifacts("checkpoints") == ["checkpoints/step_000000002.safetensors"]
    assert place.run.state.complete
    assert found.info.artifact_uri.startswith((place.folder / "mlartifacts" / "ganlab").as_uri())


@pytest.mark.parametrize(("status", "shown"), [("interrupted", "KILLED"), ("failed", "FAILED"), ("running", "KILLED")])
def test_the_final_status_is_true(place: Place, status: str, shown: str) -> None:
    place.run.end(status)  # "running": killed before it could say more
    assert place.carry_out()
    assert place.recorded().info.status == shown


def test_sheets_are_steps_of_one_image(place: Place) -> None:
    from ganlab_mlflow.tracker import MlflowTracker

    for step in (0, 500):
        MlflowTracker().on_images(place.run, step, "samples", place.run.sheet(step))
    assert place.mirror().attempt()
    files = [file.split("+")[:5] for file in place.artifacts("images") if file.endswith(".png")]
    times = [str(int(json.loads(line)["time"] * 1000)) for line in (place.run.path / "artifacts.jsonl").read_text().splitlines()]
    assert files == [["images/samples", "step", step, "timestamp", time] for step, time in zip(("0", "500"), times, strict=True)]
    assert place.recorded().data.tags["mlflow.loggedImages"] == "True"


def test_options_switch_sheets_and_checkpoints(place: Place) -> None:
    from ganlab_mlflow.tracker import MlflowTracker

    MlflowTracker().on_images(place.run, 1, "samples", place.run.sheet(1))
    place.run.end("finished")
    assert place.carry_out(images=False, checkpoints="none")
    assert place.artifacts("images") == []
    assert place.artifacts("checkpoints") == []
    assert place.artifacts() == ["recipe.toml", "run.json"]


def test_every_checkpoint_is_sent_as_it_is_made_if_asked_for(place: Place) -> None:
    from ganlab_mlflow.tracker import MlflowTracker

    tracker = MlflowTracker(checkpoints="every")
    for step in (1, 2):
        path = place.run.path / "checkpoints" / f"step_{step:09d}.safetensors"
        path.write_bytes(b"weights")
        tracker.after_checkpoint(place.run, step, path)
    (place.run.path / "checkpoints" / "step_000000001.safetensors").unlink()  # pruned before the mirror came to it
    assert place.mirror(checkpoints="every").attempt()
    assert place.artifacts("checkpoints") == ["checkpoints/step_000000002.safetensors"]


def test_a_file_that_is_removed_while_it_is_being_sent_is_no_trouble(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    # Somebody resumes a run that was killed, whose mirror is still at it: what came after the last checkpoint goes.
    from ganlab_mlflow import session as session_module
    from ganlab_mlflow.tracker import MlflowTracker

    tracker, inside, gone = MlflowTracker(checkpoints="every"), session_module.inside, []
    checkpoint = place.run.path / "checkpoints" / "step_000000001.safetensors"
    checkpoint.write_bytes(b"weights")
    tracker.after_checkpoint(place.run, 1, checkpoint)
    for step in (1, 2):
        tracker.on_images(place.run, step, "samples", place.run.sheet(step))
    place.run.end("interrupted")

    def and_then_it_goes(run: Path, name: str) -> Path | None:
        path = inside(run, name)
        if path is not None and (name.startswith("checkpoints/") or name == "samples/step_000000001.png"):
            path.unlink()
            gone.append(name)
        return path

    monkeypatch.setattr(session_module, "inside", and_then_it_goes)
    assert place.mirror(checkpoints="every").attempt()
    assert place.carry_out(checkpoints="last")
    assert gone == ["checkpoints/step_000000001.safetensors", "samples/step_000000001.png", "checkpoints/step_000000002.safetensors"]
    assert (place.run.state.problem, place.run.state.complete) == ("", True)
    assert place.artifacts("checkpoints") == []
    pictures = [file.split("+") for file in place.artifacts("images") if file.endswith(".png")]
    assert {picture[0]: picture[2] for picture in pictures} == {"images/samples": "2", "images/final~samples": "0"}


@pytest.mark.parametrize("kind", ["image", "checkpoint"])
def test_a_file_that_cannot_be_sent_is_sent_the_next_time(kind: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    from ganlab_mlflow.tracker import MlflowTracker

    tracker, checkpoint = MlflowTracker(checkpoints="every"), place.run.path / "checkpoints" / "step_000000001.safetensors"
    checkpoint.write_bytes(b"weights")
    mirror = place.mirror(checkpoints="every")
    assert mirror.attempt()
    if kind == "image":
        tracker.on_images(place.run, 1, "samples", place.run.sheet(1))
    else:
        tracker.after_checkpoint(place.run, 1, checkpoint)

    def fails(*given: Any, **more: Any) -> None:
        raise ConnectionError("the line is dead")

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "log_image" if kind == "image" else "log_artifact", fails)
        assert not mirror.attempt()
        assert "the line is dead" in place.run.state.problem
    assert place.artifacts("images") == place.artifacts("checkpoints") == []
    assert mirror.attempt()
    assert place.run.state.problem == ""
    assert place.artifacts("images") if kind == "image" else place.artifacts("checkpoints")


def test_a_resumed_run_goes_on_in_the_same_place(place: Place) -> None:
    for step in (1, 2, 3):
        place.run.log(step, loss=float(step))
    place.run.end("interrupted")
    assert place.carry_out()
    place.run.info["status"] = "running"
    place.run.save_info()
    place.run.cut_back(2)
    mirror = place.mirror()
    assert mirror.attempt()
    assert place.recorded().info.status == "RUNNING"
    assert not place.run.state.complete
    place.run.log(3, loss=3.0)
    place.run.log(4, loss=4.0)
    place.run.end("finished")
    assert mirror.attempt(last=True)
    assert place.recorded().info.status == "FINISHED"
    assert place.history("loss") == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]


def test_sending_twice_changes_nothing(place: Place) -> None:
    from ganlab_mlflow.tracker import MlflowTracker

    place.run.log(1, loss=1.0)
    MlflowTracker().on_images(place.run, 1, "kinds/of samples", place.run.sheet(1))
    place.run.end("finished")
    assert place.carry_out()
    (place.run.path / "mlflow.json").unlink()  # the mirror's memory is lost: MLflow is asked for the run
    place.run.log(2, loss=2.0)
    MlflowTracker().on_images(place.run, 2, "kinds/of samples", place.run.sheet(2))
    assert place.carry_out()
    assert place.history("loss") == [(1, 1.0), (2, 2.0)]
    sheets = [file.split("+")[:3] for file in place.artifacts("images") if file.endswith(".png")]
    assert sheets == [["images/kinds~of samples", "step", "1"], ["images/kinds~of samples", "step", "2"]]


def pictures_of(place: Place) -> list[tuple[str, str]]:
    """Key and ending of each file of a picture in MLflow."""
    files = [file.removeprefix("images/").split("+") for file in place.artifacts("images")]
    return sorted((f"{parts[0]} {parts[2]}", Path(parts[-1]).suffix) for parts in files)


@pytest.mark.parametrize("upload", range(1, 7))
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ConnectionError], ids=["killed", "answer lost"])
def test_a_picture_is_there_once_and_whole_whatever_upload_was_cut_off(
    error: type[BaseException], when: str, upload: int, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sheets, and the last of them once more: MLflow uploads two files for each."""
    from mlflow import MlflowClient

    from ganlab_mlflow.tracker import MlflowTracker

    for step in (1, 2):
        MlflowTracker().on_images(place.run, step, "samples", place.run.sheet(step, shade=10 * step))
    place.run.end("finished")
    log_artifact, calls = MlflowClient.log_artifact, [0]

    def cut_off(self: Any, run_id: str, local_path: str, artifact_path: str | None = None) -> None:
        calls[0] += artifact_path == "images"
        due = artifact_path == "images" and calls[0] == upload
        if not due or when == "after":
            log_artifact(self, run_id, local_path, artifact_path)
        if due:
            raise error("cut off")

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "log_artifact", cut_off)
        if error is KeyboardInterrupt:
            with pytest.raises(KeyboardInterrupt):
                place.carry_out()
        else:
            assert not place.carry_out()
    assert place.carry_out()
    assert pictures_of(place) == [(name, ending) for name in ("final~samples 0", "samples 1", "samples 2") for ending in (".png", ".webp")]


def test_a_sheet_that_a_resumed_run_makes_again_is_there_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganlab_mlflow.tracker import MlflowTracker

    tracker = MlflowTracker()
    for clock in (1_790_000_010.0, 1_790_000_999.0, 1_700_000_000.0):
        monkeypatch.setattr("ganlab_mlflow.tracker.time.time", lambda clock=clock: clock)
        tracker.on_images(place.run, 5, "samples", place.run.sheet(5))
        place.run.end("finished")
        assert place.carry_out()
    (place.run.path / "mlflow.json").unlink()
    assert place.carry_out()
    assert pictures_of(place) == [(name, ending) for name in ("final~samples 0", "samples 5") for ending in (".png", ".webp")]


@pytest.mark.parametrize("back", [0.0, 3600.0, 1e8])
def test_nothing_is_lost_where_the_clock_is_set_back(back: float, place: Place) -> None:
    """A run is killed after step 60, and resumed from step 40 by a node whose clock is behind."""

    def log(step: int, time: float) -> None:
        for file, metrics in (("metrics.jsonl", {"loss": step / 3}), ("system.jsonl", {"speed": time})):
            with open(place.run.path / file, "a", encoding="utf-8") as lines:
                lines.write(json.dumps({"step": step, "time": time, "metrics": metrics}) + "\n")

    for step in range(1, 61):
        log(step, 1_790_000_000.0 + step)
    assert place.mirror().attempt()
    for file in ("metrics.jsonl", "system.jsonl"):
        path = place.run.path / file
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:40]))
    for step in range(41, 101):
        log(step, 1_790_000_100.0 + step - back)
    place.run.end("finished")
    assert place.carry_out()
    assert sorted(place.history("loss")) == [(step, step / 3) for step in range(1, 101)]
    speeds = sorted(place.history("speed"))
    first, second = [(step, 1_790_000_000.0 + step) for step in range(1, 61)], [(s, 1_790_000_100.0 + s - back) for s in range(41, 101)]
    assert speeds == sorted([*first, *second])  # both times of the steps that were trained twice


@pytest.mark.parametrize("error", [KeyboardInterrupt, ConnectionError], ids=["killed", "answer lost"])
@pytest.mark.parametrize("batch", [1, 2])
def test_points_that_a_run_makes_again_are_there_once_whatever_batch_was_cut_off(
    batch: int, error: type[BaseException], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow has the points of steps that ``mlflow.json`` does not list yet. The resumed run makes them again, at another time."""
    from mlflow import MlflowClient

    for step in range(1, 5):
        place.run.log(step, loss=step / 3)
    assert place.mirror().attempt()
    for step in range(5, 11):
        place.run.log(step, loss=step / 3)
    log_batch, calls = MlflowClient.log_batch, [0]

    def cut_off(self: Any, run_id: str, **content: Any) -> None:
        log_batch(self, run_id, **content)
        calls[0] += "metrics" in content
        if calls[0] == batch:
            raise error("cut off")

    with monkeypatch.context() as patched:
        patched.setattr(session, "AT_ONCE", 3)
        patched.setattr(MlflowClient, "log_batch", cut_off)
        if error is KeyboardInterrupt:
            with pytest.raises(KeyboardInterrupt):
                place.mirror().attempt()
        else:
            assert not place.mirror().attempt()
    place.run.cut_back(4)
    with open(place.run.path / "metrics.jsonl", "a", encoding="utf-8") as file:
        for step in range(5, 13):
            file.write(json.dumps({"step": step, "time": 1_790_000_500.0 + step, "metrics": {"loss": step / 3}}) + "\n")
    with monkeypatch.context() as patched:  # killed again while it looks for what is there already
        patched.setattr(session, "AT_ONCE", 1)
        patched.setattr(MlflowClient, "log_batch", lambda *given, **content: log_batch(*given, **content) or killed())
        with pytest.raises(KeyboardInterrupt):
            place.mirror().attempt()
    place.run.end("finished")
    assert place.carry_out()
    assert place.history("loss") == [(step, step / 3) for step in range(1, 13)]
    assert place.run.state.doubtful == []


def killed() -> NoReturn:
    raise KeyboardInterrupt


def test_steps_that_are_there_already_are_looked_up_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed run repeats its last steps with the same numbers."""
    for step in range(1, 7):
        place.run.log(step, loss=step / 3)
    mirror = place.mirror()
    assert mirror.attempt()
    place.run.cut_back(4)
    lookups: list[str] = []
    history = session._history
    monkeypatch.setattr(session, "_history", lambda client, run_id: lookups.append(run_id) or history(client, run_id))
    for _ in range(3):
        assert mirror.attempt()
    assert len(lookups) == 1


@pytest.mark.parametrize("path", ["\0", "\ud800", "x" * 5000, "run.json", "samples/cut.png", "samples/empty.png", "samples"])
def test_a_picture_that_cannot_be_read_keeps_nothing_else_back(path: str, place: Place) -> None:
    from ganlab_mlflow.tracker import MlflowTracker

    (place.run.path / "samples" / "cut.png").write_bytes(place.run.sheet(1).read_bytes()[:40])
    (place.run.path / "samples" / "empty.png").touch()
    with open(place.run.path / "artifacts.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({"step": 1, "time": 1.0, "kind": "image", "name": "samples", "path": path}) + "\n")
    MlflowTracker().on_images(place.run, 2, "x" * 1000, place.run.sheet(2))
    place.run.end("finished")
    assert place.carry_out()
    assert [name.strip("x") for name, _ in pictures_of(place)] == [" 2", " 2"]


def test_a_run_whose_state_is_lost_is_continued_with_another_recipe(place: Place) -> None:
    place.run.log(1, loss=1.0)
    place.run.end("finished")
    assert place.carry_out()
    (place.run.path / "mlflow.json").write_text('{"positions": [1], "complete": "yes"}')
    recipe = place.run.path / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("margin = 0.001", "margin = 0.002\nnew = 3"))
    place.run.log(2, loss=2.0)
    assert place.carry_out(), place.run.state.problem
    assert place.history("loss") == [(1, 1.0), (2, 2.0)]
    params = place.recorded().data.params
    assert (params["tricks.clamp.margin"], params["tricks.clamp.new"]) == ("0.001", "3")


def test_half_of_a_picture_of_version_0_1_is_completed(place: Place) -> None:
    from PIL import Image

    from ganlab_mlflow.tracker import MlflowTracker

    assert place.mirror().attempt()
    sheet = place.run.sheet(1)
    MlflowTracker().on_images(place.run, 1, "kinds/one", sheet)
    time = int(json.loads((place.run.path / "artifacts.jsonl").read_text())["time"] * 1000)
    run_id = place.recorded().info.run_id
    place.client.log_image(run_id, Image.open(sheet), key="kinds/one", step=1, timestamp=time, synchronous=True)
    next((place.folder / "mlartifacts" / "ganlab" / run_id / "artifacts" / "images").glob("*.webp")).unlink()
    assert place.mirror().attempt()
    assert pictures_of(place) == [("kinds~one 1", ".png"), ("kinds~one 1", ".webp")]


def test_nobody_finds_half_of_a_store(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables of a new store are created aside: the mirror may be killed meanwhile, and `ganlab ui` may look."""
    from mlflow import MlflowClient

    store = place.folder / "mlflow.db"
    store.unlink()

    def killed(*given: Any, **more: Any) -> None:
        assert not store.exists()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "search_experiments", killed)
        with pytest.raises(KeyboardInterrupt):
            place.mirror().attempt()
    assert not store.exists()
    place.run.log(1, loss=1.0)
    assert place.mirror().attempt()
    assert place.history("loss") == [(1, 1.0)]
    assert not [path for path in place.folder.iterdir() if path.name.startswith(".mlflow.db")]


def test_a_copy_is_another_run_which_says_what_it_was_copied_from(place: Place) -> None:
    place.run.info["uid"] = "first"
    place.run.log(1, loss=1.0)
    place.run.end("finished")
    assert place.carry_out()
    copy = place.run.path.with_name("B")
    shutil.copytree(place.run.path, copy)
    place.run.path = copy
    place.run.info |= {"uid": "second", "copied_from": {"id": RUN, "uid": "first"}}
    place.run.log(2, loss=2.0)
    place.run.save_info()
    assert place.carry_out()
    experiment = place.client.get_experiment_by_name("ganlab").experiment_id
    runs = {run.data.tags["ganlab.uid"]: run for run in place.client.search_runs([experiment])}
    assert {uid: run.data.tags.get("ganlab.copied_from") for uid, run in runs.items()} == {"first": None, "second": RUN}
    steps = {uid: len(place.client.get_metric_history(run.info.run_id, "loss")) for uid, run in runs.items()}
    assert steps == {"first": 1, "second": 2}


def test_a_run_can_be_sent_to_two_places_in_turns(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copyfile(place.folder / "mlflow.db", other / "mlflow.db")
    place.run.log(1, loss=1.0)
    assert place.mirror().attempt()
    place.run.log(2, loss=2.0)
    assert place.mirror(uri=f"sqlite:///{other / 'mlflow.db'}").attempt()
    assert place.history("loss") == [(1, 1.0)]
    assert place.mirror().attempt()
    assert place.history("loss") == [(1, 1.0), (2, 2.0)]


def test_a_run_that_was_deleted_in_mlflow_is_made_anew(place: Place) -> None:
    place.run.log(1, loss=1.0)
    assert place.mirror().attempt()
    first = place.recorded().info.run_id
    place.client.delete_run(first)
    assert place.mirror().attempt()
    assert place.recorded().info.run_id != first
    assert place.history("loss") == [(1, 1.0)]


def test_runs_beside_each_other_have_different_colours(place: Place) -> None:
    for number in range(10):
        place.run = FakeRun(place.folder / "runs", f"20260102-030405-ring-{number:04d}")
        assert place.mirror().attempt()
    experiment = place.client.get_experiment_by_name("ganlab").experiment_id
    assert len({run.data.tags["mlflow.runColor"] for run in place.client.search_runs([experiment])}) == 10


def test_thousands_of_lines_are_sent_in_bundles(place: Place) -> None:
    for step in range(1, 801):
        place.run.log(step, a=1.0, b=2.0, c=float(step))
    mirror = place.mirror()
    assert mirror.attempt()
    sizes: list[int] = []
    assert mirror.session is not None
    log_batch = mirror.session.client.log_batch
    mirror.session.client.log_batch = lambda *args, **kw: (sizes.append(len(kw["metrics"])), log_batch(*args, **kw))
    mirror.state.positions.clear()
    assert mirror.attempt()
    assert sizes == [999, 999, 402]
    assert place.history("c") == [(step, float(step)) for step in range(1, 801)]


def test_what_was_missed_in_an_outage_is_sent_later(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = place.mirror()
    place.run.log(1, loss=1.0)
    assert mirror.attempt()
    assert mirror.session is not None
    monkeypatch.setattr(mirror.session.client, "log_batch", lambda *args, **kw: (_ for _ in ()).throw(OSError("Connection refused")))
    place.run.log(2, loss=2.0)
    assert not mirror.attempt()
    assert place.run.state.problem == "nothing listens there (connection refused)"
    place.run.log(3, loss=3.0)
    assert mirror.attempt()  # a new session: the tracker is back
    assert place.run.state.problem == ""
    assert place.history("loss") == [(1, 1.0), (2, 2.0), (3, 3.0)]


def test_a_server_that_is_down_or_silent_is_a_problem_and_no_exception(place: Place) -> None:
    mirror = place.mirror(uri=closed_port())
    assert not mirror.attempt()
    assert place.run.state.problem == "nothing listens there (connection refused)"
    with SilentServer() as uri:
        assert not place.mirror(uri=uri).attempt()
    assert place.run.state.problem == "it does not answer in time"
    assert place.run.state.uri == uri
    assert place.mirror().attempt()  # and elsewhere it arrives
    assert place.run.state.problem == ""


def test_a_store_that_cannot_be_read_is_a_problem_and_no_exception(place: Place, tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_text("this is no database" * 100, encoding="utf-8")
    assert not place.mirror(uri=f"sqlite:///{tmp_path / 'broken.db'}").attempt()
    assert "file is not a database" in place.run.state.problem


def test_a_folder_that_was_removed_ends_nothing_but_the_delivery(place: Place) -> None:
    mirror = place.mirror()
    assert mirror.attempt()
    shutil.rmtree(place.run.path)
    assert not mirror.attempt(last=True)


def test_no_name_leads_out_of_the_run_folder(tmp_path: Path) -> None:
    from ganlab_mlflow.session import inside

    run = tmp_path / "run"
    run.mkdir()
    (run / "own.png").write_bytes(b"")
    (tmp_path / "secret").write_text("of somebody else")
    (run / "link.png").symlink_to(tmp_path / "secret")
    assert inside(run, "own.png") == (run / "own.png").resolve()
    assert [inside(run, name) for name in ("../secret", str(tmp_path / "secret"), "link.png", "none.png")] == [None] * 4
