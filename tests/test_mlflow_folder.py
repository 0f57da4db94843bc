"""The tracker's reading of a run's folder: new lines, parameters, tags, and where the run goes. No MLflow here."""

from __future__ import annotations

import dataclasses
import doctest
import json
import os
import re
from pathlib import Path
from types import ModuleType

import pytest
from mlflow_support import RUN, FakeRun

from ganlab_mlflow import describe, place, tail
from ganlab_mlflow.state import Position, State
from ganlab_mlflow.tail import new_lines, was_cut
from ganlab_mlflow.tracker import MlflowTracker


@pytest.fixture
def run(tmp_path: Path) -> FakeRun:
    return FakeRun(tmp_path / "runs")


DAMAGED = [
    "",
    "[]",
    "3",
    '{"unknown": 1}',
    '{"positions": {"metrics.jsonl": {"x": 1}}}',
    '{"positions": []}',
    '{"positions": [1]}',
    '{"positions": {"metrics.jsonl": {"last": -1, "next": 3, "digest": ""}}}',
    '{"positions": {"metrics.jsonl": {"last": 1.5, "next": 3, "digest": ""}}}',
    '{"positions": {"metrics.jsonl": {"last": 0, "next": 1e300, "digest": ""}}}',
    '{"positions": {"metrics.jsonl": {"last": 0, "next": 3, "digest": 4}}}',
    '{"complete": "yes"}',
    '{"run_id": 4}',
    '{"uri": null}',
    '{"completed_by": 1e300}',
    '{"completed_by": NaN}',
    '{"completed_by": %s}' % 10**30,
    '{"doubtful": 1}',
    "[" * 100_000,
    '{"positions": ' * 5000,
    '{"uri": "%s"}' % ("x" * 2_000_000),
    b"\xff\xfe",
]
ODD_LINES = [
    '{"step": -1, "time": 1.0, "metrics": {}}',
    '{"step": 1.5, "time": 1.0, "metrics": {}}',
    '{"step": true, "time": 1.0, "metrics": {}}',
    '{"step": %s, "time": 1.0, "metrics": {}}' % 10**30,
    '{"step": 2, "time": NaN, "metrics": {}}',
    '{"step": 2, "time": 1e300, "metrics": {}}',
    '{"step": 2, "time": "now", "metrics": {}}',
    '{"step": 2, "time": 1.0, "metrics": [1]}',
    '{"step": 2, "time": 1.0, "metrics": %s' % ("[" * 100_000),
    '{"step": 2, "time": 1.0, "kind": "image", "name": 3, "path": "x"}',
    '{"step": 2, "time": 1.0, "kind": "image", "name": "x", "path": "x", "sha256": [1]}',
    '{"step": 2, "time": 1.0}',
]


def read(run: FakeRun, position: Position) -> tuple[list[int], Position]:
    lines = list(new_lines(run.path / "metrics.jsonl", position))
    return [line.content["step"] for line in lines], lines[-1].position if lines else position


def test_each_line_is_read_once(run: FakeRun) -> None:
    assert read(run, Position()) == ([], Position())  # no file yet
    run.log(1, loss=1.0)
    run.log(2, loss=2.0)
    steps, position = read(run, Position())
    assert steps == [1, 2]
    assert read(run, position)[0] == []
    run.log(3, loss=3.0)
    assert read(run, position)[0] == [3]


def test_a_line_that_is_still_being_written_waits(run: FakeRun) -> None:
    run.log(1, loss=1.0)
    file = run.path / "metrics.jsonl"
    whole = file.read_bytes()
    for written in (whole[:20], whole[:-1]):
        file.write_bytes(whole + written)
        steps, position = read(run, Position())
        assert steps == [1]
    file.write_bytes(whole + whole)
    assert read(run, position)[0] == [1]


def test_a_torn_line_is_left_out_and_the_next_one_is_not(run: FakeRun) -> None:
    run.log(1, loss=1.0)
    with open(run.path / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"step": 2, "ti\n[]\n{"step": 2}\n')
    run.log(3, loss=3.0)
    assert read(run, Position())[0] == [1, 3]


def test_after_a_cut_all_lines_are_read(run: FakeRun) -> None:
    """Also those that seem to be older: the clock may have been set back. What MLflow has is not sent again."""
    for step in (1, 2, 3, 4):
        run.log(step, loss=1.0)
    position = read(run, Position())[1]
    assert not was_cut(run.path / "metrics.jsonl", position)
    run.cut_back(2)
    assert was_cut(run.path / "metrics.jsonl", position)
    assert read(run, position)[0] == [1, 2]
    with open(run.path / "metrics.jsonl", "a", encoding="utf-8") as file:  # longer than before: the size does not give it away
        for step, time in ((3, 1_700_000_050.5), (4, 1_700_000_051.5), (5, 1_700_000_052.5)):
            file.write(f'{{"step": {step}, "time": {time}, "metrics": {{"loss": 0.123456789}}}}\n')
    steps, position = read(run, position)
    assert steps == [1, 2, 3, 4, 5]
    assert read(run, position)[0] == []


def test_a_damaged_or_missing_state_is_a_new_one(run: FakeRun) -> None:
    assert State.load(run.path) == State()
    file = run.path / "mlflow.json"
    for content in DAMAGED:
        file.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
        assert State.load(run.path) == State()
    file.unlink()
    os.mkfifo(file)
    assert State.load(run.path) == State()
    file.unlink()
    file.symlink_to("/dev/zero")
    assert State.load(run.path) == State()
    file.unlink()
    state = State(uri="u", run_id="r", positions={"metrics.jsonl": Position(1, 2, "abc")})
    state.save(run.path)
    assert State.load(run.path) == state


def test_a_position_of_version_0_1_is_read_and_fits_no_line(run: FakeRun) -> None:
    run.log(1, loss=1.0)
    position = '{"last": 0, "next": 60, "time": 1790000001.0}'
    (run.path / "mlflow.json").write_text(f'{{"run_id": "r", "positions": {{"metrics.jsonl": {position}}}}}')
    state = State.load(run.path)
    assert state.run_id == "r"
    assert was_cut(run.path / "metrics.jsonl", state.positions["metrics.jsonl"])


@pytest.mark.parametrize("line", ODD_LINES)
def test_a_line_with_odd_content_is_left_out(line: str, run: FakeRun) -> None:
    run.log(1, loss=1.0)
    with open(run.path / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    run.log(3, loss=3.0)
    assert read(run, Position())[0] == [1, 3]


def test_a_line_that_is_too_long_is_left_out(run: FakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "LONGEST", 100)
    long = f'{{"step": 1, "time": 1.0, "metrics": {{"{"x" * 300}": 1}}}}'
    (run.path / "metrics.jsonl").write_text(f"{long}\n{long}")
    assert read(run, Position()) == ([], Position())
    with open(run.path / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write("\n")
    run.log(3, loss=1.0)
    steps, position = read(run, Position())
    assert steps == [3]
    run.log(4, loss=1.0)
    assert read(run, position)[0] == [4]


def test_of_the_values_of_a_line_only_numbers_are_read(run: FakeRun) -> None:
    (run.path / "metrics.jsonl").write_text(
        '{"step": 1, "time": 1.0, "metrics": {"a": 1, "b": null, "c": "x", "d": true, "e": NaN, "f": [1], "g": 1e999, "h": %s}}\n'
        % (10**400)
    )
    (line,) = new_lines(run.path / "metrics.jsonl", Position())
    assert line.content["metrics"] == {"a": 1, "b": None}


def test_parameters_are_the_flat_recipe_without_passwords(run: FakeRun) -> None:
    assert describe.parameters(describe.read_recipe(run.path)) == {
        "data.use": "ring",
        "generator.use": "mlp",
        "generator.hidden": "[8, 8]",
        "tricks.clamp.use": "clamp",
        "tricks.clamp.margin": "0.001",
        "tracking.use": "mlflow",
        "tracking.uri": "https://***@host",
    }


def test_parameters_fit_into_mlflow() -> None:
    found = describe.parameters({"data": {"use": "x" * 9000, "odd (key)@": 1}})
    assert found == {"data.use": "x" * 6000, "data.odd _key__": "1"}


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("loss/generator", "loss/generator"),
        ("a//b", "a/b"),
        ("/a", "a"),
        ("../a", "a"),
        ("ünï", "_n_"),
        ("..", "_"),
        ("", "_"),
        ("x" * 300, "x" * 250),
    ],
)
def test_keys_are_made_legal(name: str, key: str) -> None:
    assert describe.key(name) == key


def test_tags(run: FakeRun) -> None:
    found = describe.tags(run.path, run.info, describe.read_recipe(run.path))
    assert found == {
        "ganlab.version": "0.1.0",
        "ganlab.recipe": "ring",
        "ganlab.group": "ring (d1c8)",
        "ganlab.device": "AMD EPYC",
        "ganlab.data": "ring",
        "ganlab.seed": "7",
        "ganlab.run": RUN,
        "ganlab.uid": RUN,
        "ganlab.folder": str(run.path),
        "ganlab.git.dirty": "true",
        "mlflow.user": "ada",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": "ganlab run ring",
        "mlflow.source.git.commit": "abc123",
        "mlflow.note.content": "a ring",
    }


def test_a_set_and_what_its_runs_differ_in_are_tags(run: FakeRun) -> None:
    run.info["set"] = {"name": "ring-1a2b3c", "combination": {"generator.optimizer.lr": 0.1, "loss.use": "bce"}, "seed": 7}
    found = describe.tags(run.path, run.info, {})
    assert (found["ganlab.set"], found["ganlab.combination"]) == ("ring-1a2b3c", "generator.optimizer.lr=0.1 loss.use=bce")


def test_a_fallback_is_a_tag_and_stands_in_the_note(run: FakeRun) -> None:
    run.info["data"] = {**run.info["data"], "fallback_from": "mnist"}
    run.announce("'mnist' cannot be had here.")
    found = describe.tags(run.path, run.info, {})
    assert found["ganlab.data.fallback_from"] == "mnist"
    assert found["mlflow.note.content"] == "**Note:** 'mnist' cannot be had here."


def test_colours_differ_while_there_are_any_left() -> None:
    taken: list[str] = []
    for _ in describe.COLOURS:
        taken.append(describe.colour(RUN, taken))
    assert sorted(taken) == sorted(describe.COLOURS)
    assert describe.colour(RUN, taken) == taken[0]
    assert len({describe.colour(f"run-{number}", []) for number in range(200)}) == len(describe.COLOURS)


def test_the_tracking_uri_is_asked_for_or_in_the_environment_or_beside_the_runs(run: FakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert place.tracking_uri("", run.path.parent) == f"sqlite:///{run.path.parent.parent}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://here:1")
    assert place.tracking_uri("", run.path.parent) == "http://here:1"
    assert place.tracking_uri("http://asked:2", run.path.parent) == "http://asked:2"


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("sqlite:///mlflow.db", "mlflow.db"),
        ("sqlite:////a/b.db?x=1", "/a/b.db"),
        ("sqlite+pysqlite:///c.db", "c.db"),
        ("sqlite://", None),
        ("http://host", None),
        ("postgresql://host/db", None),
    ],
)
def test_sqlite_file(uri: str, file: str | None) -> None:
    assert place.sqlite_file(uri) == (None if file is None else Path(file))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("HTTPConnectionPool: [Errno 111] Connection refused"), "nothing listens there (connection refused)"),
        (OSError("Read timed out. (read timeout=8)"), "it does not answer in time"),
        (OSError("NameResolutionError: failed to resolve 'nowhere'"), "its host is not known"),
        (ValueError("no\n  such https://me:secret@host"), "no such https://***@host"),
        (ValueError(), "ValueError"),
        (ValueError("x" * 400), "x" * 297 + "..."),
    ],
)
def test_reasons_are_one_line_for_a_person(error: Exception, words: str) -> None:
    assert describe.reason(error) == words


def test_the_name_in_mlflow_leaves_out_the_time() -> None:
    assert describe.short_name(RUN) == "ring-1a2b"
    assert describe.short_name("my own name") == "my own name"


@pytest.mark.parametrize("module", [describe, place], ids=lambda module: module.__name__)
def test_the_examples_in_docstrings_are_right(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


def test_the_page_has_the_options_as_they_are() -> None:
    page = (Path(__file__).parent.parent / "docs" / "tracking.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `(\w+)` \| `(.+?)` \|", page, re.MULTILINE)
    options = [field for field in dataclasses.fields(MlflowTracker) if field.init]
    assert shown == [(field.name, json.dumps(field.default)) for field in options]
