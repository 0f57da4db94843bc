"""Files that a person asks for, at a place of theirs: all of them whole, or none; nothing is replaced unless they say so."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from ganlab.errors import UsageError


def refuse_existing(paths: Iterable[Path], force: bool) -> None:
    """See that none of ``paths`` is there already, unless they may be replaced.

    Raises:
        UsageError: one is.
    """
    for path in paths:
        if path.is_dir():
            raise UsageError(f"{path} is a folder", "name a file in it")
        if path.exists() and not force:
            raise UsageError(f"{path} is already there", "name another place with --out, or replace it with --force")


def not_taken(path: Path, force: bool) -> Path:
    """A place for what a person has not named a place for: ``path``, or with a number from 2 on where something is there already.

    With ``force`` it is ``path``, whatever is there.
    """
    places = itertools.chain([path], (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2)))
    return path if force else next(place for place in places if not place.exists())


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A folder to write files into, which are moved into ``folder`` at the end; if anything is raised before, nothing is left.

    Raises:
        UsageError: the place cannot be written.
    """
    ancestor = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not ancestor.is_dir():
        raise UsageError(f"{ancestor} is no folder", "choose another place with --out")
    stage = None
    try:
        stage = Path(tempfile.mkdtemp(prefix=".ganlab-", dir=ancestor))
        yield stage
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(stage.iterdir()):
            os.replace(file, folder / file.name)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror or error}", "choose another place with --out") from error
    finally:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
