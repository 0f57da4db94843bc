"""Writing a command's tables into a page of the documentation, between comments that mark its place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


class NoPlace(Exception):
    """The page has no such place, or half of one."""


def marks(name: str) -> tuple[str, str]:
    """The comments before and after the place of that name."""
    return f"<!-- measured: {name} -->", f"<!-- end of {name} -->"


def written(page: str, name: str, lines: Sequence[str]) -> str:
    """The page with ``lines`` in its place of that name, whatever stood there.

    Raises:
        NoPlace: its comments are not there, once each and in this order.
    """
    begin, end = marks(name)
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise NoPlace(f"the page needs these two lines, once each and in this order, where the table is to stand:\n{begin}\n{end}")
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return before + "\n".join([begin, *lines, end]) + after


def write(name: str, lines: Sequence[str], path: Path = PAGE) -> None:
    """Put ``lines`` into the page's place of that name.

    Raises:
        NoPlace: it has none.
    """
    path.write_text(written(path.read_text(encoding="utf-8"), name, lines), encoding="utf-8")
