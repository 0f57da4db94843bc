"""Code on pages that is the repository's own, and is never typed twice.

A block after ``<!-- source: docs/examples/hinge.py -->`` holds that file. One after ``<!-- source: ganlab/game/loop.py play_step plan -->``
holds these functions (or classes, or ``Class.method``) of it. ``python docs/generate.py`` fills the blocks in.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MARK = re.compile(r"(<!-- source: ([^\n]+?) -->\n(?:<!-- [^\n]* -->\n)*```[a-z]+\n)(.*?)(^```$)", re.MULTILINE | re.DOTALL)


def source(reference: str) -> str:
    """A file of the repository, or the parts of it that ``reference`` names, with two empty lines between them.

    Raises:
        LookupError: there is no such file, or nothing of that name in it.
    """
    path, *names = reference.split()
    file = HERE.parent / path
    if not file.is_file():
        raise LookupError(f"there is no {path}")
    text = file.read_text(encoding="utf-8")
    return "\n\n".join(_part(text, name.split("."), f"{path} {name}") for name in names) if names else text


def _part(text: str, names: list[str], what: str) -> str:
    body: list[ast.stmt] = ast.parse(text).body
    found: ast.stmt | None = None
    for name in names:
        found = next((node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name), None)
        if not isinstance(found, ast.FunctionDef | ast.ClassDef):
            raise LookupError(f"there is no {what}")
        body = found.body
    assert isinstance(found, ast.FunctionDef | ast.ClassDef) and found.end_lineno is not None
    first = min([found.lineno, *(decorator.lineno for decorator in found.decorator_list)])
    lines = text.splitlines()[first - 1 : found.end_lineno]
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[indent:] for line in lines) + "\n"


def filled(page: str) -> str:
    """A page with all its blocks of source as the repository has them."""
    return MARK.sub(lambda found: found[1] + source(found[2]) + found[4], page)


def pages_with_sources() -> dict[Path, str]:
    """What each page that shows source should hold."""
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(HERE.rglob("*.md"))}
    return {path: filled(text) for path, text in pages.items() if MARK.search(text)}


if __name__ == "__main__":
    sys.stdout.write(source(" ".join(sys.argv[1:])))
