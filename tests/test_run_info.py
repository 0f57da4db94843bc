"""run.json as one typed model, and ``run.info``, the mutable mapping over it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ganlab.errors import PluginError, UsageError
from ganlab.records.run_info import InfoView, RunInfo
from ganlab.records.summaries import damaged_runs, list_runs
from ganlab.testing import prepare


def written(folder: Path, **content: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(content))
    return folder / "run.json"


def test_what_is_read_is_written_again_with_keys_of_another_version(tmp_path: Path) -> None:
    content = {
        "id": "a", "status": "finished", "created": 1, "data": {"use": "ring", "colour": "blue"}, "plugins": [],
        "mlflow": {"experiment": "e"}, "model_config": 1, "json": [2], "copy": None,
    }  # fmt: skip
    info = RunInfo.read(written(tmp_path, **content))
    assert json.loads(info.as_json()) == content
    assert (info.status, info.seed, info.total_steps, info.data["use"]) == ("finished", None, 0, "ring")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", "1"), ("status", None), ("announcements", [1]), ("counters", {"step": 1.5}), ("resumed", [3]), ("created", "yesterday"),
        ("plugins", [{"name": "x"}]), ("plugins", [{"name": "x", "from": "y", "sha256": "z", "more": 1}]), ("distributions", [{"name": 1}]),
        ("set", []), ("best_checkpoint", {"path": 1}), ("git", "main"), ("counters", None), ("counters", {"step": -5}), ("created", 1e300),
        ("created", -1.0), ("created", True), ("seed", True), ("seed", 10**30), ("total_steps", -1), ("training_seconds", -1.0),
        ("training_seconds", ""), ("pid", -1), ("resumed", [{"step": -1}]), ("resumed", [{"time": 1e18}]), ("data", {"size": 1.5}),
    ],
)  # fmt: skip
def test_a_damaged_value_is_one_sentence_about_one_run(key: str, value: object, tmp_path: Path) -> None:
    written(tmp_path / "well", id="well", created=1.0)
    path = written(tmp_path / "damaged", **{key: value})
    with pytest.raises(UsageError) as caught:
        RunInfo.read(path)
    assert caught.value.message == f"{path} is damaged: its {key} is {value!r}"
    assert [run.id for run in list_runs(tmp_path)] == ["well"]
    assert damaged_runs(tmp_path) == [caught.value.message]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"created": NaN}', "is damaged: its created is nan"),
        ('{"training_seconds": 1e999}', "is damaged: its training_seconds is inf"),
        ('{"findings": ' + "[" * 150 + "]" * 150 + "}", "cannot be read: it is nested more than 100 levels deep"),
        ("[" * 100_000, "cannot be read: it is nested more than 100 levels deep"),
        ('{"mine": "\\ud800"}', "cannot be read: 'utf-8' codec can't encode character"),
        ('{"pid": 1' + "0" * 5000 + "}", "cannot be read: Exceeds the limit"),
        ("[1]", "is not the run.json of a run"),
        ('{"status": ["' + "x" * 1000 + '"]}', "is damaged: its status is ['xxxx"),
    ],
)
def test_a_text_that_cannot_be_used_is_one_sentence(text: str, reason: str, tmp_path: Path) -> None:
    written(tmp_path / "well", id="well")
    path = written(tmp_path / "damaged")
    path.write_text(text)
    assert [run.id for run in list_runs(tmp_path)] == ["well"]
    (message,) = damaged_runs(tmp_path)
    assert message.startswith(f"{path} {reason}")
    assert len(message) < 500


@pytest.mark.parametrize("kind", ["pipe", "link to a device", "link", "folder", "not UTF-8", "sparse"])
def test_a_run_json_that_is_no_file_is_named_and_not_read(kind: str, tmp_path: Path) -> None:
    written(tmp_path / "well", id="well")
    path = written(tmp_path / "damaged")
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "not UTF-8":
        path.write_bytes(b'{"id": "\xff"}')
    elif kind == "sparse":
        path.touch()
        os.truncate(path, 2**40)
    else:
        path.symlink_to("/dev/zero" if kind == "link to a device" else tmp_path / "well" / "run.json")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert [run.id for run in list_runs(tmp_path)] == ["well"]
    (message,) = damaged_runs(tmp_path)
    assert message.startswith(f"{path} cannot be read: ")


def test_the_folder_of_a_run_may_be_a_link(tmp_path: Path) -> None:
    written(tmp_path / "elsewhere" / "run", id="run")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "linked").symlink_to(tmp_path / "elsewhere" / "run")
    (tmp_path / "all").symlink_to(tmp_path / "runs")
    assert [run.id for run in list_runs(tmp_path / "all")] == ["linked"]


def test_the_view_is_a_mutable_mapping_over_the_model() -> None:
    model = RunInfo(id="a", data={"use": "ring"})
    view = InfoView(model)
    assert dict(view) == {"id": "a", "data": {"use": "ring"}}
    view.setdefault("announcements", []).append("one")
    view["announcements"].append("two")
    view["data"] |= {"why": "far away"}
    view |= {"status": "running", "of_a_plugin": [1]}
    assert model.announcements == ["one", "two"]
    assert (model.status, model.data["why"], view["of_a_plugin"]) == ("running", "far away", [1])
    assert (view.pop("of_a_plugin"), view.pop("best_checkpoint", "none"), view.get("seed", "none")) == ([1], "none", "none")
    del view["status"]
    assert sorted(view) == ["announcements", "data", "id"]
    assert model.status == "unknown"
    with pytest.raises(KeyError):
        del view["status"]
    with pytest.raises(KeyError):
        view["seed"]


def test_a_value_of_another_type_is_refused_with_its_key() -> None:
    with pytest.raises(TypeError, match=r"run\.info\['seed'\] = 'one': input should be a valid integer"):
        InfoView(RunInfo())["seed"] = "one"


def test_any_key_of_a_plugin_is_kept(tmp_path: Path) -> None:
    view = InfoView(RunInfo())
    for key in ("_mine", "model_extra", "model_config", "json", "copy"):
        view[key] = [key]
        view.setdefault(key, []).append(1)
    view["findings"] = ("a", "b")
    assert dict(view) == {"findings": ["a", "b"], **{key: [key, 1] for key in ("_mine", "model_extra", "model_config", "json", "copy")}}
    assert view | {"id": "x"} == {**view, "id": "x"}
    (tmp_path / "run.json").write_text(view.model.as_json())
    assert RunInfo.read(tmp_path / "run.json").as_dict() == dict(view)
    del view["_mine"], view["model_extra"]
    assert "_mine" not in view and "model_extra" not in view


def test_what_is_changed_in_place_is_checked_before_it_is_written() -> None:
    view = InfoView(RunInfo(announcements=[]))
    view["announcements"].append(1)
    with pytest.raises(PluginError, match=r"^run\.info\['announcements'\] = \[1\]: input should be a valid string"):
        view.model.as_json()
    view["announcements"] = []
    view["mine"] = {"a": {1, 2}}
    with pytest.raises(PluginError, match=r"^run\.info cannot be written to run\.json: .*set"):
        view.model.as_json()


def test_a_run_takes_a_mapping_as_its_info() -> None:
    run = prepare()
    run.info = {"status": "new", "mine": 1}
    run.info |= {"mine": 2}
    assert dict(run.info) == {"status": "new", "mine": 2}
