"""A stopped run with a damaged or missing file: resuming gives what an undamaged one gives, or a clear error; never a traceback."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import compare
import pytest
from cases import Case, recipes
from harm import KINDS, files, harm
from server import Server

MANY = int(os.environ.get("GANLAB_DAMAGE", "16"))  # how many times a file is damaged
#: How a person is told that part of the record is lost, while training is exact.
LOST = "is not what this run wrote up to step"


class Stopped:
    """A run that was killed half-way, and the same run, never stopped."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server, self.copies = folder, server, 0
        (self.case,) = (case for case in recipes() if case.name == "recipe mnist_adaptive")
        self.never = self._run("never", None)
        self.run = self._run("stopped", {"kind": "hook", "name": "after_update", "step": 17})

    def _run(self, name: str, moment: dict[str, object] | None) -> Path:
        case: Case = self.case
        case.prepare(self.folder / name)
        ended = self.server.run(self.folder / name, *case.words(), moment=moment)
        assert ended.killed if moment else ended.code == 0, ended.text
        (run,) = (self.folder / name / "runs").iterdir()
        return run

    def copy(self) -> Path:
        """The stopped run once more, in a place of its own."""
        self.copies += 1
        place = self.folder / f"copy{self.copies}"
        shutil.copytree(self.folder / "stopped", place)
        return place / "runs" / self.run.name


@pytest.fixture(scope="module")
def stopped(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    return Stopped(tmp_path_factory.mktemp("damage"), server)


def resume(stopped: Stopped, run: Path, done: str) -> str:
    """What became of it: "exact", "record lost" or "error"."""
    ended = stopped.server.run(run.parent.parent, "resume", run.name, "--quiet")
    assert "Traceback" not in ended.text, f"{done}: {ended.text}"
    if ended.code == 0:
        assert not ended.text.startswith("error")
        told = "run.json/announcements: 1 and 0 items"  # what is damaged
        differences = [text for text in compare.differences(stopped.never, run) if text != told]
        if LOST in ended.text:
            follows = ("metrics.jsonl", "losses.png")
            differences = [text for text in differences if not (text.startswith(follows) or "journal" in text or "other bytes" in text)]
            assert not differences, f"{done}: {differences}"
            return "record lost"
        assert not differences, f"{done}: {differences}"
        return "exact"
    assert ended.code in (1, 2), f"{done}: {ended.code} {ended.text}"
    assert ended.text.startswith("error: "), f"{done}: {ended.text}"
    return "error"


def matters(run: Path, path: Path) -> bool:
    """Whether a run reads it again, or it is compared: old sheets are neither."""
    return path.parent.name != "samples"


@pytest.mark.slow
def test_any_file_may_be_missing(stopped: Stopped) -> None:
    became = {}
    for path in files(stopped.run):
        if matters(stopped.run, path):
            copy = stopped.copy()
            victim = copy / path.relative_to(stopped.run)
            victim.unlink()
            became[path.name] = resume(stopped, copy, f"{victim.name} deleted")
    assert became == {
        ".lock": "exact",
        "step_000000012.safetensors": "exact",
        "step_000000015.safetensors": "exact",
        "metrics.jsonl": "record lost",
        "recipe.toml": "error",
        "run.json": "error",
        "system.jsonl": "exact",
    }


#: Each kind is there once; the rest is slow, unless it was asked for.
FEW = MANY if "GANLAB_DAMAGE" in os.environ else len(KINDS)
SEEDS = [pytest.param(seed, marks=[pytest.mark.slow] * (seed >= FEW)) for seed in range(MANY)]


@pytest.mark.parametrize("seed", SEEDS)
def test_damage_is_noticed(seed: int, stopped: Stopped) -> None:
    rng = random.Random(seed)
    copy = stopped.copy()
    victim = rng.choice([path for path in files(copy) if matters(copy, path)])
    before = victim.read_bytes()
    done = f"{victim.name}: {harm(victim, KINDS[seed % len(KINDS)], rng)}"
    if resume(stopped, copy, done) == "error":
        victim.write_bytes(before)  # the error has made nothing worse
        assert resume(stopped, copy, f"{done}, and put back") == "exact"


def replace(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert content.count(old) == 1, path
    path.write_bytes(content.replace(old, new))


def test_a_recipe_that_still_is_one_is_refused(stopped: Stopped) -> None:
    """One bit makes 3 of 1: nothing but the checkpoint knows that it is wrong."""
    copy = stopped.copy()
    replace(copy / "recipe.toml", b"max_norm = 1.0", b"max_norm = 3.0")
    ended = stopped.server.run(copy.parent.parent, "resume", copy.name, "--quiet")
    assert ended.code == 2
    assert "up to step_000000015: tricks.gradient_clipping.max_norm = 3.0 (was 1.0)" in ended.text


def test_a_weight_that_lost_a_bit_is_noticed(stopped: Stopped) -> None:
    copy = stopped.copy()
    file = copy / "checkpoints" / "step_000000015.safetensors"
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(content)
    ended = stopped.server.run(copy.parent.parent, "resume", copy.name)
    assert "is damaged: its checksum does not match its content." in " ".join(ended.text.split())
    assert compare.differences(stopped.never, copy) == ["run.json/announcements: 1 and 0 items"]


def test_a_number_on_record_that_changed_is_told(stopped: Stopped) -> None:
    copy = stopped.copy()
    replace(copy / "metrics.jsonl", b'"progress/images_seen": 512.0', b'"progress/images_seen": 513.0')
    assert resume(stopped, copy, "a number changed") == "record lost"
