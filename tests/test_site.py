"""The documentation site builds without a warning, has every page, and fetches nothing from other hosts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from page_blocks import DOCS, ROOT


def build(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", source / "mkdocs.yml", "--site-dir", site]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, env=environment, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return folder


def test_every_page_is_there_and_in_the_navigation(site: Path) -> None:
    for page in [*DOCS.rglob("*.md"), DOCS / "changes.md"]:
        folder = page.relative_to(DOCS).with_suffix("")
        made = site / (folder.parent if page.stem in ("index", "README") else folder) / "index.html"
        assert made.is_file(), f"{page} is not in the site"
        assert "<title>" in made.read_text(encoding="utf-8")


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for path in [*site.rglob("*.html"), *site.rglob("*.css")]:
        text = path.read_text(encoding="utf-8")
        fetched = re.findall(r"""(?:<(?:script|img|link|iframe)[^>]*\s(?:src|href)=|url\(|@import\s)["']?(https?:)?//[^"')\s]*""", text)
        assert not fetched, f"{path.relative_to(site)} fetches {fetched}"


def test_links_to_code_lead_to_a_copy_of_it(site: Path) -> None:
    page = (site / "loop" / "index.html").read_text(encoding="utf-8")
    (target,) = re.findall(r'href="([^"]*loop\.py[^"]*)"', page)
    assert (site / "loop" / target).resolve().read_text(encoding="utf-8") == (ROOT / "ganlab/game/loop.py").read_text(encoding="utf-8")


def test_no_comment_of_a_page_is_seen(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = re.sub(r"<!--.*?-->", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert "&lt;!--" not in text, f"{path.relative_to(site)} shows a comment"


#: What is written on a page, and what mkdocs says of it.
BROKEN = {
    "[there](nowhere.md)": "contains a link 'nowhere.md', but the target is not found",
    "[code](../ganlab/engine/gone.py)": "contains a link 'source/ganlab/engine/gone.py.txt', but the target is not found",
    "[a part](recipe.md#no-such-part)": "does not contain an anchor '#no-such-part'",
}


def test_broken_links_are_refused(tmp_path: Path) -> None:
    for name in ("docs", "README.md", "CHANGELOG.md", "mkdocs.yml", "ganlab"):
        there = tmp_path / name
        there.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, there)
    page = tmp_path / "docs" / "data.md"
    page.write_text(page.read_text(encoding="utf-8") + "\n\n".join(["", *BROKEN, ""]), encoding="utf-8")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    warnings = [line for line in done.stderr.splitlines() if line.startswith("WARNING")]
    assert len(warnings) == len(BROKEN), done.stderr
    for told in BROKEN.values():
        assert any(told in warning for warning in warnings), done.stderr
