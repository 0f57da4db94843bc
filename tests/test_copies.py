"""Copied run folders: a copy goes on as a run of its own; a folder that was moved or restored stays the same run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from engine_support import StopAt, reopened, same, weights

from ganlab.commands import find_run
from ganlab.records.copies import is_copy, place_of
from ganlab.records.folder import RunFolder
from ganlab.records.run_info import RunInfo
from ganlab.runs.training import execute
from ganlab.testing import play


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """A run that was stopped in step 3 of 5."""
    return play(StopAt(3), steps=5, folder=tmp_path / "runs").path


def info_of(path: Path) -> RunInfo:
    return RunFolder(path).read_info()


def changed(path: Path, **values: Any) -> None:
    """Change keys of run.json; None removes one."""
    content = json.loads((path / "run.json").read_text()) | values
    (path / "run.json").write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def copied(path: Path) -> bool:
    assert find_run(path.parent, str(path)).is_copy == is_copy(RunFolder(path), info_of(path))
    return is_copy(RunFolder(path), info_of(path))


def test_a_copy_is_resumed_as_a_run_of_its_own(original: Path) -> None:
    copy = Path(shutil.copytree(original, original.with_name("B")))
    assert (copied(original), copied(copy)) == (False, True)
    run = reopened(copy)
    told: list[str] = []
    run.tell = told.append
    execute(run)
    first, second = info_of(original), info_of(copy)
    assert second.uid not in ("", first.uid)
    assert (second.id, second.copied_from) == ("B", {"id": original.name, "uid": first.uid, "path": str(original)})
    assert f"This folder is a copy of run {original.name} ({original})." in second.announcements[0]
    assert not copied(copy)
    again = reopened(original)
    execute(again)
    assert info_of(original).uid == first.uid and info_of(original).copied_from is None
    assert same(weights(run), weights(again))


def test_a_folder_that_was_moved_is_the_same_run(original: Path) -> None:
    uid, moved = info_of(original).uid, original.with_name("moved")
    original.rename(moved)
    assert not copied(moved)
    execute(reopened(moved))
    assert (info_of(moved).uid, info_of(moved).folder.get("path")) == (uid, str(moved))


def test_a_folder_that_was_moved_to_another_disk_is_the_same_run(original: Path) -> None:
    moved = Path(shutil.copytree(original, original.with_name("moved")))  # another number in the file system
    shutil.rmtree(original)
    assert not copied(moved)


def test_a_folder_that_was_restored_from_a_backup_is_the_same_run(original: Path, tmp_path: Path) -> None:
    shutil.copytree(original, tmp_path / "backup")
    shutil.rmtree(original)
    shutil.copytree(tmp_path / "backup", original)
    assert not copied(original)


def test_a_link_to_the_folder_is_the_same_run(original: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(original.parent)
    assert not copied(tmp_path / "link" / original.name)


def test_a_copy_on_a_disk_where_it_gets_the_number_of_the_original_is_a_copy(original: Path) -> None:
    copy = Path(shutil.copytree(original, original.with_name("B")))
    changed(copy, folder=place_of(RunFolder(original)) | {"inode": copy.stat().st_ino})
    assert copied(copy)


def test_a_link_in_place_of_a_folder_that_was_moved_is_the_same_run(original: Path) -> None:
    moved = original.rename(original.with_name("moved"))
    original.symlink_to(moved)
    assert not copied(moved)


@pytest.mark.parametrize(("inode", "copy"), [(True, False), (False, True)], ids=["shared disk", "copied over the network"])
def test_on_another_machine_the_original_cannot_be_seen(inode: bool, copy: bool, original: Path) -> None:
    here = place_of(RunFolder(original))
    changed(original, folder={"path": "/scratch/runs/A", "host": "other", "inode": here["inode"] if inode else 1})
    assert copied(original) == copy


def test_a_copy_of_a_run_of_version_0_1_is_known_by_its_name(original: Path) -> None:
    changed(original, folder=None)
    copy = Path(shutil.copytree(original, original.with_name("B")))
    assert (copied(original), copied(copy)) == (False, True)
    shutil.rmtree(original)
    assert not copied(copy)  # it may have been renamed


@pytest.mark.parametrize("folder", [{}, {"path": "\0"}, {"path": "/dev/null"}, {"host": "x", "inode": -1}])
def test_an_odd_place_on_record_is_no_error(folder: dict[str, Any], original: Path) -> None:
    changed(original, folder=folder)
    assert copied(original) in (True, False)
