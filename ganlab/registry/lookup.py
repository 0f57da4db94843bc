"""What recipes need of a catalogue of plugins, as a protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ganlab.registry.entry import BrokenPlugin, Entry, Kind, PluginFile


class Lookup(Protocol):
    """What recipes need of a catalogue: find components and tricks by name, and load plugin files."""

    @property
    def broken(self) -> Sequence[BrokenPlugin]:
        """The plugins that could not be loaded."""

    def find(self, kind: Kind, name: str) -> Entry | None:
        """The component of that kind and name, or None."""

    def names(self, kind: Kind) -> list[str]:
        """The names of all components of one kind."""

    def add_file(self, path: Path, content: bytes | None = None) -> PluginFile:
        """Load a plugin from a file, or from ``content`` in place of the file's. A file that is loaded already is not loaded again."""
