"""Real faults of the disk: it fills up, is read-only, or the run's folder is removed while the run goes on.

The small disk is a tmpfs mount, which needs the right to mount; where that is missing, only the limit on file sizes is tested.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import compare
import pytest
from cases import RING, SHORT, Case
from plan import only_run
from server import Ended, Server

KIB = 1024
OFTEN = ("train.log_every=1", "train.keep_checkpoints=100")
CASE = Case("a full disk", "ring", (*(line for line in SHORT if "log_every" not in line and "keep" not in line), *RING, *OFTEN))
FREE = "hint: free some space, or choose another folder with --runs-dir\n"


@pytest.fixture(scope="module")
def never(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing happens to."""
    folder = tmp_path_factory.mktemp("never")
    assert server.run(folder, *CASE.words()).code == 0
    return only_run(folder)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """``mount("runs", size=...)`` mounts a new file system there."""
    mounted: list[Path] = []

    def make(name: str, size: int = 1 << 20) -> Path:
        place = tmp_path / name
        place.mkdir(exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"no right to mount a file system: {done.stderr.decode().strip()}")
        mounted.append(place)
        return place

    try:
        yield make
    finally:
        for place in mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


def is_an_error(ended: Ended) -> str:
    """Its text; the words of a person who is told what happened, and nothing else."""
    assert ended.code in (1, 2), ended.text
    assert ended.text.startswith("error: "), ended.text
    assert "Traceback" not in ended.text
    return ended.text


def resumes_exactly(server: Server, folder: Path, never: Path) -> None:
    """With the last good checkpoint the run goes on as if nothing had happened."""
    assert compare.damaged(only_run(folder)) == []
    ended = server.run(folder, "resume", "last", "--quiet")
    assert ended.code == 0, ended.text
    assert compare.differences(never, only_run(folder)) == []


@pytest.mark.parametrize("free", [70, 97, 131, 162])  # KiB: it is another file each time that does not fit
@pytest.mark.slow
def test_a_disk_that_fills_up(free: int, server: Server, never: Path, mount: Callable[..., Path], tmp_path: Path) -> None:
    runs = mount("runs", free * KIB)
    text = is_an_error(server.run(tmp_path, *CASE.words()))
    run = only_run(tmp_path)
    assert " cannot be written: " in text
    assert str(run.relative_to(tmp_path)) in text
    assert "No space left on device" in text
    last = compare.RunFolder(run).checkpoint_files()[-1]
    assert f"{FREE}The run's last checkpoint is {last.name}" in text and text.endswith(f"to resume from it: ganlab resume {run.name}\n")
    is_an_error(server.run(tmp_path, "resume", "last", "--quiet"))  # still full
    subprocess.run(["mount", "-o", f"remount,size={4 << 20}", str(runs)], check=True)
    resumes_exactly(server, tmp_path, never)


def test_a_disk_that_is_full_from_the_beginning(server: Server, mount: Callable[..., Path], tmp_path: Path) -> None:
    runs = mount("runs", 8 * KIB)
    (runs / "ballast").write_bytes(bytes(8 * KIB))
    text = is_an_error(server.run(tmp_path, *CASE.words()))
    assert "No space left on device" in text
    assert text.endswith(FREE)
    assert [path.name for path in runs.iterdir()] == ["ballast"]


def test_a_file_that_may_not_grow(server: Server, never: Path, tmp_path: Path) -> None:
    """RLIMIT_FSIZE, as shared machines set it."""
    smallest = min(path.stat().st_size for path in never.rglob("*.safetensors"))
    limit = f"import resource; resource.prlimit({{pid}}, resource.RLIMIT_FSIZE, ({smallest - 1}, {smallest - 1}))"
    moment = {"kind": "hook", "name": "after_step", "step": 10, "command": [sys.executable, "-c", limit]}  # there is a checkpoint already
    text = is_an_error(server.run(tmp_path, *CASE.words(), moment=moment))
    assert " cannot be written: " in text
    assert "File too large" in text
    resumes_exactly(server, tmp_path, never)


def test_a_folder_that_may_not_be_written(server: Server, mount: Callable[..., Path], tmp_path: Path) -> None:
    runs = mount("runs")
    assert server.run(tmp_path, *CASE.words(), moment={"kind": "hook", "name": "after_step", "step": 8}).killed
    run = only_run(tmp_path).relative_to(tmp_path)
    subprocess.run(["mount", "-o", "remount,ro", str(runs)], check=True)
    writable = "make its folder writable, or choose another one with --runs-dir"
    assert is_an_error(server.run(tmp_path, "resume", "last", "--quiet")) == (
        f"error: {run} cannot be written: Read-only file system\nhint: {writable}\n"
    )
    text = is_an_error(server.run(tmp_path, *CASE.words()))
    assert text.endswith("cannot be made: Read-only file system\nhint: choose another place with --runs-dir\n")
    assert "\nhint: " not in server.run(tmp_path, "runs").text


def test_checkpoints_that_can_no_longer_be_written(server: Server, never: Path, mount: Callable[..., Path], tmp_path: Path) -> None:
    mount("probe")
    over = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "{run}/checkpoints"]
    moment = {"kind": "hook", "name": "after_step", "step": 10, "command": over}
    text = is_an_error(server.run(tmp_path, *CASE.words(), moment=moment))
    run = only_run(tmp_path)
    subprocess.run(["umount", str(run / "checkpoints")], check=True)
    file = run.relative_to(tmp_path) / "checkpoints" / "step_000000012.safetensors"
    assert text.startswith(f"error: {file} cannot be written: ")
    resumes_exactly(server, tmp_path, never)


@pytest.mark.parametrize("what", ["{run}", "{run}/checkpoints"])
def test_a_folder_that_is_removed_while_the_run_goes_on(what: str, server: Server, never: Path, tmp_path: Path) -> None:
    moment = {
        "kind": "hook",
        "name": "after_step",
        "step": 10,
        "command": ["sh", "-c", f"mv {what} gone && rm -r gone"],
    }  # at once: a thread is writing in it
    ended = server.run(tmp_path, *CASE.words(), moment=moment)
    runs = tmp_path / "runs"
    if what == "{run}":
        text = is_an_error(ended)
        assert "metrics.jsonl cannot be written: No such file or directory\n" in text
        assert text.endswith("hint: was the run's folder removed or moved during the run? then start the run again\n")
        assert list(runs.iterdir()) == []  # nothing is made anew in its place
    else:  # the next checkpoint makes it again
        assert ended.code == 0, ended.text
        run = only_run(tmp_path)
        gone = "files: [] more, ['checkpoints/" if what.endswith("checkpoints") else "nothing"
        assert [text for text in compare.differences(never, run) if not text.startswith(gone)] == []
