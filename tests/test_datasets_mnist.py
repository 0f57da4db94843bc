"""MNIST and its kin read from disk: what is shown to the networks, which classes, and what is said of damaged files."""

from __future__ import annotations

import gzip
import os
import re
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest
import torch

import ganlab_datasets
from ganlab.components import Dataset, DatasetSpec
from ganlab.errors import DataUnavailable, UsageError
from ganlab.registry.catalogue import Catalogue
from ganlab.registry.options import options_model, plain, validate_options
from ganlab_datasets import fashion_mnist, kmnist, mnist
from ganlab_datasets.classes import pick_classes
from ganlab_datasets.idx_sets import CLOTHES

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def idx(values: np.ndarray) -> bytes:
    """``values`` as an IDX file of bytes."""
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


def some_images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def write_set(root: Path, folder: str = "MNIST", count: int = 20) -> Path:
    """A small set in torchvision's layout: image i has label i % 10; 5 test images of label 9. Returns the folder of the files."""
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    (raw / IMAGES).write_bytes(idx(some_images(count)))
    (raw / LABELS).write_bytes(idx(np.arange(count) % 10))
    (raw / "t10k-images-idx3-ubyte").write_bytes(idx(some_images(5, seed=1)))
    (raw / "t10k-labels-idx1-ubyte").write_bytes(idx(np.full(5, 9)))
    return raw


def here(root: Path) -> DatasetSpec:
    return DatasetSpec(root, seed=0, download=False)


def test_the_plugin_brings_seven_data_sets() -> None:
    catalogue = Catalogue()
    catalogue.add(ganlab_datasets, "datasets", "ganlab")
    assert catalogue.names("dataset") == ["digits", "fashion_mnist", "grid", "image_folder", "kmnist", "mnist", "ring"]
    assert all(entry.summary for entry in catalogue.entries())


def test_files_on_disk_are_read_without_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path)
    monkeypatch.setitem(sys.modules, "torchvision", None)  # importing it would raise
    data: Dataset = mnist(here(tmp_path))
    data.place(torch.device("cpu"), torch.float32)
    batch = data.fetch(torch.tensor([13, 2]))
    stored = torch.from_numpy(some_images(20)[[13, 2]]).unsqueeze(1)
    assert torch.equal(batch.images, stored.float().mul(2 / 255).add(-1))
    assert batch.labels is not None and batch.labels.tolist() == [3, 2]
    assert batch.labels.dtype == torch.int64
    assert (len(data), data.shape, data.range) == (20, (1, 28, 28), (-1.0, 1.0))
    assert list(data.class_names) == [str(digit) for digit in range(10)]


def test_compressed_files_are_read_too_and_the_plain_one_comes_first(tmp_path: Path) -> None:
    raw = write_set(tmp_path)
    plainly = mnist(here(tmp_path))
    (raw / f"{IMAGES}.gz").write_bytes(b"not looked at while the plain file is there")
    assert mnist(here(tmp_path)).fingerprint() == plainly.fingerprint()
    for name in (IMAGES, LABELS):
        (raw / f"{name}.gz").write_bytes(gzip.compress((raw / name).read_bytes()))
        (raw / name).unlink()
    assert mnist(here(tmp_path)).fingerprint() == plainly.fingerprint()


def test_the_test_split_has_its_own_files(tmp_path: Path) -> None:
    raw = write_set(tmp_path)
    (raw / IMAGES).unlink()
    data = mnist(here(tmp_path), split="test")
    assert torch.equal(data.images.squeeze(1), torch.from_numpy(some_images(5, seed=1)))
    assert data.labels is not None and data.labels.tolist() == [9] * 5


def test_each_set_has_its_folder_and_its_class_names(tmp_path: Path) -> None:
    write_set(tmp_path, "FashionMNIST", 10)
    write_set(tmp_path, "KMNIST", 30)
    assert (len(fashion_mnist(here(tmp_path))), fashion_mnist(here(tmp_path)).class_names[9]) == (10, "Ankle boot")
    assert (len(kmnist(here(tmp_path))), kmnist(here(tmp_path)).class_names[:3]) == (30, ("o", "ki", "su"))


def test_range_is_what_black_and_white_become(tmp_path: Path) -> None:
    raw = write_set(tmp_path)
    pixels = np.zeros((20, 28, 28), dtype=np.uint8)
    pixels[:, 0, 0], pixels[:, 0, 1] = 255, 51
    (raw / IMAGES).write_bytes(idx(pixels))
    data = mnist(here(tmp_path), range=(-3.0, 2.0))
    assert data.range == (-3.0, 2.0)
    assert data.fetch(torch.tensor([0])).images[0, 0, 0, :3].tolist() == pytest.approx([2.0, -2.0, -3.0])


@pytest.mark.parametrize("wrong", [(1.0, 1.0), (1.0, -1.0), (0.0, float("inf")), (float("nan"), 1.0)])
def test_a_range_that_is_none(wrong: tuple[float, float]) -> None:
    said = f"its first number must be below its second, and both finite, not [{wrong[0]}, {wrong[1]}]; [-1.0, 1.0] suits tanh"
    with pytest.raises(pydantic.ValidationError) as refused:
        validate_options(options_model(mnist, "data"), {"range": list(wrong)})
    assert [error["msg"] for error in refused.value.errors()] == [f"Value error, {said}"]


def test_classes_by_number_and_by_name(tmp_path: Path) -> None:
    write_set(tmp_path, "FashionMNIST")
    data = fashion_mnist(here(tmp_path), classes=("Bag", 1))
    assert data.class_names == ("Trouser", "Bag")
    assert data.labels is not None and data.labels.tolist() == [0, 1, 0, 1]
    assert torch.equal(data.images.squeeze(1), torch.from_numpy(some_images(20)[[1, 8, 11, 18]]))


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ((10,), "there is no class 10; choices: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ((-1,), "there is no class -1; choices: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        (("nine",), "there is no class 'nine'; choices: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ((3, "3"), "class 3 is named twice; name it once"),
    ],
)
def test_classes_that_are_none(tmp_path: Path, classes: tuple[int | str, ...], said: str) -> None:
    write_set(tmp_path)
    with pytest.raises(UsageError) as caught:
        mnist(here(tmp_path), classes=classes)
    assert str(caught.value).replace("\n", "; ") == said
    with pytest.raises(pydantic.ValidationError) as refused:  # and while the recipe is read
        validate_options(options_model(mnist, "data"), {"classes": list(classes)})
    assert [error["msg"] for error in refused.value.errors()] == [f"Value error, {said}"]


def test_choices_have_their_names_and_the_nearest_is_offered() -> None:
    with pytest.raises(UsageError) as caught:
        pick_classes(["Sneakers"], CLOTHES)
    assert str(caught.value).startswith("there is no class 'Sneakers'\ndid you mean 'Sneaker'? (choices: Ankle boot, Bag, Coat,")
    with pytest.raises(UsageError) as caught:
        pick_classes([99], CLOTHES[:3])
    assert str(caught.value) == "there is no class 99\nchoices: 0 (T-shirt/top), 1 (Trouser), 2 (Pullover)"
    with pytest.raises(UsageError, match=re.escape("choices: 0 (a0), 1 (a1), ") + ".*" + re.escape(", 19 (a19) ... 199 (a199)")):
        pick_classes([999], [f"a{number}" for number in range(200)])


def test_a_class_without_images(tmp_path: Path) -> None:
    write_set(tmp_path, count=4)
    with pytest.raises(UsageError) as caught:
        mnist(here(tmp_path), classes=(2, 7))
    assert str(caught.value) == "class 7 has no images\nclasses with images: 0, 1, 2, 3"


def damage(raw: Path, name: str, content: bytes) -> str:
    (raw / name).write_bytes(content)
    return str(raw / name)


def of(values: tuple[int, ...], missing: int = 0) -> bytes:
    return idx(np.zeros(values))[: -missing or None]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (IMAGES, b""),
        (LABELS, of((20,))[:7]),
        (IMAGES, of((20, 28, 28), missing=1)),
        (IMAGES, of((20, 28, 28)) + b"?"),
        (IMAGES, b"<!DOCTYPE html><html>"),
        (LABELS, b"\0\0\x0d\x01" + of((20,))[4:]),
        (IMAGES, of((20,)) + b"12345678"),
        (IMAGES, of((20, 32, 28))),
        (LABELS, struct.pack(">HBBI", 0, 8, 1, 0)),
    ],
)
def test_damaged_files(tmp_path: Path, name: str, content: bytes) -> None:
    path = damage(write_set(tmp_path), name, content)
    with pytest.raises(UsageError) as caught:
        mnist(here(tmp_path))
    assert not isinstance(caught.value, DataUnavailable)  # which a fallback would answer
    why = f"its {len(content)} bytes are not an IDX file of {'any' if name == LABELS else 'any x 28 x 28'} values"
    assert str(caught.value) == f"{path} is damaged: {why}\ndelete it and run again to download it anew: rm '{path}'"


@pytest.mark.parametrize("keep", [0, 5, 60])
def test_damaged_compressed_files(tmp_path: Path, keep: int) -> None:
    raw = write_set(tmp_path)
    path = damage(raw, f"{IMAGES}.gz", gzip.compress((raw / IMAGES).read_bytes())[:keep])
    (raw / IMAGES).unlink()
    with pytest.raises(UsageError) as caught:
        mnist(here(tmp_path))
    assert caught.value.message.startswith(f"{path} is damaged: it")
    assert caught.value.hint == f"delete it and run again to download it anew: rm '{path}'"


def test_images_and_labels_that_do_not_belong_together(tmp_path: Path) -> None:
    raw = write_set(tmp_path)
    damage(raw, LABELS, of((19,)))
    with pytest.raises(UsageError) as caught:
        mnist(here(tmp_path))
    assert str(caught.value) == (
        f"{raw / IMAGES} holds 20 images, and {raw / LABELS} 19 labels: they do not belong together\n"
        f"delete both and run again to download them anew: rm '{raw / IMAGES}' '{raw / LABELS}'"
    )


def test_a_label_that_no_class_has(tmp_path: Path) -> None:
    raw = write_set(tmp_path)
    damage(raw, LABELS, idx(np.full(20, 10)))
    with pytest.raises(UsageError) as caught:
        mnist(here(tmp_path))
    assert str(caught.value) == (
        f"{raw / LABELS} is damaged: it holds the label 10, and MNIST has 10 classes\n"
        f"delete it and run again to download it anew: rm '{raw / LABELS}'"
    )


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, dtype: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    path = write_set(tmp_path) / IMAGES
    monkeypatch.setattr(np, "fromfile", refuse)  # the tests may run as root, who may read everything
    with pytest.raises(UsageError) as caught:
        mnist(here(tmp_path))
    assert str(caught.value) == f"{path} cannot be read: Permission denied\ncheck its permissions: ls -l {path}"


def test_the_options_survive_the_resolved_recipe() -> None:
    model = options_model(fashion_mnist, "data")
    given: dict[str, Any] = {"classes": ["Bag", 3], "range": [0, 1]}
    values = validate_options(model, given)
    assert plain(values, model) == {"range": [0.0, 1.0], "classes": ["Bag", 3], "split": "train", "patience": 15.0}
    assert validate_options(model, plain(values, model)) == values


@pytest.mark.mnist
def test_real_mnist() -> None:
    root = Path(os.environ.get("GANLAB_DATA", ""))
    if not (root / "MNIST" / "raw" / IMAGES).is_file():
        pytest.skip("GANLAB_DATA names no folder that MNIST is in")
    data = mnist(here(root))
    assert len(data) == 60_000
    assert float(data.images.double().mean()) / 255 == pytest.approx(0.1306604762738429)  # the mean that is normalised with everywhere
    assert data.labels is not None
    assert torch.bincount(data.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert len(mnist(here(root), split="test", classes=(3, 7))) == 1010 + 1028
