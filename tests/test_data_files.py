"""Runs whose data files are damaged, repaired, replaced or skipped: what is refused, what is resumed, and to which bits."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_support import StopAt, same
from PIL import Image

import ganlab
from ganlab.cli import main
from ganlab.errors import DataError, UsageError
from ganlab.records.folder import RunFolder

COUNT, CUT = 60, 50
RECIPE = """
extends = "mnist_adaptive"
defaults = false
[data]
use = "image_folder"
path = "images"
size = 8
channels = 1
resident = "never"
[generator]
hidden = [8]
[discriminator]
hidden = [8]
[train]
steps = 12
batch_size = 10
checkpoint_every = 2
log_every = 3
sample_every = 6
[evaluation]
at_end = false
every = 0
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "images").mkdir()
    for number in range(COUNT):
        pixels = np.random.default_rng(number).integers(0, 256, (9, 9), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number:03d}.png")
    (tmp_path / "images.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cut(path: Path) -> bytes:
    """Cut a file in half. Returns what it was."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return content


def run(*overrides: str, tricks: Any = (), name: str = "runs") -> Any:
    return ganlab.run("images.toml", list(overrides), tricks=tricks, runs_dir=name, display=False)


def trained(path: Path) -> dict[str, Any]:
    """The last checkpoint's networks."""
    from ganlab.storage import checkpoint

    state = checkpoint.load(RunFolder(path).checkpoint_files()[-1])
    return {role: state[role]["network"] for role in ("generator", "discriminator")}


def equal(one: Any, other: Any) -> bool:
    return one.keys() == other.keys() and all(same(one[role], other[role]) for role in one)


class CutAt:
    """Damages a file while the run trains."""

    def __init__(self, step: int, path: Path) -> None:
        self.step, self.path = step, path

    @ganlab.hookimpl
    def after_step(self, step: int) -> None:
        if step == self.step:
            cut(self.path)


def test_a_cut_file_is_refused_before_the_first_step(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut(place / "images" / "050.png")
    cut(place / "images" / "007.png")
    with pytest.raises(SystemExit) as ended:
        main(["run", "images.toml", "--quiet"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "2 images cannot be used:" in error and "images/007.png" in error and "images/050.png" in error
    assert "`--set data.unreadable=skip`" in error and "Traceback" not in error
    assert not list((place / "runs").glob("*"))


@pytest.mark.parametrize("repair", ["repaired", "replaced"])
def test_a_file_that_breaks_while_the_run_trains_can_be_repaired_or_replaced(repair: str, place: Path) -> None:
    never = run(name="never")
    path = place / "images" / "050.png"
    content = path.read_bytes()
    with pytest.raises(DataError, match=r"050\.png cannot be read as an image") as caught:
        run(tricks=[CutAt(3, path)])
    assert "put another image in its place, under the same name" in caught.value.hint
    (folder,) = (place / "runs").iterdir()
    stopped_at = json.loads((folder / "run.json").read_text())["counters"]["step"]
    assert stopped_at >= 3
    assert RunFolder(folder).checkpoint_files()[-1].name == f"step_{stopped_at:09d}.safetensors"  # no step is lost
    with pytest.raises(UsageError, match=r"050\.png cannot be read as an image"):
        ganlab.resume(folder, tricks=[CutAt(0, path)], display=False)
    if repair == "repaired":
        path.write_bytes(content)
        assert ganlab.resume(folder, tricks=[CutAt(0, path)], display=False).status == "finished"
        assert equal(trained(folder), trained(never.path))
        return
    Image.fromarray(np.full((20, 20), 90, np.uint8)).save(path)
    resumed = ganlab.resume(folder, tricks=[CutAt(0, path)], display=False)
    assert resumed.status == "finished"
    words = f"From step {stopped_at} on this run uses changed files of its data: 1 replaced (050.png)."
    assert words in resumed.info["announcements"]
    assert resumed.info["resumed"][-1]["data"] == ["050.png"]
    assert resumed.info["data"]["fingerprint"] != never.info["data"]["fingerprint"]
    assert not equal(trained(folder), trained(never.path))


def stopped(place: Path) -> Path:
    path: Path = run(tricks=[StopAt(4)]).path
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda images: (images / "007.png").unlink(), "1 removed (007.png)"),
        (lambda images: shutil.copy(images / "007.png", images / "0070.png"), "1 added (0070.png)"),
        (lambda images: (images / "007.png").rename(images / "990.png"), "1 added (990.png), 1 removed (007.png)"),
    ],
    ids=["removed", "added", "renamed"],
)
def test_files_may_not_be_added_removed_or_renamed(change: Any, words: str, place: Path) -> None:
    path = stopped(place)
    change(place / "images")
    with pytest.raises(UsageError) as caught:
        ganlab.resume(path, tricks=[StopAt(99)], display=False)
    assert caught.value.message == f"the data of run {path.name} have changed since it started: {words}"
    assert "Single files may be replaced, under the same names" in caught.value.hint


def test_many_replaced_files_need_a_flag(place: Path) -> None:
    path = stopped(place)
    for number in range(7):
        Image.fromarray(np.full((20, 20), number, np.uint8)).save(place / "images" / f"{number:03d}.png")
    with pytest.raises(UsageError, match=r"many files of the data of run .* were replaced since it started: 7 replaced") as caught:
        ganlab.resume(path, tricks=[StopAt(99)], display=False)
    assert "--changed" in caught.value.hint
    assert ganlab.resume(path, tricks=[StopAt(99)], changed=True, display=False).status == "finished"


def stopped_in_0_1(place: Path) -> Path:
    """A run that has noted no files, as version 0.1 did."""
    path = stopped(place)
    RunFolder(path).data_files.unlink()
    info = json.loads((path / "run.json").read_text())
    del info["data"]["outline"]
    (path / "run.json").write_text(json.dumps(info))
    return path


def test_a_run_that_has_noted_no_files_needs_a_flag(place: Path) -> None:
    path = stopped_in_0_1(place)
    Image.fromarray(np.full((20, 20), 1, np.uint8)).save(place / "images" / "003.png")
    with pytest.raises(UsageError) as caught:
        ganlab.resume(path, tricks=[StopAt(99)], display=False)
    assert caught.value.message == f"the data of run {path.name} have changed since it started"
    assert "only the content of some differs: `ganlab resume" in caught.value.hint and "--changed" in caught.value.hint
    resumed = ganlab.resume(path, tricks=[StopAt(99)], changed=True, display=False)
    assert "uses changed files of its data: the run does not know which." in " ".join(resumed.info["announcements"])
    assert RunFolder(path).data_files.exists() and resumed.info["data"]["outline"]


def test_a_run_that_has_noted_no_files_is_refused_with_others(place: Path) -> None:
    path = stopped_in_0_1(place)
    shutil.copy(place / "images" / "007.png", place / "images" / "0070.png")
    with pytest.raises(UsageError) as caught:
        ganlab.resume(path, tricks=[StopAt(99)], changed=True, display=False)
    assert caught.value.hint == "restore them; a resumed run must see the same data"


def test_a_resume_notes_the_files_of_a_run_that_has_not(place: Path) -> None:
    path = stopped_in_0_1(place)
    broken = place / "images" / "050.png"
    with pytest.raises(DataError):
        ganlab.resume(path, tricks=[CutAt(5, broken)], changed=True, display=False)
    Image.fromarray(np.full((20, 20), 1, np.uint8)).save(broken)
    resumed = ganlab.resume(path, tricks=[StopAt(99)], changed=True, display=False)
    assert resumed.info["resumed"][-1]["data"] == ["050.png"]


@pytest.mark.parametrize(
    "content",
    [b"", b"x", *(gzip.compress(text, mtime=0) for text in (b"[1]", b'{"a": "b"}', b"[" * 100_000))],
    ids=["empty", "not packed", "a list", "other sizes", "deep"],
)
def test_a_damaged_list_is_no_list(content: bytes, place: Path) -> None:
    path = stopped(place)
    RunFolder(path).data_files.write_bytes(content)
    Image.fromarray(np.full((20, 20), 1, np.uint8)).save(place / "images" / "001.png")
    resumed = ganlab.resume(path, tricks=[StopAt(99)], display=False)
    assert resumed.status == "finished"
    assert "uses changed files of its data: the run does not know which." in resumed.info["announcements"][-1]


def test_skipped_files_are_recorded_and_a_resume_gives_the_same_bits(place: Path) -> None:
    for name in ("050.png", "007.png"):
        cut(place / "images" / name)
    never = run("data.unreadable=skip", name="never")
    assert never.status == "finished"
    assert never.info["data"]["unreadable"] == ["007.png", "050.png"]
    (text,) = never.info["announcements"]
    assert text.startswith("Unreadable images are skipped (2):\n") and "images/008.png is used" in text
    path = run("data.unreadable=skip", tricks=[StopAt(4)]).path
    assert ganlab.resume(path, tricks=[StopAt(99)], display=False).status == "finished"
    assert equal(trained(path), trained(never.path))


def test_the_list_of_skipped_files_is_kept(place: Path) -> None:
    cut(place / "images" / "050.png")
    path = run("data.unreadable=skip", tricks=[StopAt(4)]).path
    Image.fromarray(np.full((20, 20), 1, np.uint8)).save(place / "images" / "050.png")
    cut(place / "images" / "007.png")
    resumed = ganlab.resume(path, tricks=[StopAt(99)], display=False)
    assert resumed.info["data"]["unreadable"] == ["007.png", "050.png"]


def test_evaluation_can_skip_files_that_broke_later(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(run("evaluation.samples=20", name="runs").path)
    cut(place / "images" / "050.png")
    commands = {
        "data.memory=4": (2, "`--set data.unreadable=skip`"),
        "data.unreadable=skip": (0, "050.png"),
        "data.size=9": (2, "cannot be measured with other data than its own"),
    }
    for override, (code, words) in commands.items():
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", path, "--set", override])
        assert (ended.value.code or 0) == code
        assert words in " ".join(capsys.readouterr().err.split())


def test_a_run_that_a_broken_file_has_stopped_can_be_resumed_without_it(place: Path) -> None:
    path = place / "images" / "050.png"
    with pytest.raises(DataError):
        run(tricks=[CutAt(3, path)])
    (folder,) = (place / "runs").iterdir()
    resumed = ganlab.resume(folder, {"data.unreadable": "skip"}, tricks=[CutAt(0, path)], changed=True, display=False)
    assert resumed.status == "finished"
    assert resumed.info["data"]["unreadable"] == ["050.png"]


def test_data_sets_without_files_have_no_list(tmp_path: Path) -> None:
    run = ganlab.run("ring", ["train.steps=2", "evaluation.at_end=false", "tracking.enabled=false"], runs_dir=tmp_path, display=False)
    assert not RunFolder(run.path).data_files.exists()
    assert "outline" not in run.info["data"]
