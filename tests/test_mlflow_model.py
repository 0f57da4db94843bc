"""The generator as a logged model: no pickle in it, the samples that ganlab makes, and once for each generator."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock
from mlflow_support import FakeRun

import ganlab
from ganlab_mlflow import model as model_module
from ganlab_mlflow.mirror import Mirror
from ganlab_mlflow.model import LoggedGenerator, read_header
from ganlab_mlflow.place import Settings
from ganlab_mlflow.process import left_behind

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow and what it imports
STEP = 3


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``generator.safetensors`` of a run."""
    runs = tmp_path_factory.mktemp("trained")
    overrides = {"train.steps": STEP, "tracking.enabled": False, "generator.hidden": [8]}
    return ganlab.run("ring", overrides, runs_dir=runs, display=False).path / "generator.safetensors"


class Place:
    """A run that is over, with a generator, and MLflow's store for it."""

    def __init__(self, folder: Path, generator: Path, empty_store: Path) -> None:
        shutil.copyfile(empty_store, folder / "mlflow.db")
        self.run = FakeRun(folder / "runs")
        self.run.log(STEP, final__modes=4.0, final__odd=None, loss__generator=0.5)
        self.run.end("finished")
        shutil.copyfile(generator, self.run.path / "generator.safetensors")
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"

    def send(self, **options: Any) -> bool:
        return Mirror(Settings(str(self.run.path), self.uri, "ganlab", **options)).attempt(last=True)

    @property
    def client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.uri)

    def models(self) -> list[Any]:
        return list(self.client.search_logged_models([self.run.state.experiment_id]))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, trained: Path, empty_store: Path) -> Place:
    """Sent once; what the tests below it add is named there."""
    place = Place(tmp_path_factory.mktemp("place"), trained, empty_store)
    assert place.send(), place.run.state.problem
    return place


@pytest.fixture
def loaded(place: Place, monkeypatch: pytest.MonkeyPatch) -> Any:
    import mlflow

    mlflow.set_tracking_uri(place.uri)
    yield mlflow.pyfunc.load_model(f"models:/{place.models()[0].model_id}")
    mlflow.set_tracking_uri(None)


def test_it_is_an_output_of_the_run_that_says_what_it_is(place: Place) -> None:
    (model,) = place.models()
    assert (model.name, str(model.status), model.model_type) == ("ring-1a2b", "READY", "generator")
    assert model.source_run_id == place.run.state.run_id
    assert [(metric.key, metric.value) for metric in model.metrics] == [("final/modes", 4.0)]
    assert (model.tags["ganlab.network"], model.tags["ganlab.seed"], model.tags["ganlab.range"]) == ("mlp", "7", "null")
    assert model.params["tricks.clamp.margin"] == "0.001"
    run = place.client.get_run(place.run.state.run_id)
    assert [(output.model_id, output.step) for output in run.outputs.model_outputs] == [(model.model_id, STEP)]
    assert [metric.step for metric in place.client.get_metric_history(run.info.run_id, "final/modes")] == [0]


def test_there_is_no_pickle_in_it(place: Place) -> None:
    import mlflow

    folder = Path(mlflow.artifacts.download_artifacts(place.models()[0].artifact_location))
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert files == [
        "MLmodel", "artifacts/generator.safetensors", "conda.yaml", "generator_model.py", "python_env.yaml", "requirements.txt",
    ]  # fmt: skip
    assert "ganlab==0.1.0" in (folder / "requirements.txt").read_text().split()
    assert (folder / "generator_model.py").read_bytes() == model_module.CODE.read_bytes()


def test_it_makes_the_samples_that_ganlab_makes(place: Place, loaded: Any) -> None:
    own = ganlab.load_generator(place.run.path)
    made = loaded.predict({"count": 16, "seed": 1})
    assert np.array_equal(made, own.sample(16, 1).numpy())
    assert np.array_equal(loaded.predict({"count": 2}), own.sample(2, 0).numpy())
    both = loaded.predict(pd.DataFrame({"count": [2, 3], "seed": [4, 5]}))
    assert np.array_equal(both, torch.cat([own.sample(2, 4), own.sample(3, 5)]).numpy())
    latent = own.noise.sample(5, torch.Generator().manual_seed(0), torch.device("cpu"), torch.float32)
    with torch.no_grad():
        wanted = own(latent).numpy()
    assert np.allclose(loaded.predict(pd.DataFrame({"latent": latent.tolist()})), wanted, rtol=0, atol=1e-6)
    assert loaded.metadata.signature.outputs.inputs[0].shape == (-1, 2)


@pytest.mark.parametrize("asked", [{"seed": [1]}, {"latent": [[0.0] * 16], "count": [1]}])
def test_a_table_that_asks_for_nothing_or_in_both_ways_is_an_error(loaded: Any, asked: dict[str, list[Any]]) -> None:
    with pytest.raises(ValueError, match="ask for samples by rows of 'count' and 'seed', or by rows of 'latent'"):
        loaded.predict(pd.DataFrame(asked))


def test_it_can_be_registered(place: Place, loaded: Any) -> None:
    import mlflow

    assert mlflow.register_model(f"models:/{place.models()[0].model_id}", "mine").version == 1
    assert mlflow.pyfunc.load_model("models:/mine/1").predict({"count": 3}).shape == (3, 2)


def test_the_page_says_how_it_is_loaded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    page = (Path(__file__).parent.parent / "docs" / "tracking.md").read_text(encoding="utf-8")
    code = page.split("## The generator as a model", 1)[1].split("```python\n", 1)[1].split("```", 1)[0]
    monkeypatch.chdir(place.run.path.parent.parent)  # where mlflow.db is
    names: dict[str, Any] = {}
    try:
        exec(compile(code, "docs/tracking.md", "exec"), names)
    finally:
        mlflow.set_tracking_uri(None)
    assert np.array_equal(names["samples"], ganlab.load_generator(place.run.path).sample(16, seed=1).numpy())
    assert place.client.get_model_version("my_generator", "1").status == "READY"


def test_a_generator_is_logged_once_and_one_that_was_trained_on_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = place.models()
    (place.run.path / "mlflow.json").unlink()  # what is remembered does not count
    assert place.send()
    assert [model.model_id for model in place.models()] == [first.model_id]
    assert not place.run.state.model_missing
    monkeypatch.setattr(model_module, "read_header", lambda file: {**read_header(file), "sha256": "another"})
    monkeypatch.setattr(place.client.__class__, "log_outputs", lambda *args: 1 / 0)  # the connection breaks
    assert not place.send()
    assert [model.model_id for model in place.models()] == [first.model_id]  # the half of one is taken away
    assert place.run.state.complete
    assert place.run.state.model_missing
    monkeypatch.undo()
    monkeypatch.setattr(model_module, "read_header", lambda file: {**read_header(file), "sha256": "another"})
    assert place.send()
    assert len(place.models()) == 2


@pytest.mark.parametrize("options", [{"model": False}, {"checkpoints": "none"}])
def test_it_can_be_left_out(tmp_path: Path, trained: Path, empty_store: Path, options: dict[str, Any]) -> None:
    place = Place(tmp_path, trained, empty_store)
    assert place.send(**options)
    assert place.models() == []
    assert not place.run.state.model_missing


def test_a_file_that_is_no_generator_is_no_model_and_no_trouble(tmp_path: Path, trained: Path, empty_store: Path) -> None:
    place = Place(tmp_path, trained, empty_store)
    whole = trained.read_bytes()
    for content in (b"weights", b"", whole[:100], whole.replace(b"ganlab generator", b"ganlab checkpoin")):
        (place.run.path / "generator.safetensors").write_bytes(content)
        with pytest.raises(ValueError, match="is not a generator of ganlab"):
            LoggedGenerator(place.run.path, place.run.info, {})
    assert place.send()
    assert place.models() == []
    assert (place.run.state.complete, place.run.state.model_missing) == (True, False)


def test_one_that_is_missing_is_sent_by_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileLock, "acquire", lambda *_, **__: pytest.fail("only the process that writes a run may lock it"))
    run, other = FakeRun(tmp_path / "runs"), FakeRun(tmp_path / "runs", "other")
    other.end("finished")
    other.sign()
    for missing in (False, True):
        state = {**json.loads(json.dumps({"uri": "sqlite:///x", "experiment": "e", "complete": True})), "model_missing": missing}
        (other.path / "mlflow.json").write_text(json.dumps(state), encoding="utf-8")
        assert left_behind(run.path, "sqlite:///x") == ([other.path] if missing else [])
    other.info |= {"status": "running", "host": "elsewhere"}
    other.sign()
    assert left_behind(run.path, "sqlite:///x") == []


def test_plugins_that_it_needs_are_named(tmp_path: Path, trained: Path, empty_store: Path) -> None:
    place = Place(tmp_path, trained, empty_store)
    info = {**place.run.info, "plugins": [{"name": "my_network.py"}], "versions": {"torch": "2.9"}}
    generator = LoggedGenerator(place.run.path, info, {})
    assert generator.tags()["ganlab.needs_plugins"] == "my_network.py"
    assert generator.requirements() == ["ganlab==0.1.0", "torch==2.9", "safetensors"]
