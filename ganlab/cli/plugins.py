"""What there is to build recipes from: plugins, what each brings, and what is broken and why."""

from __future__ import annotations

import inspect
from pathlib import Path

from ganlab.errors import PluginError, UsageError, did_you_mean
from ganlab.hookspecs import RunHooks
from ganlab.recipe.manual import hooks_of, options_of, snippet
from ganlab.registry.catalogue import HOOK_OF, Catalogue
from ganlab.registry.entry import BrokenPlugin, Entry
from ganlab.screen.announcements import announce_plugin_files
from ganlab.screen.terminal import show_lines, show_table, warn

PLURALS = {
    "network": "networks",
    "loss": "losses",
    "dataset": "data sets",
    "noise": "noises",
    "optimizer": "optimizers",
    "metric": "metrics",
    "judge": "judges",
    "trick": "tricks",
}


def plugins(name: str | None) -> None:
    """List all plugins, or tell everything about one of them, or about a component or trick."""
    if name is not None and name.endswith(".py"):
        catalogue = Catalogue.of_installed(announce_plugin_files(warn))
        name = catalogue.add_file(Path(name)).path.stem
    else:
        catalogue = Catalogue.of_installed()
    if name is None:
        _list(catalogue)
        return
    broken = [one for one in catalogue.broken if one.plugin == name]
    if broken:
        raise PluginError(f"plugin '{name}' ({broken[0].origin}) cannot be used", broken[0].why)
    brought = [entry for entry in catalogue.entries() if entry.plugin == name]
    named = [entry for entry in catalogue.entries() if entry.name == name]
    if name in catalogue.plugins:
        _tell_plugin(name, catalogue.plugins[name], brought)
        if len(brought) > 1:
            show_lines("", "ganlab plugins NAME tells all about one of these")
    elif not named:
        known = [*catalogue.plugins, *(entry.name for entry in catalogue.entries())]
        raise UsageError(f"there is no plugin, component or trick called '{name}'", did_you_mean(name, known))
    for entry in brought if len(brought) == 1 else named:
        show_lines("")
        _tell_entry(entry)


def _list(catalogue: Catalogue) -> None:
    rows = [("plugin", "from", "brings")]
    for name, origin in sorted(catalogue.plugins.items(), key=lambda item: (item[1], item[0])):
        rows.append((name, origin, _brought(catalogue, name)))
    show_table(rows)
    if catalogue.broken:
        show_lines("", "These cannot be used; recipes that do not need them are none the worse:")
        for one in catalogue.broken:
            show_lines(f"  {one.plugin} ({one.origin}): {_first_line(one)}")
    show_lines("", "ganlab plugins NAME tells all about a plugin, a component or a trick; ganlab plugins FILE.py about one of yours")


def _brought(catalogue: Catalogue, plugin: str) -> str:
    """``losses bce, relativistic_bce; tricks clamp``."""
    found = {kind: [entry.name for entry in catalogue.entries([kind]) if entry.plugin == plugin] for kind in HOOK_OF}
    return "; ".join(f"{PLURALS[kind]} {', '.join(names)}" for kind, names in found.items() if names) or "nothing"


def _first_line(broken: BrokenPlugin) -> str:
    return next(iter(broken.why.splitlines()), "it could not be loaded")


def _tell_plugin(name: str, origin: str, brought: list[Entry]) -> None:
    show_lines(f"plugin {name}, from {origin}")
    show_table([("", "", ""), *((entry.kind, entry.name, entry.summary) for entry in brought)])


def _tell_entry(entry: Entry) -> None:
    """What it is, its hooks, its options with types, defaults and words, and a piece of recipe."""
    show_lines(f"{entry.kind} {entry.name}, from plugin {entry.plugin} ({entry.origin})", "")
    show_lines(*_head_of(inspect.getdoc(entry.factory) or "" if entry.summary else ""))  # a dataclass writes one of its own
    hooks = hooks_of(entry) if entry.kind == "trick" else None
    if hooks:
        order = list(vars(RunHooks))
        show_lines("", f"hooks: {', '.join(sorted(hooks, key=order.index))}")
    options = options_of(entry)
    if options:
        show_lines("", "options:")
        for option in options:
            default = "left out by default" if option.default is None else f"default {option.default}"
            words = [option.expected, "must be given" if option.required else default]
            show_lines(f"  {option.name}: {', '.join(filter(None, words))}")
            show_lines(*([f"      {_plain(option.text)}"] if option.text else []))
    show_lines("", "in a recipe:", "", *(f"  {line}" for line in snippet(entry).splitlines()))


def _head_of(document: str) -> list[str]:
    """A docstring up to its first section of options; it says the rest option by option."""
    lines: list[str] = []
    for line in document.splitlines():
        if line.strip() in ("Options:", "Args:", "Arguments:", "Attributes:", "Parameters:", "Raises:"):
            break
        lines.append(_plain(line))
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _plain(text: str) -> str:
    """A docstring's text without reStructuredText's double quotes of code."""
    return text.replace("``", "`")
