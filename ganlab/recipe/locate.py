"""The line of each key in a TOML text, which tomllib does not provide.

The text must be valid TOML: this scanner skips over values, and detects no mistakes.
"""

from __future__ import annotations

import re
import tomllib

from ganlab.recipe.places import Way

_BLANK = re.compile(r"[ \t]*")
_SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")  # also between the items of a list
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'  # the closing quotes may follow up to two that belong to the text
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def locate(text: str) -> dict[Way, int]:
    """The line, from 1, of every key, table and list item of a valid TOML text.

    A table that is only implied is at the line that first mentions it. The n-th ``[[tricks]]`` is ``("tricks", n)``, from 0.

    >>> locate("[data]\\nuse = 'ring'\\n[[tricks]]\\nuse = 'clamp'")[("tricks", 0, "use")]
    4
    """
    return _Scan(text).lines


class _Scan:
    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.lines: dict[Way, int] = {}
        self.counts: dict[Way, int] = {}  # of each array of tables, so far
        self._counted_to, self._line = 0, 1
        self.document()

    def line(self) -> int:
        """The current line; the scan only goes forward."""
        self._line += self.text.count("\n", self._counted_to, self.at)
        self._counted_to = self.at
        return self._line

    def skip(self, pattern: re.Pattern[str]) -> str:
        """Skip the text that matches at the current position, and return it."""
        match = pattern.match(self.text, self.at)
        if match is None:
            return ""
        self.at = match.end()
        return match.group()

    def accept(self, token: str) -> bool:
        """Skip ``token`` if it is at the current position, and return whether it was."""
        accepted = self.text.startswith(token, self.at)
        self.at += len(token) if accepted else 0
        return accepted

    def document(self) -> None:
        table: Way = ()
        while True:
            self.skip(_SPACE)
            if self.at >= len(self.text):
                return
            before = self.at
            line = self.line()
            if self.accept("[["):
                table = self.header(self.key(), line, array=True)
                self.accept("]]")
            elif self.accept("["):
                table = self.header(self.key(), line, array=False)
                self.accept("]")
            else:
                self.pair(table)
            if self.at == before:  # does not happen in valid TOML; prevents an endless loop
                return

    def header(self, parts: list[str], line: int, *, array: bool) -> Way:
        path: Way = ()
        for position, part in enumerate(parts):
            path += (part,)
            last = position == len(parts) - 1
            self.lines.setdefault(path, line)
            if array and last:
                self.counts[path] = self.counts.get(path, 0) + 1
            if path in self.counts:
                path += (self.counts[path] - 1,)
            if last:
                self.lines[path] = line  # the header of a table, rather than the line that first implies it
        return path

    def key(self) -> list[str]:
        """The parts of a key, dotted or not; skips the blanks around them."""
        parts = []
        while True:
            self.skip(_BLANK)
            if self.text[self.at : self.at + 1] in ('"', "'"):
                parts.append(next(iter(tomllib.loads(f"{self.skip(_STRING)} = 0"))))
            else:
                parts.append(self.skip(_BARE))
            self.skip(_BLANK)
            if not self.accept("."):
                return parts

    def pair(self, table: Way) -> None:
        line = self.line()
        path = table
        for part in self.key():
            path += (part,)
            self.lines.setdefault(path, line)
        self.accept("=")
        self.skip(_BLANK)
        self.value(path)

    def value(self, path: Way) -> None:
        first = self.text[self.at : self.at + 1]
        if first in ('"', "'"):
            self.skip(_STRING)
        elif first == "[":
            self.items(path)
        elif first == "{":
            self.inline(path)
        else:
            self.skip(_SCALAR)

    def items(self, path: Way) -> None:
        self.accept("[")
        index = 0
        while True:
            self.skip(_SPACE)
            if self.accept("]") or self.at >= len(self.text):
                return
            self.lines[(*path, index)] = self.line()
            before = self.at
            self.value((*path, index))
            self.skip(_SPACE)
            index += 1
            if not self.accept(",") and self.at == before:
                return

    def inline(self, path: Way) -> None:
        self.accept("{")
        while True:
            self.skip(_SPACE)
            if self.accept("}") or self.at >= len(self.text):
                return
            before = self.at
            self.pair(path)
            self.skip(_SPACE)
            if not self.accept(",") and self.at == before:
                return
