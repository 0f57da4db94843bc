"""The code blocks of a Markdown page, and what its HTML comments say of them, which no reader sees.

A comment directly before a block is ``<!-- word: value -->`` or ``<!-- word -->``; test_pages.py says what each word does. A block
also has a file name where the sentence before it ends with one: "... in `clipped_ring.toml`:".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
WORDS = {
    "file": "the block is a file of this name",
    "source": "the block is this part of the repository: a file, or a file and names in it",
    "wrong": "the recipe is refused, and the text after it is the message",
    "overrides": "each line is a --set for this recipe",
    "picture": "the picture after it is this file of the page's folder",
    "tracked": "runs of this block are tracked; others are not, for MLflow takes seconds",
    "needs": "these files of the repository lie in the page's folder from here on",
    "not run": "the block cannot be run; says why",
}
COMMENT = re.compile(r"<!-- (?P<word>[a-z ]+?)(?:: (?P<value>.*?))? -->\Z", re.DOTALL)
FENCE = re.compile(r"^```(?P<language>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`(?P<name>[\w./-]+\.(?:py|toml|md))`:\Z")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page, line, number: where it is: the file, the line of its fence, its place among the page's blocks.
        language: what stands after the fence.
        text: what is between the fences, with a newline at its end.
        says: the words of the comments before it, and their values.
        title: the last heading before it.
    """

    page: Path
    line: int
    number: int
    language: str
    text: str
    says: dict[str, str] = field(default_factory=dict)
    title: str = ""

    @property
    def place(self) -> str:
        """Where a person finds it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """The README and every page of the docs."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """A page's path from the top of the repository."""
    return page.relative_to(ROOT).as_posix()


def is_generated(page: Path) -> bool:
    """Whether docs/generate.py makes all of the page."""
    return page.read_text(encoding="utf-8").startswith("<!-- made by docs/generate.py")


def blocks_of(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for number, match in enumerate(FENCE.finditer(text)):
        before = text[: match.start()]
        titles = re.findall(r"^#+ (.*)$", FENCE.sub("", before), re.MULTILINE)
        says = _says(before, page)
        found.append(Block(page, before.count("\n") + 1, number, match["language"], match["text"], says, titles[-1] if titles else ""))
    return found


def _says(before: str, page: Path) -> dict[str, str]:
    says: dict[str, str] = {}
    rest = before.rstrip()
    while rest.endswith("-->"):
        start = rest.rindex("<!--")
        comment = COMMENT.fullmatch(rest[start:])
        if comment is None or comment["word"] not in WORDS:
            break  # a mark of a generator, such as <!-- schedule -->
        assert comment["value"] or comment["word"] in ("wrong", "tracked"), f"{page.name}: <!-- {comment['word']} --> says nothing"
        says[comment["word"]] = " ".join((comment["value"] or "").split())
        rest = rest[:start].rstrip()
    named = NAMED.search(rest)
    if named:
        says.setdefault("file", named["name"])
    return says
