"""``ganlab plugins``: list the installed plugins with their commands and options, and describe a plugin, a component or a trick."""

from __future__ import annotations

import inspect
from pathlib import Path

import click

from ganlab.cli.extensions import extensions
from ganlab.errors import PluginError, UsageError, did_you_mean
from ganlab.hookspecs import RunHooks
from ganlab.recipe.manual import hooks_of, options_of, snippet
from ganlab.registry.catalogue import HOOK_OF, Catalogue
from ganlab.registry.entry import Entry
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
    """List all plugins, or describe one plugin, component or trick.

    Args:
        name: of a plugin, component or trick, or a plugin file (``my_trick.py``), whose code is run; None lists all.

    Raises:
        PluginError: the plugin cannot be loaded.
        UsageError: nothing has this name.
    """
    if name is not None and name.endswith(".py"):
        catalogue = Catalogue.of_installed(announce_plugin_files(warn))
        name = catalogue.add_file(Path(name)).path.stem
    else:
        catalogue = Catalogue.of_installed()
    if name is None:
        _list(catalogue)
        return
    for broken in catalogue.broken:
        if broken.plugin == name:
            raise PluginError(f"plugin '{name}' ({broken.origin}) cannot be used", broken.why)
    plugin_entries = [entry for entry in catalogue.entries() if entry.plugin == name]
    entries_with_name = [entry for entry in catalogue.entries() if entry.name == name]
    if name in catalogue.plugins:
        _show_plugin(name, catalogue.plugins[name], plugin_entries)
        if len(plugin_entries) > 1:
            show_lines("", "ganlab plugins NAME describes one of these")
    elif not entries_with_name:
        known = [*catalogue.plugins, *(entry.name for entry in catalogue.entries())]
        raise UsageError(f"there is no plugin, component or trick called '{name}'", did_you_mean(name, known))
    for entry in plugin_entries if len(plugin_entries) == 1 else entries_with_name:
        show_lines("")
        _show_entry(entry)


def _list(catalogue: Catalogue) -> None:
    rows = [("plugin", "from", "brings")]
    for name, origin in sorted(catalogue.plugins.items(), key=lambda item: (item[1], item[0])):
        rows.append((name, origin, _summary(catalogue, name)))
    show_table(rows)
    if commands_and_options := extensions(click.get_current_context()):
        show_lines("")
        show_table([("command or option", "from", "does"), *commands_and_options])
    if catalogue.broken:
        show_lines("", "These cannot be used. Recipes that do not need them are not affected:")
        for broken in catalogue.broken:
            show_lines(f"  {broken.plugin} ({broken.origin}): {broken.reason}")
    show_lines("", "ganlab plugins NAME describes a plugin, a component or a trick; ganlab plugins FILE.py a plugin file of yours")


def _summary(catalogue: Catalogue, plugin: str) -> str:
    """Return what a plugin brings in one line: ``losses bce, relativistic_bce; tricks clamp``."""
    names_by_kind = {kind: [entry.name for entry in catalogue.entries([kind]) if entry.plugin == plugin] for kind in HOOK_OF}
    return "; ".join(f"{PLURALS[kind]} {', '.join(names)}" for kind, names in names_by_kind.items() if names) or "nothing"


def _show_plugin(name: str, origin: str, entries: list[Entry]) -> None:
    show_lines(f"plugin {name}, from {origin}")
    show_table([("", "", ""), *((entry.kind, entry.name, entry.summary) for entry in entries)])


def _show_entry(entry: Entry) -> None:
    """Show a component or trick: its docstring, its hooks, its options with types and defaults, and a piece of a recipe."""
    show_lines(f"{entry.kind} {entry.name}, from plugin {entry.plugin} ({entry.origin})", "")
    show_lines(*_head_of(inspect.getdoc(entry.factory) or "" if entry.summary else ""))  # a dataclass without a docstring generates one
    hooks = hooks_of(entry) if entry.kind == "trick" else None
    if hooks:
        order = list(vars(RunHooks))
        show_lines("", f"hooks: {', '.join(sorted(hooks, key=order.index))}")
    options = options_of(entry)
    if options:
        show_lines("", "options:")
        for option in options:
            default = "left out by default" if option.default is None else f"default {option.default}"
            facts = [option.expected, "must be given" if option.required else default]
            show_lines(f"  {option.name}: {', '.join(filter(None, facts))}")
            show_lines(*([f"      {_plain(option.text)}"] if option.text else []))
    show_lines("", "in a recipe:", "", *(f"  {line}" for line in snippet(entry).splitlines()))


def _head_of(document: str) -> list[str]:
    """Return the lines of a docstring up to its first section, such as ``Options:``. The options are shown one by one instead."""
    lines: list[str] = []
    for line in document.splitlines():
        if line.strip() in ("Options:", "Args:", "Arguments:", "Attributes:", "Parameters:", "Raises:"):
            break
        lines.append(_plain(line))
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _plain(text: str) -> str:
    """Return a docstring's text with single backticks around code, not reStructuredText's double ones."""
    return text.replace("``", "`")
