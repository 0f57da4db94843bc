"""Entry points of installed distributions: plugins, commands and options. Only metadata is read, nothing is imported."""

from __future__ import annotations

import functools
import importlib.metadata
from collections import Counter
from collections.abc import Collection
from importlib.metadata import Distribution, EntryPoint
from typing import NamedTuple

PLUGINS, COMMANDS, OPTIONS = "ganlab", "ganlab.commands", "ganlab.options"  # the groups
WHAT = {PLUGINS: "a plugin", COMMANDS: "a command", OPTIONS: "an option"}


class Refused(NamedTuple):
    """An entry point that ganlab does not use: its name, its distribution with the version, and why."""

    name: str
    origin: str
    why: str


def find_entry_points(group: str, taken: Collection[str] = ()) -> tuple[list[EntryPoint], list[Refused]]:
    """Return the entry points of a group, sorted by name, and those that are refused because another one has their name.

    Args:
        taken: names that ganlab itself uses. If two distributions have an entry point of the same name, both are refused.
    """
    points = sorted(importlib.metadata.entry_points(group=group), key=lambda point: point.name)
    points = list({(p.name, p.value, origin_of(p)): p for p in points}.values())  # one installation may be on the path twice
    refused = [Refused(point.name, origin_of(point), f"ganlab has {WHAT[group]} of this name") for point in points if point.name in taken]
    points = [point for point in points if point.name not in taken]
    duplicates = sorted(name for name, count in Counter(point.name for point in points).items() if count > 1)
    for name in duplicates:
        origins = sorted(origin_of(point) for point in points if point.name == name)
        owners, commands = " and ".join(origins), " or ".join(f"pip uninstall {origin.partition(' ')[0]}" for origin in origins)
        refused.append(Refused(name, owners, f"two distributions have {WHAT[group]} of this name: {owners}; {commands}"))
    return [point for point in points if point.name not in duplicates], refused


def origin_of(point: EntryPoint) -> str:
    """The distribution that an entry point belongs to, with its version; where there is none, the entry point's value."""
    return " ".join(name_and_version(point.dist)) if point.dist else point.value


@functools.cache
def name_and_version(distribution: Distribution) -> tuple[str, str]:
    """Cached, because each access parses the whole metadata file again."""
    return distribution.name, distribution.version
