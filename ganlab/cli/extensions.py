"""Commands and options that installed plugins bring. They are listed from metadata; a command's module is imported when it is called."""

from __future__ import annotations

import re
from collections.abc import Collection
from importlib.metadata import EntryPoint
from typing import Any

import click

from ganlab.cli.importing import importing
from ganlab.errors import PluginError, UsageError, did_you_mean
from ganlab.registry.entry_points import COMMANDS, OPTIONS, WHAT, find_entry_points, origin_of


class CommandGroup(click.Group):
    """A group of commands. For an unknown command it suggests the closest known one."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise UsageError(f"there is no command '{args[0]}'", did_you_mean(args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order in which a user needs them, not alphabetically


class MainGroup(CommandGroup):
    """The group ``ganlab``: its own commands, then those of plugins."""

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        points = {point.name: point for point in _usable(ctx, COMMANDS, self.commands)}  # announces refused ones before any command
        return super().get_command(ctx, name) or (PluginCommand(points[name]) if name in points else None)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *(point.name for point in _usable(ctx, COMMANDS, self.commands))]


class PluginCommand(click.Command):
    """A command of a plugin that has not been imported yet."""

    def __init__(self, point: EntryPoint) -> None:
        super().__init__(point.name, short_help=f"Of the plugin {point.module.partition('.')[0]} ({origin_of(point)}).")
        self.point = point

    def make_context(self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any) -> click.Context:
        return self.load().make_context(info_name, args, parent, **extra)

    def load(self) -> click.Command:
        """Import the command.

        Raises:
            PluginError: it cannot be imported, or is not a click command.
        """
        owner = f"the command '{self.name}' of {origin_of(self.point)}"
        try:
            with importing():
                command = self.point.load()
        except (Exception, SystemExit) as error:
            from ganlab.registry.load_errors import describe_load_error

            raise PluginError(f"{owner} cannot be imported", describe_load_error(error, self.point)) from error
        if not isinstance(command, click.Command):
            raise PluginError(f"{owner} is not a click command: {self.point.value} is a {type(command).__name__}", "add @click.command()")
        return command


class PluginOption(click.Option):
    """An option of a plugin. It sets one key of the recipe: the value of its entry point."""

    def __init__(self, point: EntryPoint) -> None:
        parameter = "plugin_" + re.sub(r"\W", "_", point.name)
        super().__init__([f"--{point.name}", parameter], help=f"The same as --set {point.value}=...  [from {origin_of(point)}]")
        self.point = point


class RecipeCommand(click.Command):
    """A command with ``--set``, and with the options of plugins that set keys of the recipe.

    Args:
        table: the command takes only options whose keys are in this table; empty for all tables.
    """

    def __init__(self, *args: Any, table: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.table = table

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        *params, help_option = super().get_params(ctx)
        taken = {option[2:] for param in [*params, help_option] for option in param.opts}
        points = [point for point in _usable(ctx, OPTIONS, taken) if not self.table or point.value.startswith(f"{self.table}.")]
        return [*params, *map(PluginOption, points), help_option]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        for option in self.get_params(ctx):
            if isinstance(option, PluginOption) and (value := ctx.params.pop(option.name, None)) is not None:
                ctx.params["overrides"] += (f"{option.point.value}={value}",)
        return rest


def extensions(ctx: click.Context) -> list[tuple[str, str, str]]:
    """All commands and options of plugins as rows of a table: the name, the distribution, and what it calls or sets."""
    group = ctx.find_root().command
    assert isinstance(group, MainGroup)
    commands = [command for name in group.list_commands(ctx) if isinstance(command := group.get_command(ctx, name), PluginCommand)]
    options = [option for option in group.commands["run"].get_params(ctx) if isinstance(option, PluginOption)]
    rows = [(f"ganlab {command.name}", origin_of(command.point), f"runs {command.point.value}") for command in commands]
    return rows + [(option.opts[0], origin_of(option.point), f"sets {option.point.value}") for option in options]


def _usable(ctx: click.Context, group: str, taken: Collection[str]) -> list[EntryPoint]:
    """The entry points of a group that ganlab uses. The others are announced, once for each command that is called."""
    key = f"{__name__}.{group}"
    if key not in ctx.meta:
        ctx.meta[key], refused = find_entry_points(group, taken)
        for name, origin, why in refused:
            from ganlab.screen.terminal import warn

            warn(f"the {WHAT[group].split()[1]} '{name}' of {origin} is not used: {why}")
    points: list[EntryPoint] = ctx.meta[key]
    return points
