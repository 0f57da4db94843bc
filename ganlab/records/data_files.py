"""The files that a run's data set consists of: noted when the run starts, so that a resume can name those that were replaced.

Imports no torch.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ganlab.errors import UsageError
from ganlab.records.folder import RunFolder
from ganlab.records.run_info import RunInfo
from ganlab.storage.atomic import write_bytes
from ganlab.storage.reading import open_file

LARGEST = 2**30  # bytes of the list, unpacked
SHOWN = 20  # names in a message
MOST = 0.1  # share of the files that may be replaced without a flag: more of them are other data


class DatasetWithFiles(Protocol):
    """What this module needs of a :class:`ganlab.components.Dataset`, which may also have a method ``contents``."""

    def fingerprint(self) -> str: ...


@dataclass(frozen=True)
class DataChange:
    """How the data of a run differ from those that it started with.

    Attributes:
        same_files: only the content of files differs: their names, their order and the options are the same.
        replaced: the files whose content differs, as far as the run knows them.
        details: the change in words, half a sentence; empty where the run does not know its files.
        count: the number of files.
        only_count_known: the run has noted how many files there were, and no more (as version 0.1 did), and there are as many now.
    """

    same_files: bool
    replaced: Sequence[str]
    details: str
    count: int
    only_count_known: bool = False

    @property
    def is_small(self) -> bool:
        """Whether so few files were replaced that the data are still the same but for repairs."""
        return self.same_files and len(self.replaced) <= max(1, MOST * self.count)


def contents_of(dataset: DatasetWithFiles) -> tuple[str, dict[str, int]]:
    """The digest of all but the content of a data set's files, and the files; both empty for data sets that do not tell."""
    method = getattr(dataset, "contents", None)
    return method() if callable(method) else ("", {})


def note(folder: RunFolder, dataset: DatasetWithFiles) -> None:
    """Write the list of the data set's files, if it has any.

    Raises:
        GanlabError: it cannot be written.
    """
    _, files = contents_of(dataset)
    if files:
        text = json.dumps(files)  # names that are not UTF-8 are escaped
        write_bytes(folder.data_files, gzip.compress(text.encode(), 6, mtime=0))


def change_of(folder: RunFolder, info: RunInfo, dataset: DatasetWithFiles) -> DataChange | None:
    """How the data have changed since the run started; None if they have not."""
    if info.data.get("fingerprint") == dataset.fingerprint():
        return None
    outline, files = contents_of(dataset)
    before = _read(folder)
    replaced = [name for name, size in files.items() if before.get(name, size) != size]
    lists = {"replaced": replaced, "added": sorted(files.keys() - before.keys()), "removed": sorted(before.keys() - files.keys())}
    words = [f"{len(names):,} {verb} ({listed(names)})" for verb, names in lists.items() if names] if before else []
    recorded = info.data.get("outline")
    same, same_count = bool(outline) and recorded == outline, bool(outline) and info.data.get("size") == len(files)
    return DataChange(same, replaced, ", ".join(words), len(files), only_count_known=same_count and not recorded)


def listed(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _read(folder: RunFolder) -> dict[str, int]:
    """The list that :func:`note` wrote; empty if there is none, or if it is damaged."""
    try:
        with open_file(folder.data_files, LARGEST) as packed, gzip.open(packed) as file:
            content = json.loads(file.read(LARGEST))
    except (OSError, EOFError, ValueError, RecursionError):
        return {}
    sound = isinstance(content, dict) and all(isinstance(size, int) for size in content.values())
    return content if sound else {}


def refuse_large_change(folder: RunFolder, change: DataChange, request: str, allowed: bool) -> None:
    """Check that the data are those of the run, but for a few files that were replaced.

    Args:
        request: the command that accepts the change, in backticks.
        allowed: the person has accepted the change.

    Raises:
        UsageError: they are not.
    """
    if change.is_small or (allowed and (change.same_files or change.only_count_known)):
        return
    details = f": {change.details}" if change.details else ""
    if change.same_files:
        raise UsageError(
            f"many files of the data of run {folder.path.name} were replaced since it started{details}",
            f"restore them; or, to train with the files that are there now: {request}",
        )
    hint = "restore them; a resumed run must see the same data"
    if change.only_count_known:
        hint += f"\nor, if the same files are there and only the content of some differs: {request}"
    elif change.details:
        hint += ". Single files may be replaced, under the same names"
    raise UsageError(f"the data of run {folder.path.name} have changed since it started{details}", hint)
