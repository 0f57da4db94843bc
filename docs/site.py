"""What the documentation site needs besides mkdocs.yml: pages and files that lie outside docs/, where the pages' links find them.

On GitHub a page links to `../ganlab/game/loop.py`. The site has no such folder: a copy of each file that is linked to goes into its
`source/`, as text, and the link is turned there. CHANGELOG.md is a page of its own.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
PAGES = {"CHANGELOG.md": "changes.md", "README.md": "index.md"}  # what outside docs/ is which page of the site
LINK = re.compile(r"(?<=\]\()(?P<target>[^)\s:#]+)(?P<anchor>#[^)]*)?(?=\))")


def outside(page: str, target: str) -> str | None:
    """The path, from the top of the repository, of what ``target`` on ``page`` names outside docs/; None if it is inside."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), target))
    return None if path == "docs" or path.startswith(("docs/", "..")) else path


def on_files(files: Any, config: Any) -> Any:
    """Add the changes as a page, and each file outside docs/ that a page links to."""
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "changes.md", content=changes))
    wanted = set()
    for page in files.documentation_pages():
        wanted |= {outside(page.src_uri, found["target"]) for found in LINK.finditer(page.content_string)}
    for path in sorted(wanted - PAGES.keys() - {None}):
        if (ROOT / path).is_file():  # what is not there stays a broken link, which a strict build reports
            text = (ROOT / path).read_text(encoding="utf-8")
            files.append(File.generated(config, f"source/{path}.txt", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn links that lead out of docs/ to where the site has what they name."""

    def turned(found: re.Match[str]) -> str:
        path = outside(page.file.src_uri, found["target"])
        if path is None:
            return found[0]
        there = PAGES.get(path) or f"source/{path}.txt"
        return posixpath.relpath(there, posixpath.dirname(page.file.src_uri) or ".") + (found["anchor"] or "")

    return LINK.sub(turned, markdown)
