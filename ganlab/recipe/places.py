"""A recipe as a tree in which every value has its file and line, and the list of mistakes with their places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganlab.errors import RecipeError
from ganlab.redaction import redacted_value

#: The path of a value in a document: keys of tables, and positions in lists.
Way = tuple[str | int, ...]

OVERRIDES = 1_000_000  # the order of overrides: after all files


@dataclass(frozen=True)
class Place:
    """The place where a value was written.

    Attributes:
        source: the file as a person would type it, or ``--set a.b=c``, or ``--grid a.b=c``.
        line: in that file, from 1; None on the command line.
        order: the position of the source among all sources (the recipe itself first); mistakes are sorted by it.
    """

    source: str
    line: int | None = None
    order: int = 0

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass
class Node:
    """A value and its place. Tables hold nodes by key, lists hold nodes, anything else is the value itself.

    ``refused`` marks a value that is in the list of mistakes already, to report it only once.
    """

    value: Any
    place: Place
    refused: bool = False

    @property
    def table(self) -> dict[str, Node]:
        """The nodes of a table by key; empty if this is not a table."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def is_table(self) -> bool:
        """Whether this is a table."""
        return isinstance(self.value, dict)

    def get(self, key: str) -> Node | None:
        """The node of a key, or None."""
        return self.table.get(key)

    def at(self, path: Way) -> Node:
        """The node at ``path``, or the last node on that path that exists."""
        node = self
        for part in path:
            below: Node | None = None
            if isinstance(part, str):
                below = node.get(part)
            elif isinstance(node.value, list) and 0 <= part < len(node.value):
                below = node.value[part]
            if below is None:
                break
            node = below
        return node

    def with_table(self, table: dict[str, Node]) -> Node:
        """A copy with other content, at the same place."""
        return Node(table, self.place, self.refused)

    def without(self, *keys: str) -> Node:
        """A copy of the table without some keys."""
        return self.with_table({key: node for key, node in self.table.items() if key not in keys})

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def leaves(self) -> Iterator[tuple[Way, Node]]:
        """Every value that is neither a table nor a list, with its path."""
        if isinstance(self.value, dict | list):
            items: Iterable[tuple[str | int, Node]] = self.value.items() if isinstance(self.value, dict) else enumerate(self.value)
            for part, node in items:
                for path, leaf in node.leaves():
                    yield (part, *path), leaf
        else:
            yield (), self


@dataclass
class Mistakes:
    """All mistakes so far, each with its place and without duplicates.

    Attributes:
        texts: for each mistake, whether it is that no plugin brings a component.
    """

    texts: dict[tuple[Place, str], bool] = field(default_factory=dict)

    def add(self, place: Place, text: str, *, missing_component: bool = False) -> None:
        """Add a mistake."""
        self.texts[place, text] = missing_component

    @property
    def missing_component(self) -> bool:
        """Whether a component was not found."""
        return any(self.texts.values())

    def __bool__(self) -> bool:
        return bool(self.texts)

    def error(self, recipe: str, more: str = "") -> RecipeError:
        """All mistakes as one error, in the order of the files, with what to type next.

        Args:
            recipe: the recipe as a person would type it.
            more: a line before the hint.
        """
        ordered = sorted(self.texts, key=lambda item: (item[0].order, item[0].line or 0))
        lines = list(dict.fromkeys(f"{place}: {text}" for place, text in ordered))  # the same `--set` may be typed twice
        what = "put it right" if len(lines) == 1 else "put these right"
        hint = f"{what}, then `ganlab check {recipe}`; `ganlab schema` prints all that a recipe may say"
        return RecipeError(lines, f"{more}\n{hint}" if more else hint, missing_component=self.missing_component)


def dotted(label: str, path: Way) -> str:
    """The path of a value as people write it.

    >>> dotted("generator", ("hidden", 1))
    'generator.hidden[1]'
    """
    text = label
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def display(path: Path) -> str:
    """A file as a person would type it: relative to the current folder if it is inside."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def show(value: Any) -> str:
    """A value as in TOML, without passwords, cut to 60 characters.

    >>> show([1, True, "a"])
    "[1, true, 'a']"
    """
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, list):
        text = f"[{', '.join(show(item) for item in value)}]"
    elif isinstance(value, dict):
        text = "a table"
    else:
        text = repr(redacted_value(value) if isinstance(value, str) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."
