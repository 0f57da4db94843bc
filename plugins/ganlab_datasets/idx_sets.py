"""MNIST and two data sets in its format, read from disk or downloaded: 70,000 grey images of 28 x 28 pixels in 10 classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ganlab.components import DatasetSpec, ResidentDataset
from ganlab.errors import DataUnavailable, UsageError
from ganlab_datasets.classes import Classes, classes_of, keep_classes
from ganlab_datasets.idx import find_idx, read_idx
from ganlab_datasets.values import ValueRange, scale_and_offset

SIDE = 28
PATIENCE = 15.0  # seconds; with the import of torchvision, a run without a network knows that within 20 s
DIGITS = tuple(str(digit) for digit in range(10))
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

Split = Annotated[Literal["train", "test"], Field(description="60,000 training images, or 10,000 test images")]
Patience = Annotated[float, Field(gt=0, le=600, description="seconds without a byte after which a mirror is given up")]


@dataclass(frozen=True)
class IdxSet:
    """A data set that torchvision keeps in four IDX files."""

    title: str
    folder: str  # also the name of torchvision's class
    class_names: tuple[str, ...]

    def files(self, split: str) -> tuple[str, str]:
        """The names of the files with the images and with the labels."""
        stem = "train" if split == "train" else "t10k"
        return f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte"


MNIST = IdxSet("MNIST", "MNIST", DIGITS)
FASHION = IdxSet("Fashion-MNIST", "FashionMNIST", CLOTHES)
KUZUSHIJI = IdxSet("Kuzushiji-MNIST", "KMNIST", KANA)


def mnist(
    spec: DatasetSpec,
    *,
    range: ValueRange = (-1.0, 1.0),
    classes: Annotated[Classes, classes_of(DIGITS)] = (),
    split: Split = "train",
    patience: Patience = PATIENCE,
) -> ResidentDataset:
    """Handwritten digits: 60,000 grey images of 28 x 28 pixels in 10 classes (LeCun et al., 1998).

    Read from ``MNIST/raw`` in the data folder, plain or ``.gz``; downloaded into it if it is missing.

    Raises:
        DataUnavailable: it is missing, and may not or cannot be downloaded.
        UsageError: a file is damaged, or a class does not exist.
    """
    return _load(MNIST, spec, range, classes, split, patience)


def fashion_mnist(
    spec: DatasetSpec,
    *,
    range: ValueRange = (-1.0, 1.0),
    classes: Annotated[Classes, classes_of(CLOTHES)] = (),
    split: Split = "train",
    patience: Patience = PATIENCE,
) -> ResidentDataset:
    """Clothes: 60,000 grey images of 28 x 28 pixels in 10 classes (Xiao, Rasul and Vollgraf, 2017, arXiv:1708.07747).

    Read from ``FashionMNIST/raw`` in the data folder, plain or ``.gz``; downloaded into it if it is missing.

    Raises:
        DataUnavailable: it is missing, and may not or cannot be downloaded.
        UsageError: a file is damaged, or a class does not exist.
    """
    return _load(FASHION, spec, range, classes, split, patience)


def kmnist(
    spec: DatasetSpec,
    *,
    range: ValueRange = (-1.0, 1.0),
    classes: Annotated[Classes, classes_of(KANA)] = (),
    split: Split = "train",
    patience: Patience = PATIENCE,
) -> ResidentDataset:
    """Cursive Japanese characters: 60,000 grey images of 28 x 28 pixels in 10 classes (Clanuwat et al., 2018, arXiv:1812.01718).

    Read from ``KMNIST/raw`` in the data folder, plain or ``.gz``; downloaded into it if it is missing.

    Raises:
        DataUnavailable: it is missing, and may not or cannot be downloaded.
        UsageError: a file is damaged, or a class does not exist.
    """
    return _load(KUZUSHIJI, spec, range, classes, split, patience)


def _load(idx_set: IdxSet, spec: DatasetSpec, range: tuple[float, float], classes: Classes, split: str, patience: float) -> ResidentDataset:
    scale, offset = scale_and_offset(range)
    raw = spec.root / idx_set.folder / "raw"
    if _missing(idx_set, raw, split):
        _obtain(idx_set, spec, raw, split, patience)
    images, labels = _read(idx_set, raw, split)
    kept, labels, names = keep_classes(labels, idx_set.class_names, classes)
    images = images if kept is None else images[kept]

    def held_out() -> ResidentDataset | None:
        other = "test" if split == "train" else "train"
        return None if _missing(idx_set, raw, other) else _load(idx_set, spec, range, classes, other, patience)

    return ResidentDataset(
        images, labels, scale=scale, offset=offset, range=range, class_names=names, held_out=held_out,
        complete=lambda: _load(idx_set, spec, range, (), split, patience) if classes else None,
    )  # fmt: skip


def _missing(idx_set: IdxSet, raw: Path, split: str) -> list[str]:
    return [name for name in idx_set.files(split) if find_idx(raw, name) is None]


def _obtain(idx_set: IdxSet, spec: DatasetSpec, raw: Path, split: str, patience: float) -> None:
    by_hand = (
        f"put {' and '.join(idx_set.files(split))} (or their .gz) into {raw}, name another folder with --data-root DIR or GANLAB_DATA, "
        "or train on data that needs no network: --set data.use=digits (a shipped recipe's [fallback] says what suits them)"
    )
    if not spec.download:
        raise DataUnavailable(
            f"{idx_set.title} is not in {raw} yet", f"`ganlab run` downloads it where the network allows. Without the network, {by_hand}"
        )
    from ganlab_datasets.download import DownloadFailed, download  # imports requests

    try:
        download(idx_set.folder, spec.root, patience, lambda: not _missing(idx_set, raw, split))
    except DownloadFailed as error:
        raise DataUnavailable(f"{idx_set.title} is not in {raw} and cannot be downloaded: {error}", f"P{by_hand[1:]}") from error


def _read(idx_set: IdxSet, raw: Path, split: str) -> tuple[Tensor, Tensor]:
    paths = [find_idx(raw, name) for name in idx_set.files(split)]
    images_path, labels_path = (path for path in paths if path is not None)
    images = read_idx(images_path, (None, SIDE, SIDE))
    labels = read_idx(labels_path, (None,))
    if len(images) != len(labels):
        raise UsageError(
            f"{images_path} holds {len(images)} images, and {labels_path} {len(labels)} labels: they do not belong together",
            f"delete both and run again to download them anew: rm '{images_path}' '{labels_path}'",
        )
    if int(labels.max()) >= len(idx_set.class_names):
        raise UsageError(
            f"{labels_path} is damaged: it holds the label {int(labels.max())}, and {idx_set.title} has {len(idx_set.class_names)} classes",
            f"delete it and run again to download it anew: rm '{labels_path}'",
        )
    return torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels).long()  # (count, 1, 28, 28), (count,)
