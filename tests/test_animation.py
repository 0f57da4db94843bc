"""``ganlab sample --animate``: the sheets of a run, in order, each with its step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sample_support import DIGITS, RING, ganlab_says, made
from test_sample import copied

from ganlab.errors import GanlabError
from ganlab.screen.animation import STRIP, animate
from ganlab.script import FinishedRun

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return made(tmp_path_factory.mktemp("ring"), "ring", RING)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def frames(path: str | Path) -> tuple[list[np.ndarray], list[float], int]:
    """All frames, how many milliseconds each is shown, and how often they repeat (0: for ever)."""
    with Image.open(path) as image:
        loop = image.info["loop"]
        pictures, times = [], []
        for number in range(image.n_frames):
            image.seek(number)
            pictures.append(np.asarray(image.convert("RGB")))
            times.append(image.info["duration"])
    return pictures, times, loop


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_every_sheet_is_a_frame_with_its_step(suffix: str, ring: FinishedRun, here: Path, capsys: Capture) -> None:
    out = f"training{suffix}"
    words = ["--animate"] if suffix == ".png" else []  # the others say it by themselves
    said = ganlab_says(capsys, "sample", ring.path, "--out", out, "--frame-seconds", "0.1", *words)
    assert said == (0, f"{out}: 5 sheets of {ring.id}, steps 0 to 20, 0.1 s for each\n", "")
    pictures, times, loop = frames(out)
    assert (times, loop) == ([100, 100, 100, 100, 1000], 0)
    for picture, sheet in zip(pictures, ring.sheets, strict=True):
        whole = np.asarray(Image.open(sheet).convert("RGB"))
        assert np.array_equal(picture[:-STRIP], whole)  # no format loses a point's colour
    strips = [picture[-STRIP:].tobytes() for picture in pictures]
    assert len(set(strips)) == 5  # each step is another text
    assert all((picture[-STRIP:] < 100).any() for picture in pictures)
    assert [path.name for path in here.iterdir()] == [out]


def test_grey_images_lose_nothing_in_a_gif(here: Path, capsys: Capture) -> None:
    run = made(here / "digits", "mnist_mlp", DIGITS)
    code, out, _err = ganlab_says(capsys, "sample", run.path, "--animate")
    assert (code, out) == (0, f"{run.id}.gif: 3 sheets of {run.id}, steps 0 to 4, 0.2 s for each\n")
    pictures, times, _loop = frames(f"{run.id}.gif")
    assert times == [200, 200, 2000]
    for picture, sheet in zip(pictures, run.sheets, strict=True):
        assert np.array_equal(picture[:-STRIP], np.asarray(Image.open(sheet)))


def test_sheets_come_in_the_order_of_their_steps_and_may_differ_in_size(here: Path) -> None:
    for step, size in ((999_999_999, 4), (1_000_000_000, 8)):
        Image.fromarray(np.full((size, size, 3), 50, np.uint8)).save(f"step_{step}.png")
    from ganlab.records.folder import RunFolder, step_of

    folder = RunFolder(here)
    folder.samples = here
    sheets = folder.sheets()
    assert [step_of(sheet) for sheet in sheets] == [999_999_999, 1_000_000_000]
    animate(sheets, [1, 2], here / "a.gif", 0.5)
    (small, large), _times, _loop = frames("a.gif")
    assert small.shape == large.shape == (8 + STRIP, 8, 3)
    assert (small[:4, :4] == 50).all()
    assert (small[4:8] == 255).all()


def test_one_sheet_is_a_still(here: Path) -> None:
    Image.fromarray(np.full((4, 4, 3), 50, np.uint8)).save("one.png")
    animate([here / "one.png"], [0], here / "a.gif", 0.5)
    with Image.open("a.gif") as image:
        assert image.size == (4, 4 + STRIP)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--animate", "--seed", "0"], "its own fixed noise: --seed cannot change them"),
        (["--animate", "--count", "5", "--grid", "2x2"], "its own fixed noise: --count, --grid cannot change them"),
        (["--out", "x.gif", "--interpolate"], "its own fixed noise: --interpolate cannot change them"),
        (["--out", "x.gif", "--checkpoint", "last"], "its own fixed noise: --checkpoint cannot change them"),
        (["--animate", "--out", "x.mp4"], "--out x.mp4: an animation is a .gif, .png, .webp"),
        (["--animate", "--out", "taken.gif"], "taken.gif is already there"),
        (["--animate", "--frame-seconds", "0"], "Invalid value for '--frame-seconds'"),
    ],
)
def test_what_cannot_be_animated_is_refused(words: list[str], message: str, ring: FinishedRun, here: Path, capsys: Capture) -> None:
    Path("taken.gif").write_text("mine")
    code, _out, err = ganlab_says(capsys, "sample", ring.path, *words)
    assert code == 2
    assert message in err.splitlines()[0]
    assert err.splitlines()[1].startswith("hint: ")
    assert [path.name for path in here.iterdir()] == ["taken.gif"]
    assert Path("taken.gif").read_text() == "mine"


def test_a_damaged_sheet_and_none(ring: FinishedRun, here: Path, capsys: Capture) -> None:
    copy = copied(ring, here / "copy")
    sheets = sorted((copy / "samples").iterdir())
    sheets[1].write_bytes(sheets[1].read_bytes()[:60])
    code, _out, err = ganlab_says(capsys, "sample", copy, "--out", "x.gif")
    assert (code, err.splitlines()[1]) == (1, "hint: remove it to animate the other sheets")
    assert err.startswith(f"error: sheet {sheets[1]} cannot be read: ")
    assert [path.name for path in here.iterdir()] == ["copy"]
    for sheet in sheets:
        sheet.unlink()
    code, _out, err = ganlab_says(capsys, "sample", copy, "--out", "x.gif")
    assert (code, err) == (2, f"error: run {ring.id} has no sheets of samples\nhint: {copy / 'samples'} is empty\n")
    with pytest.raises(GanlabError):
        animate([here / "none.png"], [0], here / "x.gif", 1)
