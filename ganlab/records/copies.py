"""Copies of run folders: whether a folder is that of the run itself, was moved, or is a copy, which goes on as a run of its own.

A run has a random ``uid``, under which a tracker knows it. ``run.json`` notes the folder that it was written in, so that a folder with
the same uid can be told from the original. Imports no torch.
"""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

from ganlab.errors import UsageError
from ganlab.records.folder import RunFolder
from ganlab.records.run_info import FolderPlace, RunInfo


def place_of(folder: RunFolder) -> FolderPlace:
    """Where a run's folder is: its path and file-system number on this machine."""
    path = folder.path.resolve()
    return {"path": str(path), "host": socket.gethostname(), "inode": path.stat().st_ino}


def is_copy(folder: RunFolder, info: RunInfo) -> bool:
    """Whether a run's folder is a copy of the one that its run.json was written in.

    - The same path is the same folder: also where it was restored from a backup, or is on a file system that several machines share.
    - Else, on the same machine, it was moved if the original is gone, and is a copy if the original is still there, in another folder.
    - Else, on another machine, the original cannot be seen. A folder of the same number in the file system is mounted at another path.
      Any other counts as a copy, so that two runs are never mixed up.
    """
    original, here = info.folder, place_of(folder)
    if not original:  # a run of version 0.1
        path = folder.path.resolve()
        return bool(info.id) and path.name != info.id and _has_uid(path.parent / Path(info.id).name, info.uid)
    if original.get("path") == here["path"]:
        return False
    if original.get("host") != here["host"]:
        return original.get("inode") != here["inode"]
    path = Path(original.get("path", ""))
    return _has_uid(path, info.uid) and not path.samefile(folder.path)  # another disk may have a folder of the same number


def separated(folder: RunFolder, info: RunInfo) -> tuple[RunInfo, str]:
    """run.json of a folder as it is now: with its own place, and for a copy with a uid of its own and a note of the original.

    Returns:
        The content, and the words to be announced for a copy; empty for any other folder.
    """
    here = place_of(folder)
    if not is_copy(folder, info):
        return (info if info.folder == here else info.replaced(folder=here)), ""
    where = info.folder.get("path") or str(folder.path.resolve().parent / Path(info.id).name)
    words = f"This folder is a copy of run {info.id or where} ({where}). It is a run of its own from now on, wherever runs are tracked."
    origin = {"id": info.id, "uid": info.uid, "path": where}
    return info.replaced(folder=here, id=folder.path.name, uid=secrets.token_hex(16), copied_from=origin), words


def _has_uid(path: Path, uid: str) -> bool:
    """Whether the run in the folder ``path`` has this uid."""
    try:
        return bool(uid) and RunFolder(path).read_info().uid == uid
    except (UsageError, OSError, ValueError):
        return False
