"""Why a plugin cannot be loaded, in words: what is missing and what to type, or the author's own traceback."""

from __future__ import annotations

import importlib.metadata
import os
import re
import traceback
from collections.abc import Iterable
from itertools import dropwhile
from pathlib import Path

#: Where frames lie that come before a plugin's own.
_OTHERS = (str(Path(__file__).resolve().parents[1]) + os.sep, str(Path(importlib.__file__).parent) + os.sep, "<frozen importlib")


def why_unloadable(error: BaseException, point: importlib.metadata.EntryPoint) -> str:
    """What an installed plugin raised when it was imported: the first line says it all, and the rest is the author's own traceback."""
    name = point.dist.name if point.dist else ""
    if isinstance(error, ModuleNotFoundError) and error.name:
        own = point.value.partition(":")[0]
        if own == error.name or own.startswith(f"{error.name}."):
            return f"its entry point names the module '{own}', which is not there: pip install --force-reinstall {name}"
        required = (point.dist.requires if point.dist else None) or []
        return f"it needs the module '{error.name}', which is not installed: {how_to_install(error.name, required)}"
    return f"{type(error).__name__}: {error}\n{own_traceback(error)}"


def how_to_install(module: str, required: Iterable[str] = ()) -> str:
    """The command that brings a module that is missing.

    Args:
        module: as it is imported.
        required: what the distribution that imports it says it needs, as ``Requires-Dist`` does.
    """
    top = module.partition(".")[0]
    wanted = [line.partition(";")[0].strip() for line in required]
    missing = {_name(line): line for line in wanted if not _is_installed(_name(line))}
    if _normal(top) in missing:
        return f"pip install {_quoted(missing[_normal(top)])}"
    if missing:  # the package may have another name than its module
        return f"pip install {' '.join(_quoted(line) for line in missing.values())}"
    return f"pip install {top}, or the package that has this module under another name"


def own_traceback(error: BaseException) -> str:
    """The traceback of ``error`` without what ganlab and Python's import machinery did before the plugin's own code."""
    frames = traceback.extract_tb(error.__traceback__)
    kept = list(dropwhile(lambda frame: frame.filename.startswith(_OTHERS), frames))
    return "".join(traceback.format_list(kept) + traceback.format_exception_only(error)).rstrip()


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    return _normal(found.group()) if found else ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _quoted(requirement: str) -> str:
    return requirement if re.fullmatch(r"[\w.-]+", requirement) else f"'{requirement}'"
