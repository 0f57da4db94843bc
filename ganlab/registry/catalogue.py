"""The catalogue: which plugins there are, what each brings, and which of them are broken.

Finding is not using: being installed changes no run. A plugin is found by an entry point of group ``ganlab``, or is a file that
a recipe names; its registration hooks say which names it brings, and a recipe picks from these.
"""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pydantic

from ganlab.errors import GanlabError, PluginError, UsageError
from ganlab.hookspecs import PROJECT
from ganlab.registry.implementations import check_plugin
from ganlab.registry.load_errors import how_to_install, own_traceback, why_unloadable
from ganlab.registry.lookup import Kind, PluginFile
from ganlab.registry.options import check_call, options_model, summary

HOOK_OF: dict[Kind, str] = {
    "network": "register_networks",
    "loss": "register_losses",
    "dataset": "register_datasets",
    "noise": "register_noises",
    "optimizer": "register_optimizers",
    "metric": "register_metrics",
    "judge": "register_judges",
    "trick": "register_tricks",
}
#: What the engine hands to the factories of a kind, before their options.
HANDED: dict[Kind, str] = {"network": "spec", "dataset": "spec", "optimizer": "parameters", "judge": "spec"}


@dataclass(frozen=True)
class Entry:
    """A component or trick that a recipe may pick."""

    kind: Kind
    name: str
    factory: Callable[..., Any]
    options: type[pydantic.BaseModel]
    plugin: str  # as people know it: the entry point's name, or the file's
    origin: str  # the distribution and its version, or the file's path
    distribution: tuple[str, str] | None = None  # name and version of the installed one that it is from, if that is not ganlab itself

    @property
    def summary(self) -> str:
        """What it is, in a line."""
        return summary(self.factory)


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be loaded. Runs that do not use it are none the worse."""

    plugin: str
    origin: str
    why: str


class Catalogue:
    """All components and tricks that can be picked by name.

    Args:
        on_file: called with each plugin file before it is run.
    """

    def __init__(self, on_file: Callable[[PluginFile], None] | None = None) -> None:
        self.on_file = on_file
        self.broken: list[Broken] = []
        self.plugins: dict[str, str] = {}  # name -> origin
        self._entries: dict[tuple[Kind, str], Entry] = {}
        self._files: dict[Path, PluginFile] = {}

    @classmethod
    def of_installed(cls, on_file: Callable[[PluginFile], None] | None = None) -> Catalogue:
        """The catalogue of every plugin that is installed, each loaded by itself, so that a broken one breaks no other."""
        catalogue = cls(on_file)
        points = sorted(importlib.metadata.entry_points(group=PROJECT), key=lambda point: point.name)
        points = list({(p.name, p.value, _origin(p)): p for p in points}.values())  # one install may be on the path twice
        twice = {name for name, count in Counter(point.name for point in points).items() if count > 1}
        for name in sorted(twice):
            origins = sorted(_origin(point) for point in points if point.name == name)
            owners, ways = " and ".join(origins), " or ".join(f"pip uninstall {origin.partition(' ')[0]}" for origin in origins)
            catalogue.broken.append(Broken(name, owners, f"two distributions have a plugin of this name: {owners}; {ways}"))
        loaded = []
        for point in points:
            if point.name in twice:
                continue
            try:
                loaded.append(cls())
                loaded[-1].add(point.load(), point.name, _origin(point), _distribution(point))
            except PluginError as error:
                catalogue.broken.append(Broken(point.name, _origin(point), str(error)))
            except (Exception, SystemExit) as error:
                catalogue.broken.append(Broken(point.name, _origin(point), why_unloadable(error, point)))
        catalogue._take(loaded)
        return catalogue

    def _take(self, loaded: Iterable[Catalogue]) -> None:
        """Take in what installed plugins bring, each in a catalogue of its own.

        Where two bring one name, neither is taken: if one were, to install the other could change a run. Only what comes with ganlab
        itself keeps its names: they were known to everybody.
        """
        parts = {name: part for part in loaded for name in part.plugins}
        for name, part in parts.items():
            (own,) = part.plugins.values()
            clashes = [
                (entry, other)
                for key, entry in part._entries.items()
                for another in parts.values()
                if another is not part and (other := another._entries.get(key)) and (_is_ours(other.origin) or not _is_ours(own))
            ]
            if clashes:
                self.broken.append(Broken(name, own, str(_clash(*clashes[0]))))
            else:
                self.plugins[name] = own
                self._entries.update(part._entries)

    def add_file(self, path: Path, content: bytes | None = None) -> PluginFile:
        """Load a plugin from a Python file that a recipe names in ``plugins``. One that is loaded already is not loaded again.

        Args:
            path: the file.
            content: run this in its name; None reads the file. What is run is what was read, once, and no compiled file beside it.

        Raises:
            UsageError: there is no such file.
            PluginError: it cannot be imported (with its own traceback), or breaks a rule of registration.
        """
        path = path.resolve()
        if path in self._files:
            return self._files[path]
        file = PluginFile(path, _read(path) if content is None else content)
        if path.stem in self.plugins:
            raise PluginError(f"plugin {path} has the name of plugin '{path.stem}' ({self.plugins[path.stem]})", "rename the file")
        if path.suffix != ".py":
            raise UsageError(f"plugin file {path} is not a Python file", "its name must end in .py")
        if self.on_file is not None:
            self.on_file(file)
        module = ModuleType(f"ganlab_local_{path.stem}")
        module.__file__ = str(path)
        sys.modules[module.__name__] = module  # dataclasses look their module up
        try:
            exec(compile(file.content, str(path), "exec"), vars(module))
        except (Exception, SystemExit) as error:
            sys.modules.pop(module.__name__, None)
            if isinstance(error, ModuleNotFoundError) and error.name:
                text = f"plugin {path} cannot be loaded: it needs the module '{error.name}', which is not installed"
                raise PluginError(text, how_to_install(error.name)) from error
            raise PluginError(f"plugin {path} cannot be loaded: {type(error).__name__}: {error}", own_traceback(error)) from error
        self.add(module, path.stem, str(path))
        self._files[path] = file
        return file

    def add(self, plugin: object, name: str, origin: str, distribution: tuple[str, str] | None = None) -> None:
        """Register what ``plugin`` (a module, or any object with registration hooks) brings: all of it, or nothing.

        Raises:
            PluginError: it brings nothing, has an unknown hook, or a name that another plugin brought first.
        """
        owner = f"plugin '{name}' ({origin})"
        check_plugin(owner, plugin)
        found: dict[tuple[Kind, str], Entry] = {}
        for kind, hook in HOOK_OF.items():
            function = getattr(plugin, hook, None)
            if function is None:
                continue
            parameters = inspect.signature(function).parameters
            try:
                function(**({"register": self._register(kind, name, origin, distribution, found)} if parameters else {}))
            except GanlabError:
                raise
            except (Exception, SystemExit) as error:
                raise PluginError(f"{owner}, in its {hook}, raised {type(error).__name__}: {error}", own_traceback(error)) from error
        if not found:
            raise PluginError(f"{owner} registers nothing", 'its hooks do not call register("name", factory)')
        self._entries.update(found)
        self.plugins[name] = origin

    def _register(
        self, kind: Kind, plugin: str, origin: str, distribution: tuple[str, str] | None, found: dict[tuple[Kind, str], Entry]
    ) -> Callable[[str, Callable[..., Any]], None]:
        def register(name: str, factory: Callable[..., Any]) -> None:
            if not callable(factory):
                raise PluginError(f"plugin '{plugin}' ({origin}): {kind} '{name}' is not something that can be called")
            owner = f"{kind} '{name}' of plugin '{plugin}' ({origin})"
            entry = Entry(kind, name, factory, options_model(factory, owner), plugin, origin, distribution)
            check_call(factory, HANDED.get(kind), owner)
            other = found.get((kind, name)) or self._entries.get((kind, name))
            if other is not None:
                raise _clash(entry, other)
            found[kind, name] = entry

        return register

    def names(self, kind: Kind) -> list[str]:
        """The names of all components of one kind, sorted."""
        return sorted(name for found, name in self._entries if found == kind)

    def find(self, kind: Kind, name: str) -> Entry | None:
        """The component of that kind and name, or None."""
        return self._entries.get((kind, name))

    def entries(self, kinds: Iterable[Kind] = get_args(Kind)) -> list[Entry]:
        """All entries of these kinds, by kind and name."""
        wanted = list(kinds)
        return sorted((e for e in self._entries.values() if e.kind in wanted), key=lambda e: (wanted.index(e.kind), e.name))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        why = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror or error}"
        raise UsageError(f"plugin file {path} {why}", "paths in `plugins` are relative to the recipe's folder") from error


def _clash(entry: Entry, other: Entry) -> PluginError:
    """Two plugins bring a component of one kind and name."""
    owner, another = (f"plugin '{one.plugin}' ({one.origin})" for one in (entry, other))
    return PluginError(
        f"{owner} brings a {entry.kind} '{entry.name}', and so does {another}",
        "rename one of them, or uninstall the plugin that you do not need",
    )


def _is_ours(origin: str) -> bool:
    """Whether it came with ganlab itself."""
    return origin.partition(" ")[0] == PROJECT


def _distribution(point: importlib.metadata.EntryPoint) -> tuple[str, str] | None:
    named = _named(point.dist) if point.dist else (PROJECT, "")
    return None if named[0] == PROJECT else named


def _origin(point: importlib.metadata.EntryPoint) -> str:
    return " ".join(_named(point.dist)) if point.dist else point.value


@functools.cache
def _named(distribution: importlib.metadata.Distribution) -> tuple[str, str]:
    """Its name and version; to ask is to parse its whole description again."""
    return distribution.name, distribution.version
