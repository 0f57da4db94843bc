"""The catalogue: all components and tricks that the plugins register, and the plugins that could not be loaded.

A plugin is found by an entry point of the group ``ganlab``, or is a file that a recipe names. Its registration hooks register
components and tricks by name, and a recipe picks from these names: to install a plugin changes no run.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from ganlab.errors import GanlabError, PluginError, UsageError
from ganlab.hookspecs import PROJECT
from ganlab.registry.entry import BrokenPlugin, Entry, Kind, PluginFile
from ganlab.registry.entry_points import PLUGINS, find_entry_points, name_and_version, origin_of
from ganlab.registry.implementations import check_plugin
from ganlab.registry.load_errors import describe_load_error, install_command, plugin_traceback
from ganlab.registry.options import check_call, options_model

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
#: The positional parameter that the engine passes to the factories of a kind, before their options.
POSITIONAL: dict[Kind, str] = {"network": "spec", "dataset": "spec", "optimizer": "parameters", "judge": "spec"}


class Catalogue:
    """All components and tricks that can be picked by name.

    Args:
        on_file: called with each plugin file before it is executed.
    """

    def __init__(self, on_file: Callable[[PluginFile], None] | None = None) -> None:
        self.on_file = on_file
        self.broken: list[BrokenPlugin] = []
        self.plugins: dict[str, str] = {}  # name -> origin
        self._entries: dict[tuple[Kind, str], Entry] = {}
        self._files: dict[Path, PluginFile] = {}

    @classmethod
    def of_installed(cls, on_file: Callable[[PluginFile], None] | None = None) -> Catalogue:
        """The catalogue of all installed plugins. Each is loaded separately, so a broken plugin does not affect the others."""
        catalogue = cls(on_file)
        points, refused = find_entry_points(PLUGINS)
        catalogue.broken += [BrokenPlugin(*each) for each in refused]
        loaded = []
        for point in points:
            try:
                loaded.append(cls())
                loaded[-1].add(point.load(), point.name, origin_of(point), _distribution(point))
            except PluginError as error:
                catalogue.broken.append(BrokenPlugin(point.name, origin_of(point), str(error)))
            except (Exception, SystemExit) as error:
                catalogue.broken.append(BrokenPlugin(point.name, origin_of(point), describe_load_error(error, point)))
        catalogue._add_all(loaded)
        return catalogue

    def _add_all(self, loaded: Iterable[Catalogue]) -> None:
        """Add the entries of all installed plugins, each loaded into a catalogue of its own.

        If two plugins register the same name, neither is added: otherwise the installation of one could change the runs of the other.
        Only ganlab's own plugins keep their names.
        """
        catalogues = {name: catalogue for catalogue in loaded for name in catalogue.plugins}
        for name, catalogue in catalogues.items():
            (origin,) = catalogue.plugins.values()
            clashes = [
                (entry, rival)
                for key, entry in catalogue._entries.items()
                for other in catalogues.values()
                if other is not catalogue and (rival := other._entries.get(key)) and (_is_ours(rival.origin) or not _is_ours(origin))
            ]
            if clashes:
                self.broken.append(BrokenPlugin(name, origin, str(_clash(*clashes[0]))))
            else:
                self.plugins[name] = origin
                self._entries.update(catalogue._entries)

    def add_file(self, path: Path, content: bytes | None = None) -> PluginFile:
        """Load a plugin from a Python file that a recipe lists in ``plugins``. A file that is loaded already is not loaded again.

        Args:
            path: the file.
            content: execute this in place of the file's content; None reads the file. Compiled files (``.pyc``) are not used.

        Raises:
            UsageError: there is no such file, or it is not a Python file.
            PluginError: it cannot be executed (the hint is its own traceback), or breaks a rule of registration.
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
        sys.modules[module.__name__] = module  # dataclasses look up their module there
        try:
            exec(compile(file.content, str(path), "exec"), vars(module))
        except (Exception, SystemExit) as error:
            sys.modules.pop(module.__name__, None)
            if isinstance(error, ModuleNotFoundError) and error.name:
                text = f"plugin {path} cannot be loaded: it needs the module '{error.name}', which is not installed"
                raise PluginError(text, install_command(error.name)) from error
            raise PluginError(f"plugin {path} cannot be loaded: {type(error).__name__}: {error}", plugin_traceback(error)) from error
        self.add(module, path.stem, str(path))
        self._files[path] = file
        return file

    def add(self, plugin: object, name: str, origin: str, distribution: tuple[str, str] | None = None) -> None:
        """Call the registration hooks of ``plugin``, a module or any object, and add all entries or none.

        Args:
            plugin: has functions or methods that are marked with ``@ganlab.hookimpl``.
            name: of the plugin.
            origin: where it is from, for error messages.
            distribution: name and version of the installed distribution, if it is not ganlab's.

        Raises:
            PluginError: it registers nothing, has an unknown hook, or registers a name that another plugin has registered.
        """
        owner = f"plugin '{name}' ({origin})"
        check_plugin(owner, plugin)
        entries: dict[tuple[Kind, str], Entry] = {}
        for kind, hook in HOOK_OF.items():
            function = getattr(plugin, hook, None)
            if function is None:
                continue
            parameters = inspect.signature(function).parameters
            try:
                function(**({"register": self._register(kind, name, origin, distribution, entries)} if parameters else {}))
            except GanlabError:
                raise
            except (Exception, SystemExit) as error:
                raise PluginError(f"{owner}, in its {hook}, raised {type(error).__name__}: {error}", plugin_traceback(error)) from error
        if not entries:
            raise PluginError(f"{owner} registers nothing", 'its hooks do not call register("name", factory)')
        self._entries.update(entries)
        self.plugins[name] = origin

    def _register(
        self, kind: Kind, plugin: str, origin: str, distribution: tuple[str, str] | None, entries: dict[tuple[Kind, str], Entry]
    ) -> Callable[[str, Callable[..., Any]], None]:
        def register(name: str, factory: Callable[..., Any]) -> None:
            if not callable(factory):
                raise PluginError(f"plugin '{plugin}' ({origin}): {kind} '{name}' is not callable")
            owner = f"{kind} '{name}' of plugin '{plugin}' ({origin})"
            entry = Entry(kind, name, factory, options_model(factory, owner), plugin, origin, distribution)
            check_call(factory, POSITIONAL.get(kind), owner)
            rival = entries.get((kind, name)) or self._entries.get((kind, name))
            if rival is not None:
                raise _clash(entry, rival)
            entries[kind, name] = entry

        return register

    def names(self, kind: Kind) -> list[str]:
        """The names of all components of one kind, sorted."""
        return sorted(name for entry_kind, name in self._entries if entry_kind == kind)

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


def _clash(entry: Entry, rival: Entry) -> PluginError:
    """Two plugins register a component of the same kind and name."""
    owner, rival_owner = (f"plugin '{clashing.plugin}' ({clashing.origin})" for clashing in (entry, rival))
    return PluginError(
        f"{owner} brings a {entry.kind} '{entry.name}', and so does {rival_owner}",
        "rename one of them, or uninstall the plugin that you do not need",
    )


def _is_ours(origin: str) -> bool:
    """Whether an origin is ganlab's own distribution."""
    return origin.partition(" ")[0] == PROJECT


def _distribution(point: importlib.metadata.EntryPoint) -> tuple[str, str] | None:
    distribution = name_and_version(point.dist) if point.dist else (PROJECT, "")
    return None if distribution[0] == PROJECT else distribution
