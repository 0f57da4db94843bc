"""Data sets of the user's own images, kept in memory if they fit, else streamed from disk. Both give the same batches."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import BeforeValidator, Field
from torch import Tensor

from ganlab.components import Batch, DatasetSpec, ResidentDataset
from ganlab.errors import DataError, UsageError
from ganlab_datasets.classes import Classes, keep_classes
from ganlab_datasets.completeness import unreadable_files
from ganlab_datasets.listing import Labels, Listing, list_images
from ganlab_datasets.reader import SHOWN, Reader, all_unusable
from ganlab_datasets.values import ValueRange, scale_and_offset

GIB = 2**30
log = logging.getLogger("ganlab.data")
SUBSTITUTES = 1000  # images after an unreadable one that may take its place, at most
TRIED = 64  # streamed images that are decoded before the first step, to find mistakes early


class ImageFolder:
    """Image files as a data set: decoded once and kept, or decoded for each batch.

    Args:
        listing: the files and their labels.
        size: height and width of the decoded images.
        channels: of each image.
        range: the values shown for black and for white.
        resident: whether to keep all images in the device's memory.
        skip: put other images in the place of unreadable ones.
        check: how many streamed files are checked for completeness before the first step.
        held_out: returns images that are not used for training, if there are any.
        complete: returns the images of all classes, if these are of some only.
    """

    def __init__(
        self,
        listing: Listing,
        size: int,
        channels: int,
        range: tuple[float, float],
        resident: bool,
        skip: bool = False,
        check: int = 0,
        held_out: Callable[[], ImageFolder | None] = lambda: None,
        complete: Callable[[], ImageFolder | None] = lambda: None,
    ) -> None:
        self.held_out, self.complete = held_out, complete
        self.listing, self.size, self.resident, self.check = listing, size, resident, check
        self.announce: Callable[[str], None] = log.warning  # the engine sets its own: it also keeps the text in run.json
        self._told: set[int] = set()  # indices of unreadable images that were announced
        self.shape: tuple[int, ...] = (channels, size, size)
        self.range: tuple[float, float] | None = range
        self.class_names: Sequence[str] = listing.class_names
        self.columns: int | None = None  # of the picture; None: as square as possible
        self.scale, self.offset = scale_and_offset(range)
        self.device, self.dtype = torch.device("cpu"), torch.float32
        self._labels = listing.labels
        self._paths = [listing.root / file for file in listing.files]
        self._reader = Reader(self._paths, size, channels, self._substitutes if skip else None)
        self._memory: ResidentDataset | None = None

    def __len__(self) -> int:
        return len(self.listing.files)

    def place(self, device: torch.device, dtype: torch.dtype) -> None:
        """Decode all images if they are kept in memory; else check that files are complete, and decode a few to find other mistakes early.

        Files that are held out are checked, too.

        Raises:
            UsageError: files are damaged, or do not have the channels asked for; the message lists them.
        """
        self.device, self.dtype = device, dtype
        held_out = self.held_out()
        if held_out is not None:
            held_out._check_files()  # now, and not when the trained generator is evaluated
        if not self.resident:
            self._check_files()
            self._read(self._spread(TRIED))
            self._labels = None if self._labels is None else self._labels.to(device)
            return
        images = self._read(torch.arange(len(self)))
        self._reader.close()
        memory = ResidentDataset(images, self._labels, scale=self.scale, offset=self.offset, range=self.range, class_names=self.class_names)
        memory.place(device, dtype)
        self._memory = memory

    def fetch(self, indices: Tensor) -> Batch:
        """The images at ``indices``, ``(batch, channels, size, size)``, and their labels.

        Raises:
            DataError: a file is damaged.
        """
        if self._memory is not None:
            return self._memory.fetch(indices)
        try:
            images = self._read(indices)
        except UsageError as error:  # a UsageError means that nothing was trained
            raise DataError(error.message, error.hint) from error
        if self.device.type == "cuda":
            images = images.pin_memory().to(self.device, non_blocking=True)  # returns before it has been copied
        shown = images.to(self.device, self.dtype).mul_(self.scale).add_(self.offset)
        return Batch(shown, None if self._labels is None else self._labels[indices.to(self._labels.device, non_blocking=True)])

    @property
    def unreadable(self) -> list[str]:
        """The files that could not be read, and that other images take the place of."""
        return [self.listing.files[index] for index in sorted(self._reader.unreadable)]

    def contents(self) -> tuple[str, dict[str, int]]:
        """A digest of all but the content of the files, and the files with their sizes in bytes."""
        digest = hashlib.sha256(repr((self.shape, self.range, self.class_names, self.listing.files)).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:16], dict(zip(self.listing.files, self.listing.sizes, strict=True))

    def _check_files(self) -> None:
        """Check that files are complete: all, or ``check`` of them, spread evenly.

        Raises:
            UsageError: some are not, and are not to be skipped.
        """
        positions = self._spread(self.check).tolist()
        errors = unreadable_files([self._paths[position] for position in positions], self.size, self.shape[0], self._reader.threads)
        if errors and not self._reader.has_substitutes:
            raise all_unusable(list(errors.values()), skipping=False)
        if errors:
            self._read(torch.tensor([positions[position] for position in errors]))

    def _spread(self, count: int) -> Tensor:
        """The indices of ``count`` files, or of all, spread evenly over the folder."""
        if count >= len(self):
            return torch.arange(len(self))
        return torch.linspace(0, len(self) - 1, count, dtype=torch.float64).long()

    def _read(self, indices: Tensor) -> Tensor:
        """The images at ``indices``. Images that took the place of unreadable ones are announced once."""
        images = self._reader.read(indices)
        if len(self._reader.unreadable) > len(self._told):
            new = sorted(self._reader.unreadable.keys() - self._told)
            self._told.update(new)
            listed = [f"{self._reader.unreadable[index][1]}; {self._paths[self._reader.unreadable[index][0]]} is used" for index in new]
            more = [f"and {len(listed) - SHOWN} more"] if len(listed) > SHOWN else []
            self.announce("\n".join([f"Unreadable images are skipped ({len(new)}):", *listed[:SHOWN], *more]))
        return images

    def _substitutes(self, index: int) -> Iterator[int]:
        """The images of the same class after the one at ``index``, and after the last one those from the first."""
        same = np.arange(len(self)) if self.listing.labels is None else np.flatnonzero(self.listing.labels == self.listing.labels[index])
        others = np.concatenate([same[same > index], same[same < index]])
        return iter(others[:SUBSTITUTES].tolist())

    def prefetch(self, indices: Tensor) -> None:
        """Start to decode the images at ``indices``, unless all are in memory."""
        if self._memory is None:
            self._reader.start(indices)

    def picture(self, samples: Tensor) -> np.ndarray:
        """A sheet of images."""
        from ganlab.pictures import image_grid

        return image_grid(samples, self.range, self.columns)

    def fingerprint(self) -> str:
        """A digest of the files' names and sizes in bytes, the classes, and the shape and range of the images. Reads no file."""
        digest = hashlib.sha256(repr((self.shape, self.range, self.class_names)).encode())
        for file, size in zip(self.listing.files, self.listing.sizes, strict=True):
            digest.update(f"{file}\0{size}\0".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:16]


def _named(path: object) -> object:
    if path == "":
        raise ValueError("must name a folder")
    return path


def image_folder(
    spec: DatasetSpec,
    *,
    path: Annotated[Path, BeforeValidator(_named)],
    size: Annotated[int, Field(ge=1, le=4096)] = 64,
    channels: Annotated[int, Field(ge=1, le=256)] = 3,
    range: ValueRange = (-1.0, 1.0),
    labels: Labels = "folders",
    classes: Classes = (),
    resident: Literal["auto", "always", "never"] = "auto",
    memory: Annotated[float, Field(gt=0)] = 4.0,
    check: Annotated[int, Field(ge=0)] = 100_000,
    unreadable: Literal["stop", "skip"] = "stop",
    held_out: Path | None = None,
) -> ImageFolder:
    """Your own images: every image in a folder and its sub-folders, of any size and channel count, streamed if they do not fit in memory.

    The shorter side is scaled to ``size``, and the centre is cropped. Files are png, jpg, jpeg, bmp, webp, gif, tif and tiff; ``.npy``
    files, uint8 ``(height, width, channels)``, may have any number of channels. Hidden and other files are ignored.

    Options:
        path: the folder, relative to the recipe's; ``~`` is the home folder.
        size: height and width of the images that the networks see, in pixels.
        channels: 1 for grey, 2 for grey and alpha, 3 for RGB, 4 for RGBA; any number for ``.npy`` files.
        labels: ``"folders"`` makes each direct sub-folder a class, if there are any; ``"none"`` has no classes.
        resident: ``"always"`` decodes all images before the first step and keeps them in the device's memory, ``"never"`` decodes
            them for each batch, ``"auto"`` keeps them if they take at most ``memory``.
        memory: GiB, with one byte for each pixel and channel.
        check: number of streamed files whose ends are checked for completeness before the first step; 0 for none.
        unreadable: ``"stop"`` at files that cannot be read, or ``"skip"`` them: the next image of the class takes the place of each.
        held_out: another folder with the same sub-folders, whose images are not used for training; metrics compare fakes with them, too.

    Raises:
        UsageError: no such folder, no images in it, no such class, or a class without images.
    """

    if held_out is not None and not held_out.is_dir():
        raise UsageError(f"data.held_out: there is no folder {held_out}", "name the folder of the images that are not used for training")

    def images(folder: Path, classes: Classes, kept: bool) -> ImageFolder:
        others = (
            lambda: None if held_out is None or folder == held_out else images(held_out, classes, False),
            lambda: images(folder, (), False) if classes else None,
        )
        listing = _only(list_images(folder, labels), classes)
        fits = len(listing.files) * channels * size * size <= memory * GIB
        in_memory = kept and (resident == "always" or (resident == "auto" and fits))
        return ImageFolder(listing, size, channels, range, in_memory, unreadable == "skip", check, *others)

    return images(path, classes, True)


def _only(listing: Listing, classes: Classes) -> Listing:
    if not classes:
        return listing
    if listing.labels is None:
        raise UsageError(
            f"{listing.root}: its images have no classes to choose from",
            "take the option `classes` out, or sort the images into sub-folders",
        )
    kept, labels, names = keep_classes(listing.labels, listing.class_names, classes)
    positions = [] if kept is None else kept.tolist()
    files, sizes = [listing.files[i] for i in positions], [listing.sizes[i] for i in positions]
    return Listing(listing.root, files, sizes, labels, names)
