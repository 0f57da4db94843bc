"""The items of a catalogue: components and tricks, plugin files, and plugins that could not be loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pydantic

from ganlab.registry.options import summary

Kind = Literal["network", "loss", "dataset", "noise", "optimizer", "metric", "judge", "trick"]


@dataclass(frozen=True)
class Entry:
    """A component or trick that a recipe may pick.

    Attributes:
        kind: what it is.
        name: the name it is registered under.
        factory: makes it, from its options.
        options: the model that its options are checked against.
        plugin: the plugin as people know it: the entry point's name, or the file's.
        origin: the distribution and its version, or the file's path.
        distribution: name and version of the installed distribution; None for ganlab itself, for files and for scripts.
    """

    kind: Kind
    name: str
    factory: Callable[..., Any]
    options: type[pydantic.BaseModel]
    plugin: str
    origin: str
    distribution: tuple[str, str] | None = None

    @property
    def summary(self) -> str:
        """One line about it, from its docstring."""
        return summary(self.factory)


@dataclass(frozen=True)
class PluginFile:
    """A Python file that a recipe lists in ``plugins``: its path, and the content that was executed."""

    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        """The digest of its content, as ``sha256sum`` prints it."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that could not be loaded, and why. Runs that do not use it are not affected."""

    plugin: str
    origin: str
    why: str

    @property
    def reason(self) -> str:
        """The first line of ``why``, which may have a traceback after it."""
        return self.why.splitlines()[0]
