"""The description of each option, read from docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

_SECTION = re.compile(r"(Args|Arguments|Attributes|Options|Parameters):\s*")
_OPTION = re.compile(r"(?P<names>\w+(?:, \w+)*)(?: \([^)]*\))?: (?P<text>.*)")


def option_texts(factory: Callable[..., Any]) -> dict[str, str]:
    """The sentence of each option in the ``Args:`` or ``Attributes:`` of a factory's docstring.

    ``a, b: text`` describes both; lines with a larger indent continue the option above.
    """
    texts: dict[str, str] = {}
    names: list[str] = []
    indent: int | None = None
    inside = False
    for line in (inspect.getdoc(factory) or "").splitlines():
        if not line.strip():
            names = []
        elif not line.startswith(" "):
            inside, names, indent = bool(_SECTION.fullmatch(line)), [], None
        elif inside:
            depth = len(line) - len(line.lstrip())
            indent = depth if indent is None else indent
            match = _OPTION.fullmatch(line.strip()) if depth == indent else None
            if match:
                names = match["names"].split(", ")
                texts |= dict.fromkeys(names, match["text"])
            else:
                texts |= {name: f"{texts[name]} {line.strip()}" for name in names}
    return texts
