"""Files of run folders: only regular files are read, no links, up to a limit; JSON and TOML that cannot be used are a ValueError."""

from __future__ import annotations

import math
import os
import socket
from pathlib import Path

import pytest

from ganlab.records.folder import RunFolder
from ganlab.records.results import RunResult
from ganlab.records.run_info import RunInfo
from ganlab.records.summaries import RunSummary
from ganlab.storage.reading import LONGEST_LINE, open_file, parse_json, parse_toml, read_bytes, read_json, read_lines, read_text

KINDS = ("pipe", "socket", "folder", "link to a file", "link to a device", "link to itself", "sparse")


def put(path: Path, kind: str) -> None:
    """Put something at ``path`` that is not to be read."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(os.path.relpath(path))
    elif kind == "folder":
        path.mkdir()
    elif kind == "sparse":
        path.touch()
        os.truncate(path, 2**40)
    else:
        path.symlink_to({"link to a file": path.parent / "precious", "link to a device": "/dev/zero", "link to itself": path}[kind])


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "precious").write_text('{"step": 1, "time": 1.0, "metrics": {"a": 1.0}}\n')


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_regular_file_is_not_read(kind: str, tmp_path: Path) -> None:
    put(tmp_path / "it", kind)
    for read in (read_bytes, read_text, read_json, lambda path: list(read_lines(path))):
        with pytest.raises(OSError, match=r"it is|symbolic links"):
            read(tmp_path / "it")  # type: ignore[operator]


def test_a_link_to_a_regular_file_may_be_followed_where_a_person_has_named_it(tmp_path: Path) -> None:
    put(tmp_path / "it", "link to a file")
    assert read_bytes(tmp_path / "it", follow=True).startswith(b'{"step"')
    put(tmp_path / "device", "link to a device")
    with pytest.raises(OSError, match=r"it is no regular file"):
        read_bytes(tmp_path / "device", follow=True)


def test_a_file_that_is_replaced_while_it_is_opened_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganlab.storage.reading.refuse_special", lambda *given: None)
    for kind in ("pipe", "link to a file"):
        put(tmp_path / kind, kind)
        with pytest.raises(OSError, match=r"it is|symbolic links"):
            open_file(tmp_path / kind, math.inf)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[" * 200 + "]" * 200, '{"a":' * 200 + "1" + "}" * 200, '["\\ud800"]', "", "{", "1" * 5000]
)
def test_json_that_cannot_be_used(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested|surrogates|Expect|Exceeds"):
        parse_json(text)


def test_json_that_is_right() -> None:
    assert parse_json('{"a": "\\ud83d\\ude00", "b": ' + "[" * 50 + "]" * 50 + "}")["a"] == "😀"


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 50_000,
        "a = " + "{a=" * 3000,
        ".".join("a" * 50_000) + " = 1",
        "x = {" + " . ".join(["ab"] * 20_000) + " = 1}",
        "[" + ".".join(['"a"'] * 20_000) + "]",
        "a = " + "9" * 5000,
    ],
)
def test_toml_that_cannot_be_used(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested|Exceeds"):
        parse_toml(text)


def test_toml_that_is_right() -> None:
    numbers = ", ".join(f"{number}.{number}" for number in range(2000))
    text = f'a.b.c = [{numbers}]\nd = "{"x" * 100_000}"\ne = "{"and so on. " * 1000}"\n[f.g]\nh = 1.5e3\n'
    assert len(parse_toml(text)["a"]["b"]["c"]) == 2000


def test_lines_that_are_too_long_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"one\n" + b"x" * (2 * LONGEST_LINE + 5) + b"\ntwo\n" + b"y" * (LONGEST_LINE - 1) + b"\nhalf")
    assert [line[:3] for line in read_lines(tmp_path / "file")] == [b"one", b"two", b"yyy"]


@pytest.mark.parametrize("kind", KINDS)
def test_results_of_a_run_whose_files_are_something_else(kind: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoints").mkdir()
    for path in (folder.metrics, folder.evaluation, folder.recipe, folder.samples, folder.path / ".lock", folder.checkpoint_path(5)):
        put(path, kind)
    result = RunResult(RunSummary(folder, RunInfo(status="running")))
    assert (result.values, result.curves, result.numbers, result.all_options, result.step, result.last_sheet) == ({}, {}, {}, {}, 0, None)
    assert folder.checkpoint_files() == ([folder.checkpoint_path(5)] if kind == "sparse" else [])
    assert not folder.locked_elsewhere()


def test_sheets_and_checkpoints_in_a_folder_that_is_linked_are_not_there(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    (tmp_path / "run").mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("step_000000001.png", "step_000000001.safetensors", ".step_000000001.png.part"):
        (outside / name).write_text("precious")
    folder.samples.symlink_to(outside)
    folder.checkpoints.symlink_to(outside)
    assert folder.sheets() == folder.checkpoint_files() == []
    folder.truncate(0)
    assert len(list(outside.iterdir())) == 3
