"""Makes text harmless for a terminal: control characters, and characters that reorder a line, are shown escaped."""

from __future__ import annotations

import re

#: C0 without tab and line feed, DEL and C1 (escape sequences begin with these), marks that change the direction of writing, the line and
#: paragraph separators, and lone surrogates, which no output can encode.
_HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""``text`` with its harmful characters escaped. Line feeds and tabs stay.

    >>> printable("a \x1b[31mred\x1b[0m file\n")
    'a \\x1b[31mred\\x1b[0m file\n'
    """
    return _HARMFUL.sub(_escaped, text)


def one_line(text: str) -> str:
    r"""As :func:`printable`, for a value that takes one line: line feeds and tabs are escaped as well.

    >>> one_line("ring\nerror: forged")
    'ring\\nerror: forged'
    """
    return printable(text).replace("\n", r"\n").replace("\t", r"\t")


def _escaped(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
