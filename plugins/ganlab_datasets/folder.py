"""The user's own images: kept in memory when they fit, streamed from the disk when they do not. Both give the same numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor

from ganlab.components import Batch, DatasetSpec, ResidentDataset
from ganlab.errors import GanlabError, UsageError
from ganlab_datasets.classes import Classes, keep_classes
from ganlab_datasets.listing import Labels, Listing, list_images
from ganlab_datasets.reader import Reader
from ganlab_datasets.values import ValueRange, scale_and_offset

if TYPE_CHECKING:
    import numpy as np

GIB = 2**30
TRIED = 64  # images decoded before the first step when they are streamed, to find early what is wrong with all of them


class ImageFolder:
    """Image files as a data set: decoded once and kept, or decoded each time.

    Args:
        listing: the files and their labels.
        size: height and width that all are brought to.
        channels: of every image.
        range: the values shown for black and for white.
        resident: whether to keep all images in the device's memory.
        held_out: gives images of the same law that are never trained on, where there are any.
        complete: gives the images of every class, where these are of some only.
    """

    def __init__(
        self,
        listing: Listing,
        size: int,
        channels: int,
        range: tuple[float, float],
        resident: bool,
        held_out: Callable[[], ImageFolder | None] = lambda: None,
        complete: Callable[[], ImageFolder | None] = lambda: None,
    ) -> None:
        self.held_out, self.complete = held_out, complete
        self.listing, self.size, self.resident = listing, size, resident
        self.shape: tuple[int, ...] = (channels, size, size)
        self.range: tuple[float, float] | None = range
        self.class_names: Sequence[str] = listing.class_names
        self.columns: int | None = None  # of the picture; None: as square as possible
        self.scale, self.offset = scale_and_offset(range)
        self.device, self.dtype = torch.device("cpu"), torch.float32
        self._labels = listing.labels
        self._reader = Reader([listing.root / file for file in listing.files], size, channels)
        self._memory: ResidentDataset | None = None

    def __len__(self) -> int:
        return len(self.listing.files)

    def place(self, device: torch.device, dtype: torch.dtype) -> None:
        """Decode all images, if they are to be kept; else a few of them, so that what is wrong with all is found now.

        Raises:
            UsageError: a file is damaged, or does not have the channels asked for.
        """
        self.device, self.dtype = device, dtype
        if not self.resident:
            self._reader.read(torch.linspace(0, len(self) - 1, min(TRIED, len(self)), dtype=torch.float64).long())
            self._labels = None if self._labels is None else self._labels.to(device)
            return
        images = self._reader.read(torch.arange(len(self)))
        self._reader.close()
        memory = ResidentDataset(images, self._labels, scale=self.scale, offset=self.offset, range=self.range, class_names=self.class_names)
        memory.place(device, dtype)
        self._memory = memory

    def fetch(self, indices: Tensor) -> Batch:
        """The images at ``indices``, ``(batch, channels, size, size)``, and their labels.

        Raises:
            GanlabError: a file is damaged.
        """
        if self._memory is not None:
            return self._memory.fetch(indices)
        try:
            images = self._reader.read(indices)
        except UsageError as error:  # which would say that nothing has been trained
            raise GanlabError(error.message, error.hint) from error
        if self.device.type == "cuda":
            images = images.pin_memory().to(self.device, non_blocking=True)  # returns before it has been copied
        shown = images.to(self.device, self.dtype).mul_(self.scale).add_(self.offset)
        return Batch(shown, None if self._labels is None else self._labels[indices.to(self._labels.device, non_blocking=True)])

    def prefetch(self, indices: Tensor) -> None:
        """Begin to decode the images at ``indices``, unless all are in memory."""
        if self._memory is None:
            self._reader.start(indices)

    def picture(self, samples: Tensor) -> np.ndarray:
        """A sheet of images."""
        from ganlab.pictures import image_grid

        return image_grid(samples, self.range, self.columns)

    def fingerprint(self) -> str:
        """A digest of the files' names and sizes in bytes, of the classes and of what is made of them; the files are not read."""
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
    path: Annotated[Path, BeforeValidator(_named), Field(description="the folder; below it every image is taken")],
    size: Annotated[int, Field(ge=1, le=4096, description="height and width that all images are brought to, in pixels")] = 64,
    channels: Annotated[int, Field(ge=1, le=256, description="1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; any number for .npy files")] = 3,
    range: ValueRange = (-1.0, 1.0),
    labels: Annotated[Labels, Field(description="whether the first sub-folders are classes")] = "folders",
    classes: Classes = (),
    resident: Annotated[Literal["auto", "always", "never"], Field(description="keep all images in memory; auto: if they fit")] = "auto",
    memory: Annotated[float, Field(gt=0, description="GiB that decoded images may take when `resident` is auto")] = 4.0,
    held_out: Annotated[Path | None, Field(description="another folder of such images, never trained on, for metrics")] = None,
) -> ImageFolder:
    """Your own images: every picture in a folder and below it, of any size and channel count, streamed when they do not fit.

    The shorter side is scaled to ``size`` and the middle is cut out. Pictures are png, jpg, jpeg, bmp, webp, gif, tif and tiff files;
    a ``.npy`` file, uint8 ``(height, width, channels)``, may have any number of channels. Other files are left out, as are hidden ones.

    Args:
        spec: not needed; nothing is read from the data folder.
        path: the folder, relative to the recipe's; ``~`` is the home folder.
        size: height and width that all images are brought to, in pixels.
        channels: 1 for grey, 2 for grey and alpha, 3 for RGB, 4 for RGBA; any number for ``.npy`` files.
        range: the values shown for black and for white.
        labels: ``"folders"`` takes the first sub-folders, if there are any, as classes; ``"none"`` has no classes.
        classes: keep these classes only, by name or number; empty keeps all. Labels are counted anew from 0.
        resident: ``"always"`` decodes all images before the first step and keeps them in the device's memory, ``"never"`` decodes
            them when they are needed, ``"auto"`` keeps them if they take no more than ``memory``.
        memory: GiB, of one byte for each pixel and channel.
        held_out: another folder of such images, with the same sub-folders, that are never trained on: metrics hold fakes against them, too.

    Raises:
        UsageError: no such folder, no images in it, no such class, or a class without images.
    """

    if held_out is not None and not held_out.is_dir():
        raise UsageError(f"data.held_out: there is no folder {held_out}", "name the folder of the images that are never trained on")

    def images(folder: Path, classes: Classes, kept: bool) -> ImageFolder:
        others = (
            lambda: None if held_out is None or folder == held_out else images(held_out, classes, False),
            lambda: images(folder, (), False) if classes else None,
        )
        listing = _only(list_images(folder, labels), classes)
        fits = len(listing.files) * channels * size * size <= memory * GIB
        return ImageFolder(listing, size, channels, range, kept and (resident == "always" or (resident == "auto" and fits)), *others)

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
