"""What the recipe layer asks of a catalogue of plugins. Imports no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import pydantic


Kind = Literal["network", "loss", "dataset", "noise", "optimizer", "metric", "judge", "trick"]


@dataclass(frozen=True)
class PluginFile:
    """A Python file that a recipe names in ``plugins``: where it is, and the very bytes that were run."""

    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        """The digest of its content, as ``sha256sum`` prints it."""
        return hashlib.sha256(self.content).hexdigest()


class FoundEntry(Protocol):
    """A component or trick as a catalogue holds it."""

    @property
    def kind(self) -> Kind: ...
    @property
    def name(self) -> str: ...
    @property
    def factory(self) -> Callable[..., Any]: ...
    @property
    def options(self) -> type[pydantic.BaseModel]: ...
    @property
    def plugin(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def distribution(self) -> tuple[str, str] | None: ...


class BrokenPlugin(Protocol):
    """A plugin that could not be loaded."""

    @property
    def plugin(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def why(self) -> str: ...


class Lookup(Protocol):
    """What the recipe layer asks of a catalogue."""

    @property
    def broken(self) -> Sequence[BrokenPlugin]: ...

    def find(self, kind: Kind, name: str) -> FoundEntry | None:
        """The component of that kind and name, or None."""

    def names(self, kind: Kind) -> list[str]:
        """The names of all components of one kind."""

    def add_file(self, path: Path, content: bytes | None = None) -> PluginFile:
        """Load a plugin from a file, or ``content`` in its name; one that is loaded already is not loaded again."""
