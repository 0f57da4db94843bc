"""Read the files of a run's folder, which may be somebody else's: regular files only, no links, up to a limit. Imports no torch.

Reading a pipe never ends, reading ``/dev/zero`` fills the memory, and a link leads out of the folder. So a file is looked at before it
is opened, and again once it is open.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

MIB = 2**20
#: The largest files that are read, in bytes.
DOCUMENT = 16 * MIB  # a JSON document, or the Python file of a plugin
RECIPE = MIB
PICTURE = 64 * MIB
GROWING = 4096 * MIB  # metrics.jsonl and system.jsonl, which are read line by line
TENSORS = 65536 * MIB  # a checkpoint, or a generator
LONGEST_LINE = MIB  # of a growing file; longer ones are left out
DEEPEST = 100  # levels of nested lists and tables; more could exhaust Python's stack where the content is used
NESTED = f"it is nested more than {DEEPEST} levels deep"

_LONG_KEY = re.compile(rf"""(?<![\w"'.-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){{{DEEPEST}}}""")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # half of a character, which JSON can write and no file can hold


def is_regular(path: Path) -> bool:
    """Whether ``path`` is a regular file, and no link to one."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder, and no link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def refuse_special(path: Path, limit: float, follow: bool = False) -> None:
    """Check that ``path`` is a regular file of at most ``limit`` bytes. A link to one counts if ``follow`` is set.

    Raises:
        OSError: it is not, or it does not exist.
    """
    _refuse(os.stat(path) if follow else os.lstat(path), limit)


def open_file(path: Path, limit: float, follow: bool = False) -> BinaryIO:
    """Open a regular file of at most ``limit`` bytes. A link to one counts if ``follow`` is set.

    Raises:
        OSError: it is none, or it cannot be opened.
    """
    refuse_special(path, limit, follow)
    file: BinaryIO = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)), "rb")
    try:
        _refuse(os.fstat(file.fileno()), limit)  # what was at this path may have been replaced
    except OSError:
        file.close()
        raise
    return file


def read_bytes(path: Path, limit: int = DOCUMENT, follow: bool = False) -> bytes:
    """The content of a regular file of at most ``limit`` bytes.

    Raises:
        OSError: as :func:`open_file`.
    """
    with open_file(path, limit, follow) as file:
        return file.read(os.fstat(file.fileno()).st_size)


def read_text(path: Path, limit: int = DOCUMENT) -> str:
    """The content of a file as :func:`read_bytes` reads it, decoded from UTF-8.

    Raises:
        OSError: as :func:`open_file`.
        ValueError: it is not UTF-8.
    """
    return read_bytes(path, limit).decode("utf-8")


def read_json(path: Path, limit: int = DOCUMENT, follow: bool = False) -> Any:
    """The content of a JSON document, read as :func:`read_bytes` does.

    Raises:
        OSError: as :func:`open_file`.
        ValueError: it is not UTF-8 or not JSON, is nested more than :data:`DEEPEST` levels deep, or has text that is not Unicode.
    """
    return parse_json(read_bytes(path, limit, follow).decode("utf-8"))


def parse_json(text: str) -> Any:
    """The content of a JSON text. Raises ValueError as :func:`read_json`."""
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError(NESTED) from None
    refuse_deep(content)
    if _SURROGATE.search(text):
        json.dumps(content, ensure_ascii=False).encode()  # raises a UnicodeEncodeError, which is a ValueError
    return content


def parse_toml(text: str) -> dict[str, Any]:
    """The content of a TOML text.

    Raises:
        tomllib.TOMLDecodeError: it is not TOML.
        ValueError: as :func:`read_json`; or a key has more than :data:`DEEPEST` parts, for which tomllib would need minutes.
    """
    if _LONG_KEY.search(text):
        raise ValueError(NESTED)
    try:
        content = tomllib.loads(text)
    except RecursionError:
        raise ValueError(NESTED) from None
    refuse_deep(content)
    return content


def refuse_deep(content: Any) -> None:
    """Check that lists, tuples and dicts are nested at most :data:`DEEPEST` levels deep.

    Raises:
        ValueError: they are not.
    """
    stack = [(content, 0)]
    while stack:
        item, depth = stack.pop()
        if depth > DEEPEST:
            raise ValueError(NESTED)
        below = item.values() if isinstance(item, dict) else item if isinstance(item, list | tuple) else ()
        stack.extend((child, depth + 1) for child in below)


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a growing file, each with its line break. One that is not finished, or is longer than 1 MiB, is left out.

    Raises:
        OSError: as :func:`open_file`, or the file is larger than 4 GiB.
    """
    with open_file(path, GROWING) as file:
        is_start = True
        while piece := file.readline(LONGEST_LINE):
            is_end = piece.endswith(b"\n")
            if is_start and is_end:
                yield piece
            is_start = is_end


def _refuse(status: os.stat_result, limit: float) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise OSError("it is a link, which is not followed in a run's folder")
    if stat.S_ISDIR(status.st_mode):
        raise OSError("it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is no regular file")
    if status.st_size > limit:
        raise OSError(f"it is larger than {limit / MIB:,.0f} MiB")
