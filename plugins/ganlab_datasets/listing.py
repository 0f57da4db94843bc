"""Lists the image files of a folder, with its sub-folders as classes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import torch
from torch import Tensor

from ganlab.errors import UsageError, closest
from ganlab_datasets.decode import SUFFIXES

Labels = Literal["folders", "none"]


@dataclass(frozen=True)
class Listing:
    """The image files of a folder.

    Attributes:
        root: the folder.
        files: paths relative to it, with ``/``, sorted.
        sizes: in bytes.
        labels: int64 ``(count,)``, or None if there are no classes.
        class_names: one for each label.
    """

    root: Path
    files: list[str]
    sizes: list[int]
    labels: Tensor | None
    class_names: tuple[str, ...]


def list_images(path: str | Path, labels: Labels) -> Listing:
    """List all image files in a folder and its sub-folders, without hidden ones.

    As in torchvision's ``ImageFolder``, each direct sub-folder is a class, unless ``labels`` is ``"none"``.

    Raises:
        UsageError: there is no such folder, no image in it, images beside sub-folders of images, or a sub-folder without images.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise _no_folder(root)
    image_sizes, others = _walk(root)
    if not image_sizes:
        raise UsageError(f"{root} has no images{_instead(others)}", f"files are taken by their ending: {' '.join(SUFFIXES)}")
    files = sorted(image_sizes)
    sizes = [image_sizes[file] for file in files]
    if labels == "none" or all("/" not in file for file in files):
        return Listing(root, files, sizes, None, ())
    names = _classes(root, files)
    numbers = {name: number for number, name in enumerate(names)}
    return Listing(root, files, sizes, torch.tensor([numbers[file.split("/")[0]] for file in files]), names)


def _walk(root: Path) -> tuple[dict[str, int], list[str]]:
    """The sizes of the images by path, and the names of other files. Follows links to folders, but visits no folder twice.

    Uses os and strings in place of Path: there may be a million files.
    """
    image_sizes: dict[str, int] = {}
    others: list[str] = []
    seen: set[tuple[int, int]] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True, onerror=_unreadable):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not _hidden(name))
        below = os.path.relpath(folder, root).replace(os.sep, "/")
        for name in names:
            if _hidden(name) or os.path.splitext(name)[1].lower() not in SUFFIXES:
                others.append(name)
                continue
            image_sizes[name if below == "." else f"{below}/{name}"] = _size(os.path.join(folder, name))
    return image_sizes, others


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:  # such as a broken link: it is one of the unreadable files, which are listed together
        return 0


def _unreadable(error: OSError) -> NoReturn:
    raise UsageError(f"{error.filename} cannot be read: {error.strerror}", "make it readable") from error


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _classes(root: Path, files: list[str]) -> tuple[str, ...]:
    advice = "or use the images without classes: --set data.labels=none"
    loose = [file for file in files if "/" not in file]
    if loose:
        raise UsageError(
            f"{root} has {len(loose)} images that are in no sub-folder (such as {loose[0]}), beside sub-folders that are classes",
            f"move them into a sub-folder, {advice}",
        )
    names = {file.split("/")[0] for file in files}
    empty = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not _hidden(entry.name) and entry.name not in names)
    if empty:
        raise UsageError(f"{root} has a sub-folder without images: {', '.join(empty)}", f"remove it, {advice}")
    return tuple(sorted(names))


def _no_folder(root: Path) -> UsageError:
    if root.exists():
        return UsageError(f"{root} is not a folder", "data.path must name the folder that the images are in")
    siblings = [entry.name for entry in os.scandir(root.parent) if entry.is_dir()] if root.parent.is_dir() else []
    near = closest(root.name, siblings)
    meant = f"did you mean {root.parent / near}? " if near else ""
    begins = "A path that does not begin with / begins in the folder that ganlab is started in."
    return UsageError(f"there is no folder {root.absolute()}", f"{meant}{begins}")


def _instead(others: list[str]) -> str:
    return f", only {len(others)} other files (such as {min(others)})" if others else ""
