"""At which line of a TOML text each key stands: tomllib does not tell.

Works on text that tomllib has accepted, so it need not notice a mistake; it must only not be confused by what is legal.
"""

from __future__ import annotations

import re
import tomllib

from ganlab.recipe.places import Way

_BLANK = re.compile(r"[ \t]*")
_SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")  # also what may stand between the items of a list
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

    Tables that are only implied stand where they are first spoken of. The n-th ``[[tricks]]`` is ``("tricks", n)``, from 0.

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
        """The line that the scan has come to; it only goes forward."""
        self._line += self.text.count("\n", self._counted_to, self.at)
        self._counted_to = self.at
        return self._line

    def skip(self, pattern: re.Pattern[str]) -> str:
        """Step over what matches here, and return it."""
        match = pattern.match(self.text, self.at)
        if match is None:
            return ""
        self.at = match.end()
        return match.group()

    def taken(self, mark: str) -> bool:
        """Step over ``mark`` if it is here."""
        here = self.text.startswith(mark, self.at)
        self.at += len(mark) if here else 0
        return here

    def document(self) -> None:
        table: Way = ()
        while True:
            self.skip(_SPACE)
            if self.at >= len(self.text):
                return
            before = self.at
            line = self.line()
            if self.taken("[["):
                table = self.header(self.key(), line, array=True)
                self.taken("]]")
            elif self.taken("["):
                table = self.header(self.key(), line, array=False)
                self.taken("]")
            else:
                self.pair(table)
            if self.at == before:  # cannot happen in valid TOML; never loop for ever over a doubt
                return

    def header(self, parts: list[str], line: int, *, array: bool) -> Way:
        path: Way = ()
        for place, part in enumerate(parts):
            path += (part,)
            last = place == len(parts) - 1
            self.lines.setdefault(path, line)
            if array and last:
                self.counts[path] = self.counts.get(path, 0) + 1
            if path in self.counts:
                path += (self.counts[path] - 1,)
            if last:
                self.lines[path] = line  # where it is declared counts more than where it is first implied
        return path

    def key(self) -> list[str]:
        """A key, dotted or not, and the blanks around it."""
        parts = []
        while True:
            self.skip(_BLANK)
            if self.text[self.at : self.at + 1] in ('"', "'"):
                parts.append(next(iter(tomllib.loads(f"{self.skip(_STRING)} = 0"))))
            else:
                parts.append(self.skip(_BARE))
            self.skip(_BLANK)
            if not self.taken("."):
                return parts

    def pair(self, table: Way) -> None:
        line = self.line()
        path = table
        for part in self.key():
            path += (part,)
            self.lines.setdefault(path, line)
        self.taken("=")
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
        self.taken("[")
        place = 0
        while True:
            self.skip(_SPACE)
            if self.taken("]") or self.at >= len(self.text):
                return
            self.lines[(*path, place)] = self.line()
            before = self.at
            self.value((*path, place))
            self.skip(_SPACE)
            place += 1
            if not self.taken(",") and self.at == before:
                return

    def inline(self, path: Way) -> None:
        self.taken("{")
        while True:
            self.skip(_SPACE)
            if self.taken("}") or self.at >= len(self.text):
                return
            before = self.at
            self.pair(path)
            self.skip(_SPACE)
            if not self.taken(",") and self.at == before:
                return
