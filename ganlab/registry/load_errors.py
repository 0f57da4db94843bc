"""Messages for plugins that cannot be loaded: what is missing and how to install it, or the author's own traceback."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shlex
import traceback
from collections.abc import Iterable
from itertools import dropwhile
from pathlib import Path

#: Where the frames before the plugin's own are from: ganlab and Python's import system.
_NOT_THE_PLUGIN = (str(Path(__file__).resolve().parents[1]) + os.sep, str(Path(importlib.__file__).parent) + os.sep, "<frozen importlib")
_BACKPORT = f"{os.sep}importlib_metadata{os.sep}"  # takes the place of importlib.metadata once it is imported, as MLflow does


def describe_load_error(error: BaseException, point: importlib.metadata.EntryPoint) -> str:
    """Why an installed plugin cannot be imported: a complete first line, and the author's own traceback if it helps."""
    name = point.dist.name if point.dist else ""
    if isinstance(error, ModuleNotFoundError) and error.name:
        module = point.value.partition(":")[0]
        if module == error.name or module.startswith(f"{error.name}."):
            return f"its entry point names the module '{module}', which does not exist: pip install --force-reinstall {name}"
        required = (point.dist.requires if point.dist else None) or []
        return f"it needs the module '{error.name}', which is not installed: {install_command(error.name, required)}"
    return f"{type(error).__name__}: {error}\n{plugin_traceback(error)}"


def install_command(module: str, required: Iterable[str] = ()) -> str:
    """The command that installs a missing module.

    Args:
        module: its name in the import statement.
        required: the requirements of the distribution that imports it, as in ``Requires-Dist``.
    """
    top = module.partition(".")[0]
    requirements = [line.partition(";")[0].strip() for line in required]
    missing = {_package(line): line for line in requirements if not _is_installed(_package(line))}
    if not missing:
        return f"pip install {top}, or the package that has this module under another name"
    named = missing.get(re.sub(r"[-_.]+", "-", top).lower())
    return f"pip install {shlex.join([named] if named else missing.values())}"  # the package's name may not be the module's


def plugin_traceback(error: BaseException) -> str:
    """The traceback of ``error``, without the frames of ganlab and Python's import system before the plugin's own code."""
    frames = traceback.extract_tb(error.__traceback__)
    plugin_frames = list(dropwhile(lambda frame: frame.filename.startswith(_NOT_THE_PLUGIN) or _BACKPORT in frame.filename, frames))
    return "".join(traceback.format_list(plugin_frames) + traceback.format_exception_only(error)).rstrip()


def _package(requirement: str) -> str:
    """The normalized name of the package in a requirement: ``my-package`` of ``My_Package>=2``."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement)[0]).lower()


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
