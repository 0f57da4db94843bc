"""Atomic file writes, and flushing of appended lines to disk. Imports no torch."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ganlab.errors import cannot_be_written


def temporary_path(path: Path) -> Path:
    """The file in the same folder that an atomic write of ``path`` fills before it is renamed."""
    return path.with_name(f".{path.name}.part")


@contextlib.contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError inside the block (disk full, folder removed or read-only) into one clear error about ``path``.

    Raises:
        GanlabError: the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        raise cannot_be_written(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text``, encoded as UTF-8, with an atomic write.

    Raises:
        GanlabError: it cannot be written; what was at ``path`` before is unchanged.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` with an atomic write: a temporary file, flushed to disk and renamed.

    Raises:
        GanlabError: it cannot be written; what was at ``path`` before is unchanged.
    """
    temporary = temporary_path(path)
    with write_errors(path):
        try:
            temporary.unlink(missing_ok=True)  # a killed process left it; or somebody else put a link there
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


def flush(path: Path) -> None:
    """Flush to disk what was appended to ``path``, if the file exists."""
    if path.is_file():
        with write_errors(path), open(path, "rb+") as file:
            os.fsync(file.fileno())
