"""The saved views of an experiment, the last sheet of a run, and what runs are grouped by."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow_support import RUN, FakeRun

from ganlab_mlflow import describe, view
from ganlab_mlflow.mirror import Mirror
from ganlab_mlflow.place import Settings
from ganlab_mlflow.tracker import MlflowTracker

RECIPE = {"name": "ring", "data": {"use": "ring"}, "train": {"seed": 1, "steps": 10}, "tricks": [{"use": "clamp", "margin": 0.1}]}
LONGEST_TAG = 5000  # of an experiment, in MLflow's stores


class Experiment:
    """MLflow's client and the one experiment that it has."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}

    def get_experiment(self, experiment_id: str) -> Experiment:
        return self

    def set_experiment_tag(self, experiment_id: str, key: str, value: str) -> None:
        self.tags[key] = value


def test_views_are_made_once_in_the_form_that_the_page_reads() -> None:
    experiment: Any = Experiment()
    view.make_views(experiment, "1", 1000)
    assert experiment.tags["ganlab.view"] == "ganlab-runs"
    for key, name in (("ganlab-runs", "Runs and samples"), ("ganlab-means", "Means over seeds")):
        text = experiment.tags[f"mlflow.sharedViewState.{key}"]
        saved = json.loads(text)
        assert (saved["name"], saved["createdAt"], saved["updatedAt"]) == (name, 1000, 1000)
        assert len(text) < LONGEST_TAG
        state = json.loads(saved["state"])
        assert state["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "ganlab.group"}]
        sections = {section["uuid"]: section["name"] for section in state["compareRunSections"]}
        assert [name for name in sections.values() if name != "samples"] == ["final", "quality", "loss"]
        assert all(sections[card["metricSectionId"]] == "samples" for card in state["compareRunCharts"])
    del experiment.tags["mlflow.sharedViewState.ganlab-runs"]  # the user's wish
    view.make_views(experiment, "1", 2000)
    assert sorted(experiment.tags) == ["ganlab.view", "mlflow.sharedViewState.ganlab-means"]


def test_pictures_stand_where_groups_do_not_take_their_place() -> None:
    with_pictures, means = (state for name, state in view.views().values())
    assert [card["imageKeys"] for card in with_pictures["compareRunCharts"]] == [["final/samples"], ["samples"]]
    assert not with_pictures["useGroupedValuesInCharts"]
    assert means["compareRunCharts"] == []
    assert means["useGroupedValuesInCharts"]


@pytest.mark.filterwarnings("ignore")
def test_the_last_sheet_is_sent_once_more_under_a_step_that_all_runs_have(tmp_path: Path, empty_store: Path) -> None:
    from mlflow import MlflowClient

    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    run = FakeRun(tmp_path / "runs")
    for step in (0, 500):
        MlflowTracker().on_images(run, step, "samples", run.sheet(step, shade=step // 5))
    run.log(500, final__modes=8.0, quality__modes=7.0)
    run.end("finished")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    for _ in range(2):  # the second time changes nothing
        (run.path / "mlflow.json").unlink(missing_ok=True)
        assert Mirror(Settings(str(run.path), uri, "ganlab", model=False)).attempt(last=True), run.state.problem
    client = MlflowClient(tracking_uri=uri)
    files = [Path(file.path).name for file in client.list_artifacts(run.state.run_id, "images") if file.path.endswith(".png")]
    keys = [file.replace("%", "+").replace("~", "/").replace("#", "/").split("+")[:3] for file in sorted(files)]
    assert keys == [["final/samples", "step", "0"], ["samples", "step", "0"], ["samples", "step", "500"]]
    last = next(file for file in files if file.startswith("final"))
    sent = Path(client.download_artifacts(run.state.run_id, f"images/{last}", str(tmp_path)))
    from PIL import Image

    assert Image.open(sent).getpixel((0, 0)) == (100, 100, 100)
    assert [m.step for m in client.get_metric_history(run.state.run_id, "final/modes")] == [0]
    assert [m.step for m in client.get_metric_history(run.state.run_id, "quality/modes")] == [500]
    assert "ganlab.view" in client.get_experiment(run.state.experiment_id).tags


# -- groups ----------------------------------------------------------------------------------------------------------------


def info(*words: str, **more: Any) -> dict[str, Any]:
    return {"recipe": "ring", "seed": 3, "command": ["/bin/ganlab", "run", "ring", *words], **more}


def test_a_run_that_was_changed_on_its_way_is_in_a_group_of_its_own() -> None:
    def resumed(**more: Any) -> dict[str, Any]:
        return info() | {"resumed": [{"time": 0.0, "changed": {}} | more]}

    whole, changed = (
        describe.group(found, RECIPE) for found in (resumed(), resumed(step=400, recipe=["generator.optimizer.lr = 2 (was 1)"]))
    )
    assert whole == describe.group(info(), RECIPE) != changed


def test_runs_that_differ_in_the_seed_alone_are_one_group() -> None:
    other = {**RECIPE, "train": {"seed": 2, "steps": 10, "device": "cuda"}, "tracking": {"use": "mlflow"}, "evaluation": {"every": 5}}
    assert describe.group(info(), RECIPE) == describe.group(info("--set", "train.seed=2", "--seed", "2"), other)


@pytest.mark.parametrize("change", [{"data": {"use": "grid"}}, {"train": {"seed": 1, "steps": 11}}, {"tricks": []}])
def test_runs_that_differ_in_their_options_are_others(change: dict[str, Any]) -> None:
    assert describe.group(info(), RECIPE) != describe.group(info(), {**RECIPE, **change})


def test_what_was_changed_is_told_without_what_makes_no_other_recipe() -> None:
    words = ["--set", "train.steps=600", "--set=loss.use=bce", "--set", "tracking.uri=http://me:x@h", "--set", "a.b=1", "--set", "a.b=2"]
    told = info(*words, set={"name": "s", "combination": {"generator.optimizer.lr": 0.1}, "seed": 3})
    assert describe.changed(told) == ["loss.use=bce", "a.b=2", "generator.optimizer.lr=0.1", "train.steps=600"]
    assert describe.run_name(RUN, told) == "ring-1a2b seed 3 use=bce b=2 lr=0.1 steps=600"
    assert describe.group(told, RECIPE).startswith("ring use=bce b=2 lr=0.1 steps=600 (")
    assert describe.tags(Path(RUN), told, RECIPE)["ganlab.changed"] == "loss.use=bce, a.b=2, generator.optimizer.lr=0.1, train.steps=600"
    assert describe.changed({"command": None}) == []
