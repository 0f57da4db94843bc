"""Every block of every page is run, loaded or looked at; nothing is left out without a reason that is listed here.

- ``python``: run, all blocks of a page in one namespace; one with a file name is written and imported.
- ``toml``: loaded; what is no whole recipe is laid over ``ring``.
- ``console``: run, line by line, and what is printed compared with what is shown.
- ``text``: compared with what the block before has printed.
- ``sh``, ``bash``: each command exists, with these options and files, and its ``--set`` fit.

What the comments before a block may say stands in page_blocks.py. ``GANLAB_WRITE_PAGES=1 python -m pytest tests/test_pages.py`` puts what
was printed on the pages; look at the difference before you commit it.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click
import pytest
from page_blocks import ROOT, blocks_of, name_of, pages
from page_commands import check_command, commands
from page_match import same
from page_run import PageRun

import ganlab
from ganlab.errors import GanlabError
from ganlab.recipe import load_recipe
from ganlab.registry.catalogue import Catalogue
from ganlab.screen.terminal import console, errors
from ganlab.storage.checkpoint import load

#: The blocks that are not run, by page: how many. Their reasons stand before them, and are printed by `pytest -rP -k without`.
NOT_RUN = {"docs/health.md": 1, "docs/reliability.md": 1, "docs/tracking.md": 1}
#: Pages that train for more than some seconds.
SLOW = {"README.md", "docs/compare.md", "docs/first_run.md", "docs/sampling.md", "docs/script.md", "docs/tutorial/"}


def marked(page: Path) -> Any:
    """The page as a test's parameter."""
    slow = name_of(page).startswith(tuple(SLOW))
    return pytest.param(page, id=name_of(page), marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize("page", [marked(page) for page in pages()])
def test_a_page_does_what_it_shows(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    for screen in (console, errors):  # which another test may have made at another width
        monkeypatch.setattr(screen, "_width", 120)
    monkeypatch.syspath_prepend(tmp_path)  # as for a script that lies there
    before = set(sys.modules)
    run = PageRun(page, tmp_path)
    run.run()
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    assert len(run.done) == len(blocks_of(page))
    AFTERWARDS.get(name_of(page), lambda run: None)(run)


def the_trick_of_the_readme_clips_and_its_generator_samples(run: PageRun) -> None:
    images = run.module.images
    assert (tuple(images.shape), bool(images.abs().max() <= 1)) == ((16, 1, 28, 28), True)
    few = {"train.steps": 3, "data.samples": 600, "tracking.enabled": False}
    clipped = ganlab.run("clipped_ring.toml", {**few, "tricks.weight_clipping.limit": 0.03125}, display=False)
    weights = load(clipped.path / "checkpoints" / "step_000000003.safetensors")["discriminator"]["network"].values()
    assert max(float(weight.abs().max()) for weight in weights) == 0.03125


def the_scripts_of_the_page_go_on(run: PageRun) -> None:
    assert run.module.longer.info["counters"]["step"] == 300


#: What is true of a page's blocks besides what they print.
AFTERWARDS = {
    "README.md": the_trick_of_the_readme_clips_and_its_generator_samples,
    "docs/script.md": the_scripts_of_the_page_go_on,
}


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_command_could_be_run(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    lines = [(line, True) for block in blocks_of(page) if block.language in ("sh", "bash") for line in commands(block.text)]
    prose = re.findall(r"`(ganlab\s[^`{}]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    for line, complete in [*lines, *((line, False) for line in prose)]:
        try:
            check_command(" ".join(line.split()))
        except click.MissingParameter:
            assert not complete, f"{name_of(page)}: `{line}` lacks something"  # in prose `ganlab resume` is the command's name
        except (GanlabError, click.ClickException) as error:
            raise AssertionError(f"{name_of(page)}: `{line}`: {error}") from error


def test_no_block_is_left_out_without_a_reason() -> None:
    every = [block for page in pages() for block in blocks_of(page)]
    left_out = [block for block in every if "not run" in block.says]
    for block in left_out:
        print(f"{block.place}: {block.says['not run']}")
        assert len(block.says["not run"].split()) > 4, f"{block.place}: why is it not run?"
    assert Counter(name_of(block.page) for block in left_out) == NOT_RUN


def test_every_fence_is_that_of_a_block() -> None:
    for page in pages():
        fences = re.findall(r"^\s*(?:```|~~~).*", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(fences) == 2 * len(blocks_of(page)), f"{name_of(page)} has a fence that is indented, or not closed, or of another kind"


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        ("a\nb\n", "a\nb", True),
        ("a\nb\n", "a\nc\n", False),
        ("a\n...\nd\n", "a\nb\nc\nd\n", True),
        ("a\n...\nd\n", "a\nb\nc\n", False),
        ("in ... s\n", "in 12 s\n", True),
        ("in ... s\n", "in 12\n3 s\n", False),
        ("D loss 1.073  G loss 1.280\n", "D loss 1.100  G loss 1.270\n", True),
        ("D loss 1.073  G loss 1.280\n", "D loss 1.573  G loss 1.280\n", False),
        ("right 74%/88%\n", "right 70%/90%\n", True),
        ("right 74%/88%\n", "right 74%/60%\n", False),
        ("dropout 0.2\n", "dropout 0.3\n", False),
        ("shown (p = 0.23);\n", "shown (p = 0.36);\n", True),
        ("shown (p = 0.23);\n", "shown (p = 0.66);\n", False),
        ("quality  modes 5  reverse kl 0.462\n", "quality  modes 7  reverse kl 0.149\n", True),
        ("quality  modes 5  reverse kl 0.462\n", "quality  modes 5  coverage 0.462\n", False),
        ("runs/20260102-030405-ring-1a2b/a\n", "runs/20301112-131415-ring-ffff/a\n", True),
        ("runs/20260102-030405-ring-1a2b/a\n", "runs/20301112-131415-grid-ffff/a\n", False),
        ("after 0 min 2 s, 500 steps/s\n", "after 3 min 1 s, 1,500 steps/s\n", True),
    ],
)
def test_what_counts_as_the_same_output(shown: str, printed: str, expected: bool) -> None:
    assert same(shown, printed) is expected


# -- what pages say of their blocks ----------------------------------------------------------------------------------------


def test_the_recipe_of_the_readme_does_what_its_comments_say(tmp_path: Path) -> None:
    path = tmp_path / "my_recipe.toml"
    path.write_text(next(block.text for block in blocks_of(ROOT / "README.md") if block.language == "toml"))
    recipe = load_recipe(path, Catalogue.of_installed())
    tricks = {trick.name: trick.options for trick in recipe.tricks}
    assert tricks["adaptive_generator_steps"]["max_updates"] == 10
    assert {"clamp", "gradient_clipping", "label_smoothing"} < set(tricks)
    assert (recipe.losses["generator"].options["saturating"], recipe.train.epochs) == (False, 20)
