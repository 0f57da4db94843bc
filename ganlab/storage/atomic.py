"""Files that are written whole or not at all, and appended lines that are on the disk. Imports no torch."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ganlab.errors import cannot_be_written


def beside(path: Path) -> Path:
    """Where ``path`` is written before it is renamed."""
    return path.with_name(f".{path.name}.part")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """A full disk, or a folder that is gone or may not be written, is one clear error."""
    try:
        yield
    except OSError as error:
        raise cannot_be_written(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one move."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one move."""
    aside = beside(path)
    with writing(path):
        try:
            aside.unlink(missing_ok=True)  # left by a process that was killed; or a link that somebody else has put there
            with open(aside, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                aside.unlink()
            raise


def flush(path: Path) -> None:
    """Make sure that what has been appended to ``path`` is on the disk."""
    if path.is_file():
        with writing(path), open(path, "rb+") as file:
            os.fsync(file.fileno())
