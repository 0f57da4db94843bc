"""Output files of commands (``--out``): all of them are written, or none; nothing is replaced without ``--force``."""

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
    """Check that none of ``paths`` exists, unless ``force`` allows to replace it.

    Raises:
        UsageError: one of them exists, or is a folder.
    """
    for path in paths:
        if path.is_dir():
            raise UsageError(f"{path} is a folder", "name a file in it")
        if path.exists() and not force:
            raise UsageError(f"{path} is already there", "name another place with --out, or replace it with --force")


def unused_path(path: Path, force: bool) -> Path:
    """``path`` if nothing is there or ``force`` is given; else the first unused of ``<stem>-2``, ``<stem>-3``, ...

    For files whose name the person did not choose.
    """
    candidates = itertools.chain([path], (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2)))
    return path if force else next(candidate for candidate in candidates if not candidate.exists())


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A temporary folder to write files into. They are moved into ``folder`` at the end; if the block raises, nothing is left.

    Raises:
        UsageError: ``folder`` cannot be written.
    """
    ancestor = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not ancestor.is_dir():
        raise UsageError(f"{ancestor} is not a folder", "choose another place with --out")
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
