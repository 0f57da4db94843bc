"""The user's own images: what is found, how it is cut, that streamed and resident are the same, and what is said of bad files."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.components import Dataset, DatasetSpec
from ganlab.errors import GanlabError, UsageError
from ganlab_datasets import completeness, folder, image_folder, reader
from ganlab_datasets.completeness import is_complete
from ganlab_datasets.decode import REPAIR, SUFFIXES, UnreadableImage, decode
from ganlab_datasets.folder import ImageFolder

SPEC = DatasetSpec(Path("nowhere"), 0, download=False)
CPU = torch.device("cpu")
ENDINGS = ".bmp .gif .jpeg .jpg .png .tif .tiff .webp .npy"


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Random pixels, ``(height, width, channels)``, or ``(height, width)`` for one channel."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8).squeeze()


def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, pixels)
    else:
        Image.fromarray(pixels).save(path, **options)
    return path


def mixed_folder(root: Path, count: int = 12) -> str:
    """Images of several kinds and shapes in two classes."""
    for number in range(count):
        suffix = ("png", "jpg", "webp", "npy")[number % 4]
        save(root / f"{'ab'[number % 2]}/{number:02d}.{suffix}", noise(20 + number, 30 - number, seed=number))
    return str(root)


def placed(data: ImageFolder, dtype: torch.dtype = torch.float32) -> ImageFolder:
    data.place(CPU, dtype)
    return data


# -- what is found -----------------------------------------------------------------------------------------------------------


def test_files_come_in_the_order_of_their_names_and_others_are_left_out(tmp_path: Path) -> None:
    for number, name in enumerate(("b.PNG", "a.bmp", "c.tiff")):
        save(tmp_path / name, np.full((4, 4), number * 10, dtype=np.uint8))
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "._a.png").write_bytes(b"what macOS leaves behind")
    save(tmp_path / ".hidden" / "d.png", noise(4, 4))
    save(tmp_path / "__MACOSX" / "e.png", noise(4, 4))
    data: Dataset = image_folder(SPEC, path=str(tmp_path), size=4, channels=1, range=(0.0, 255.0))
    batch = data.fetch(torch.tensor([0, 1, 2]))
    assert batch.images[:, 0, 0, 0].tolist() == [10.0, 0.0, 20.0]
    assert batch.labels is None
    assert (len(data), data.shape, list(data.class_names)) == (3, (1, 4, 4), [])


def test_sub_folders_are_classes(tmp_path: Path) -> None:
    for name in ("dogs/x.png", "cats/deeper/y.png", "cats/z.png"):
        save(tmp_path / name, noise(4, 4))
    data = image_folder(SPEC, path=str(tmp_path), size=4)
    labels = data.fetch(torch.arange(3)).labels
    assert data.listing.files == ["cats/deeper/y.png", "cats/z.png", "dogs/x.png"]
    assert data.class_names == ("cats", "dogs")
    assert labels is not None and labels.tolist() == [0, 0, 1]
    without = image_folder(SPEC, path=str(tmp_path), size=4, labels="none")
    assert (len(without), without.class_names, without.fetch(torch.arange(3)).labels) == (3, (), None)
    assert without.fingerprint() != data.fingerprint()


def test_classes_are_picked(tmp_path: Path) -> None:
    for name in ("dogs/x.png", "cats/y.png", "birds/z.png"):
        save(tmp_path / name, noise(4, 4, seed=len(name)))
    data = image_folder(SPEC, path=str(tmp_path), size=4, classes=("dogs", 0))
    assert (data.class_names, data.listing.files) == (("birds", "dogs"), ["birds/z.png", "dogs/x.png"])
    assert data.listing.labels is not None and data.listing.labels.tolist() == [0, 1]
    with pytest.raises(UsageError) as caught:
        image_folder(SPEC, path=str(tmp_path), size=4, classes=("dog",))
    assert str(caught.value) == "there is no class 'dog'\ndid you mean 'dogs'? (choices: birds, cats, dogs)"
    with pytest.raises(UsageError) as caught:
        image_folder(SPEC, path=str(tmp_path), size=4, classes=("dogs",), labels="none")
    assert str(caught.value) == (
        f"{tmp_path}: its images have no classes to choose from\ntake the option `classes` out, or sort the images into sub-folders"
    )


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "x.png", noise(4, 4))
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "images")
    assert image_folder(SPEC, path=str(tmp_path / "images"), size=4).listing.files == ["linked/x.png"]


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "pictures" / "x.png", noise(4, 4))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(image_folder(SPEC, path="~/pictures", size=4)) == 1
    monkeypatch.chdir(tmp_path)
    assert len(image_folder(SPEC, path="pictures", size=4)) == 1


def folder_error(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        image_folder(SPEC, path=str(path), size=4)
    return str(caught.value)


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    root = tmp_path / "pictures"
    root.mkdir()
    begins = "A path that does not begin with / begins in the folder that ganlab is started in."
    assert folder_error(tmp_path / "picture") == f"there is no folder {tmp_path}/picture\ndid you mean {root}? {begins}"
    assert folder_error(tmp_path / "x" / "y") == f"there is no folder {tmp_path}/x/y\n{begins}"
    assert folder_error(root) == f"{root} has no images\nfiles are taken by their ending: {ENDINGS}"
    (root / "notes.txt").touch()
    assert folder_error(root) == (
        f"{root} has no images, only 1 other files (such as notes.txt)\nfiles are taken by their ending: {ENDINGS}"
    )
    assert folder_error(root / "notes.txt") == f"{root}/notes.txt is not a folder\ndata.path must name the folder that the images are in"
    save(root / "cats" / "x.png", noise(4, 4))
    (root / "empty").mkdir()
    assert folder_error(root) == (
        f"{root} has a sub-folder without images: empty\nremove it, or use the images without classes: --set data.labels=none"
    )
    save(root / "y.png", noise(4, 4))
    assert folder_error(root) == (
        f"{root} has 1 images that are in no sub-folder (such as y.png), beside sub-folders that are classes\n"
        "move them into a sub-folder, or use the images without classes: --set data.labels=none"
    )


# -- how an image is made ----------------------------------------------------------------------------------------------------


def test_an_image_of_the_right_size_is_not_changed(tmp_path: Path) -> None:
    pixels = noise(28, 28)
    assert np.array_equal(decode(save(tmp_path / "x.png", pixels), 28, 3), pixels.transpose(2, 0, 1))
    assert np.array_equal(decode(save(tmp_path / "y.png", pixels[:, :, 0]), 28, 1)[0], pixels[:, :, 0])


@pytest.mark.parametrize(("height", "width"), [(40, 100), (100, 40), (41, 40)])
def test_the_middle_is_cut_out(tmp_path: Path, height: int, width: int) -> None:
    pixels = np.zeros((height, width), dtype=np.uint8)
    top, left = (height - 40) // 2, (width - 40) // 2
    pixels[top : top + 40, left : left + 40] = noise(40, 40, 1)
    found = decode(save(tmp_path / "x.png", pixels), 40, 1)
    assert np.array_equal(found[0], pixels[top : top + 40, left : left + 40])


def test_the_shorter_side_is_scaled(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8)[:, None], (1, 256))
    found = decode(save(tmp_path / "x.png", ramp), 16, 1)[0].astype(int)
    assert found.shape == (16, 16)
    assert np.abs(found - np.linspace(6, 249, 16)[:, None]).max() <= 3
    assert np.abs(decode(save(tmp_path / "y.png", ramp[:8, :8]), 16, 1).astype(int)).max() <= 40  # enlarged as well


@pytest.mark.parametrize(("details", "size"), [(8, 32), (60, 200)])
def test_a_large_jpeg_is_close_to_the_same_picture_as_png(tmp_path: Path, details: int, size: int) -> None:
    smooth = np.asarray(Image.fromarray(noise(details, details)).resize((800, 600), Image.Resampling.BICUBIC))
    as_png, as_jpeg = (
        decode(save(tmp_path / f"x.{suffix}", smooth, **options), size, 3).astype(int)
        for suffix, options in (("png", {}), ("jpg", {"quality": 98, "subsampling": 0}))
    )
    assert np.abs(as_png - as_jpeg).mean() < 1  # a shift by half a pixel would be more than 3


def test_colours_become_what_is_asked_for(tmp_path: Path) -> None:
    red = np.zeros((4, 4, 3), dtype=np.uint8)
    red[..., 0] = 255
    path = save(tmp_path / "red.png", red)
    assert [decode(path, 4, channels)[:, 0, 0].tolist() for channels in (1, 2, 3, 4)] == [[76], [76, 255], [255, 0, 0], [255, 0, 0, 255]]
    assert decode(save(tmp_path / "grey.png", noise(4, 4, 1)), 4, 3)[:, 2, 3].tolist() == [noise(4, 4, 1)[2, 3]] * 3


def test_what_is_transparent_becomes_white_where_no_channel_holds_it(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 4), dtype=np.uint8)
    pixels[:, 2:, 3] = 255  # black, and transparent on the left
    path = save(tmp_path / "x.png", pixels)
    assert decode(path, 4, 3)[:, 0].tolist() == [[255, 255, 0, 0]] * 3
    assert decode(path, 4, 1)[0, 0].tolist() == [255, 255, 0, 0]
    assert decode(path, 4, 4)[3, 0].tolist() == [0, 0, 255, 255]
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([200, 0, 0, 0, 0, 200])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "p.png", transparency=bytes([255, 0]))
    assert decode(tmp_path / "p.png", 2, 3)[:, 0].tolist() == [[200, 255], [0, 255], [0, 255]]


def test_deep_images_and_turned_ones(tmp_path: Path) -> None:
    deep = np.array([[0, 256], [0x8000, 0xFFFF]], dtype=np.uint16)
    assert decode(save(tmp_path / "deep.png", deep), 2, 1)[0].tolist() == [[0, 1], [128, 255]]
    assert decode(save(tmp_path / "deep.tif", deep), 2, 3)[2].tolist() == [[0, 1], [128, 255]]
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the right side is up
    pixels = np.array([[0, 50], [100, 150]], dtype=np.uint8)
    assert decode(save(tmp_path / "turned.png", pixels, exif=exif), 2, 1)[0].tolist() == [[100, 0], [150, 50]]


def test_arrays_may_have_any_number_of_channels(tmp_path: Path) -> None:
    pixels = noise(6, 9, 7)
    for number in range(3):
        save(tmp_path / f"{number}.npy", pixels)
    data = placed(image_folder(SPEC, path=str(tmp_path), size=6, channels=7, range=(0.0, 255.0)))
    assert np.array_equal(data.fetch(torch.tensor([1])).images[0].numpy(), pixels[:, 1:7].transpose(2, 0, 1))
    assert data.picture(data.fetch(torch.arange(3)).images).shape == (2 * 8 + 2, 2 * 8 + 2, 3)
    data.columns = 3
    assert data.picture(data.fetch(torch.arange(3)).images).shape == (8 + 2, 3 * 8 + 2, 3)
    assert np.array_equal(decode(save(tmp_path / "flat.npy", pixels[..., 0]), 6, 1)[0], pixels[:, 1:7, 0])


def broken(path: Path, channels: int = 3) -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        decode(path, 8, channels)
    return caught.value.message, caught.value.hint


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    whole = save(tmp_path / "x.png", noise(64, 64)).read_bytes()
    for name, content in (("cut.png", whole[:2000]), ("not.jpg", b"<html>"), ("none.webp", b""), ("not.npy", b"123")):
        (tmp_path / name).write_bytes(content)
        message, hint = broken(tmp_path / name)
        assert message.startswith(f"{tmp_path / name} cannot be read as an image: ")
        assert hint == REPAIR
    assert broken(tmp_path / "x.png", channels=5) == (
        f"{tmp_path}/x.png cannot have 5 channels",
        "a picture has 1 to 4; data of other channel counts must be .npy files, or set data.channels",
    )
    assert broken(save(tmp_path / "f.tif", np.zeros((4, 4), dtype=np.float32))) == (
        f"{tmp_path}/f.tif has 32 bits a pixel, and ganlab shows 8",
        "save it with 8 or 16 bits, or as a uint8 .npy file",
    )
    for name, array, found in (
        ("a.npy", np.zeros((8, 8, 2), dtype=np.uint8), "uint8 (8, 8, 2)"),
        ("b.npy", np.zeros((8, 8, 3)), "float64 (8, 8, 3)"),
        ("c.npy", np.zeros(3, dtype=np.uint8), "uint8 (3,)"),
    ):
        assert broken(save(tmp_path / name, array)) == (
            f"{tmp_path / name} holds {found}, not uint8 (height, width, 3)",
            "save it so, or set data.channels to what the files have",
        )


# -- resident and streamed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("range", [(-1.0, 1.0), (0.0, 1.0), (0.0, 255.0)])
def test_streamed_and_resident_are_the_same_bit_for_bit(tmp_path: Path, dtype: torch.dtype, range: tuple[float, float]) -> None:
    path = mixed_folder(tmp_path)
    kept = placed(image_folder(SPEC, path=path, size=16, range=range, resident="always"), dtype)
    streamed = placed(image_folder(SPEC, path=path, size=16, range=range, resident="never"), dtype)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    for batch in torch.split(order.repeat(3), 5):
        streamed.prefetch(batch)
        first, second = kept.fetch(batch), streamed.fetch(batch)
        assert first.images.dtype == dtype
        assert torch.equal(first.images, second.images)
        assert first.labels is not None and second.labels is not None
        assert torch.equal(first.labels, second.labels)
    assert kept.fingerprint() == streamed.fingerprint()


def test_memory_decides(tmp_path: Path) -> None:
    path = mixed_folder(tmp_path, 4)
    needed = 4 * 3 * 16 * 16 / 2**30
    assert image_folder(SPEC, path=path, size=16, memory=needed).resident
    assert not image_folder(SPEC, path=path, size=16, memory=needed * 0.99).resident
    assert image_folder(SPEC, path=path, size=16, memory=needed * 0.99, resident="always").resident
    assert not image_folder(SPEC, path=path, size=16, resident="never").resident


def test_resident_images_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []

    def counted(path: Path, size: int, channels: int) -> np.ndarray:
        decoded.append(path.name)
        return decode(path, size, channels)

    monkeypatch.setattr(reader, "decode", counted)
    data = image_folder(SPEC, path=mixed_folder(tmp_path, 8), size=8, resident="always")
    assert decoded == []  # so that listing is quick; `place` is when a run, or `ganlab check`, builds its parts
    data.place(CPU, torch.float32)
    data.prefetch(torch.arange(4))
    data.fetch(torch.arange(4))
    data.fetch(torch.arange(4))
    assert len(decoded) == 8


def test_prefetch_begins_to_decode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, threads = threading.Event(), list[str]()

    def seen(path: Path, size: int, channels: int) -> np.ndarray:
        threads.append(threading.current_thread().name)
        started.set()
        return decode(path, size, channels)

    data = placed(image_folder(SPEC, path=mixed_folder(tmp_path), size=8, resident="never"))
    monkeypatch.setattr(reader, "decode", seen)
    batch = torch.tensor([3, 1])
    data.prefetch(batch)
    assert started.wait(30)
    assert all(name.startswith("images") for name in threads)
    pending = data._reader._pending
    assert [len(entry.tasks) for entry in pending.values()] == [2]
    data.prefetch(batch)
    images = data.fetch(batch).images
    data._reader.close()  # waits for the threads
    assert not pending
    assert len(threads) == 2  # asked for twice, and decoded once
    assert torch.equal(images, data.fetch(batch).images)


def test_what_is_never_fetched_is_dropped(tmp_path: Path) -> None:
    data = placed(image_folder(SPEC, path=mixed_folder(tmp_path), size=8, resident="never"))
    for number in range(12):
        data.prefetch(torch.tensor([number]))
    assert len(data._reader._pending) == reader.AHEAD
    first = data.fetch(torch.tensor([0])).images  # dropped, and decoded again
    assert torch.equal(first, image_folder(SPEC, path=str(tmp_path), size=8).fetch(torch.tensor([0])).images)


def test_bad_files_are_found_before_the_first_step(tmp_path: Path) -> None:
    path = mixed_folder(tmp_path)
    for number in range(27):
        (tmp_path / "a" / f"bad{number:02d}.png").write_bytes(b"?")
    resident = image_folder(SPEC, path=path, size=8)
    with pytest.raises(UsageError) as caught:
        resident.place(CPU, torch.float32)
    lines = caught.value.message.split("\n")
    assert lines[0] == "27 images cannot be used:"
    assert [line.split(" ")[0] for line in lines[1:21]] == [f"{tmp_path}/a/bad{number:02d}.png" for number in range(20)]
    assert lines[21:] == ["and 7 more"]
    assert caught.value.hint == f"{REPAIR}\nor use other images instead: `--set data.unreadable=skip`"
    streamed = image_folder(SPEC, path=path, size=8, resident="never")
    with pytest.raises(UsageError) as caught_again:
        streamed.place(CPU, torch.float32)
    assert caught_again.value.message == caught.value.message


def test_a_file_that_breaks_later_is_named(tmp_path: Path) -> None:
    data = placed(image_folder(SPEC, path=mixed_folder(tmp_path), size=8, resident="never"))
    gone = tmp_path / data.listing.files[2]
    gone.unlink()
    data.prefetch(torch.tensor([2]))
    with pytest.raises(GanlabError) as caught:
        data.fetch(torch.tensor([2]))
    assert not isinstance(caught.value, UsageError)  # something has been trained by now
    assert caught.value.message == f"{gone} cannot be read as an image: [Errno 2] No such file or directory: '{gone}'"


def test_an_error_of_the_code_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise ZeroDivisionError("a mistake in the code, not in a file")

    data = image_folder(SPEC, path=mixed_folder(tmp_path), size=8)
    monkeypatch.setattr(reader, "decode", fail)
    with pytest.raises(ZeroDivisionError):
        data.place(CPU, torch.float32)


def test_the_fingerprint_is_of_names_sizes_and_options(tmp_path: Path) -> None:
    path = mixed_folder(tmp_path)
    first = image_folder(SPEC, path=path, size=8).fingerprint()
    assert first == image_folder(SPEC, path=path, size=8, resident="never").fingerprint()
    assert first != image_folder(SPEC, path=path, size=9).fingerprint()
    assert first != image_folder(SPEC, path=path, size=8, channels=1).fingerprint()
    renamed = tmp_path / "a" / "00.png"
    renamed.rename(tmp_path / "a" / "01.png")
    second = image_folder(SPEC, path=path, size=8).fingerprint()
    (tmp_path / "a" / "01.png").write_bytes(b"shorter")
    assert len({first, second, image_folder(SPEC, path=path, size=8).fingerprint()}) == 3
    os.utime(tmp_path / "a" / "02.webp", (0, 0))
    assert image_folder(SPEC, path=path, size=8).fingerprint() == image_folder(SPEC, path=path, size=8, memory=1.0).fingerprint()


# -- files that are cut, replaced or skipped ---------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_cut_file_is_found_before_the_first_step(suffix: str, tmp_path: Path) -> None:
    for number in range(70):
        save(tmp_path / f"{number:03d}{suffix}", noise(12, 12, seed=number))
    cut = tmp_path / f"022{suffix}"  # not one of those that are decoded at once
    whole = cut.read_bytes()
    assert is_complete(cut, 3) == (suffix not in (".tif", ".tiff"))  # of these the end tells nothing
    for share in (0.5, 0.9):
        cut.write_bytes(whole[: int(share * len(whole))])
        assert not is_complete(cut, 3)
        with pytest.raises(UsageError) as caught:
            placed(image_folder(SPEC, path=str(tmp_path), size=8, resident="never"))
        assert caught.value.message.startswith(f"{cut} cannot be read as an image: ")
    placed(image_folder(SPEC, path=str(tmp_path), size=8, resident="never", check=0))  # switched off
    cut.write_bytes(whole + b"\0\0\n")  # some programs pad their files
    placed(image_folder(SPEC, path=str(tmp_path), size=8, resident="never"))


def test_the_check_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Path] = []
    monkeypatch.setattr(completeness, "is_complete", lambda path, channels: bool(looked.append(path)) or True)
    for number in range(50):
        save(tmp_path / f"{number:02d}.png", noise(8, 8, seed=number))
    placed(image_folder(SPEC, path=str(tmp_path), size=8, resident="never", check=5))
    assert sorted(path.name for path in looked) == ["00.png", "12.png", "24.png", "36.png", "49.png"]
    looked.clear()
    placed(image_folder(SPEC, path=str(tmp_path), size=8, resident="never"))
    assert len(looked) == 50


@pytest.mark.parametrize("resident", ["never", "always"])
def test_unreadable_files_are_skipped_if_asked_for(resident: Any, tmp_path: Path) -> None:
    path = mixed_folder(tmp_path)
    files = image_folder(SPEC, path=path, size=8).listing.files  # six of class a, then six of class b
    for index in (4, 5, 9):
        (tmp_path / files[index]).write_bytes(b"?")
    data = image_folder(SPEC, path=path, size=8, resident=resident, unreadable="skip")
    told: list[str] = []
    data.announce = told.append
    data.place(CPU, torch.float32)
    everything = data.fetch(torch.arange(12))
    assert told[0].startswith("Unreadable images are skipped (3):\n")
    assert len(told) == 1
    assert data.unreadable == [files[index] for index in (4, 5, 9)]
    for index, substitute in ((4, 0), (5, 0), (9, 10)):  # the next one of the same class that can be read
        assert f"{tmp_path / files[substitute]} is used" in told[0]
        assert torch.equal(everything.images[index], everything.images[substitute])
    assert everything.labels is not None and everything.labels.tolist() == [0] * 6 + [1] * 6
    for file in files:
        (tmp_path / file).write_bytes(b"?")
    with pytest.raises(UsageError, match="12 images cannot be used"):
        image_folder(SPEC, path=path, size=8, resident=resident, unreadable="skip").place(CPU, torch.float32)


def test_the_last_image_of_a_large_class_has_a_substitute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The images that come after it are of another class: more of them than are looked at."""
    monkeypatch.setattr(folder, "SUBSTITUTES", 3)
    path = mixed_folder(tmp_path)  # six of class a, then six of class b
    data = image_folder(SPEC, path=path, size=8, resident="never", unreadable="skip")
    for index in (5, 11):
        (tmp_path / data.listing.files[index]).write_bytes(b"?")
    placed(data)
    images = data.fetch(torch.arange(12)).images
    assert torch.equal(images[5], images[0]) and torch.equal(images[11], images[6])


def test_an_unreadable_folder_costs_no_more_than_two_looks_at_each_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Path] = []

    def fail(path: Path, size: int, channels: int) -> None:
        looked.append(path)
        raise UnreadableImage(f"{path} cannot be read as an image: a test", REPAIR)

    monkeypatch.setattr(reader, "decode", fail)
    data = image_folder(SPEC, path=mixed_folder(tmp_path, 20), size=8, resident="always", unreadable="skip")
    with pytest.raises(UsageError, match="20 images cannot be used") as caught:
        data.place(CPU, torch.float32)
    assert len(looked) <= 40 + reader.THREADS  # threads may look at the same file at the same time
    assert caught.value.hint == f"{REPAIR}\nno image of the same class that could take its place can be read"


def test_each_kind_of_mistake_has_its_hint(tmp_path: Path) -> None:
    path = mixed_folder(tmp_path)
    save(tmp_path / "a" / "two.npy", noise(8, 8, 2))
    wrong_channels = "save it so, or set data.channels to what the files have"
    for resident in ("never", "always"):
        with pytest.raises(UsageError) as caught:
            image_folder(SPEC, path=path, size=8, resident=resident).place(CPU, torch.float32)
        assert caught.value.hint == wrong_channels
    (tmp_path / "a" / "00.png").write_bytes(b"?")
    for resident in ("never", "always"):
        with pytest.raises(UsageError, match="2 images cannot be used") as caught:
            image_folder(SPEC, path=path, size=8, resident=resident).place(CPU, torch.float32)
        assert caught.value.hint == f"{REPAIR}\n{wrong_channels}\nor use other images instead: `--set data.unreadable=skip`"


def test_broken_links_are_unreadable_files(tmp_path: Path) -> None:
    path = mixed_folder(tmp_path)
    for name in ("a/00.png", "b/01.jpg"):
        (tmp_path / name).unlink()
        (tmp_path / name).symlink_to("gone")
    with pytest.raises(UsageError, match=r"(?s)2 images cannot be used.*00\.png.*01\.jpg"):
        image_folder(SPEC, path=path, size=8, resident="never").place(CPU, torch.float32)
    assert placed(image_folder(SPEC, path=path, size=8, unreadable="skip")).unreadable == ["a/00.png", "b/01.jpg"]


@pytest.mark.parametrize("resident", ["never", "always"])
def test_files_that_are_held_out_are_checked_before_the_first_step(resident: Any, tmp_path: Path) -> None:
    path, other = mixed_folder(tmp_path / "images"), Path(mixed_folder(tmp_path / "other"))
    (other / "a" / "00.png").write_bytes(b"?")
    with pytest.raises(UsageError, match=r"other/a/00\.png cannot be read"):
        image_folder(SPEC, path=path, size=8, resident=resident, held_out=other).place(CPU, torch.float32)
    placed(image_folder(SPEC, path=path, size=8, resident=resident, held_out=other, unreadable="skip"))
