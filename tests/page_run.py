"""A page as a reader follows it from top to bottom: each block is done in one folder, and what it prints is compared with the page."""

from __future__ import annotations
import __future__

import importlib.util
import os
import re
import shutil
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from filelock import FileLock
from page_blocks import ROOT, Block, blocks_of, is_generated
from page_commands import captured, in_process, printed_by, steps_of, words_of
from page_match import HOME, RUN_ID, same

from ganlab.errors import RecipeError
from ganlab.recipe import load_recipe
from ganlab.registry.catalogue import Catalogue

PICTURE = re.compile(r"<!-- picture: (\S+) -->\n+!\[[^\]]*\]\(([^)]+)\)")
TILE, ALIKE = 12, 0.8  # pixels, and how much the means of tiles must go together in two pictures of one thing
PATIENCE = 120.0  # seconds that a tracker may need after a run
WRITE = bool(os.environ.get("GANLAB_WRITE_PAGES"))  # put what was printed on the page, where it shows something else
PARENT = "ring"  # what a part of a recipe is laid over
#: What stands for an option that must be given, in a snippet of `ganlab plugins`, and something that it may be.
TO_BE_GIVEN = {r"= \.\.\.  # must be given: a path in quotes": '= "."'}
LAZY = __future__.annotations.compiler_flag  # names in a signature need not be there
QUICK = {"train.steps": 2, "tracking.enabled": False}


class PageRun:
    """What has come of a page so far.

    Attributes:
        page, folder: the Markdown file, and the folder that its blocks are run in: the current one.
        module: what its Python blocks have defined.
        printed: what the block before has printed; None where it prints nothing that could be shown.
        done: for each block that has been run, how.
    """

    def __init__(self, page: Path, folder: Path) -> None:
        self.page, self.folder = page, folder
        self.module = ModuleType("page")
        self.printed: str | None = None
        self.done: list[str] = []
        self.written: set[str] = set()
        self.tested: list[str] = []  # what pytest has been called with
        self.ids: dict[str, str] = {}
        self.seen = 0  # lines

    def run(self) -> None:
        """All blocks in order."""
        for block in blocks_of(self.page):
            self.look(block.line)
            if "not run" in block.says:
                self.done.append("not run")
                continue
            for path in block.says.get("needs", "").split():
                shutil.copy(ROOT / path, self.folder)
            if "source" in block.says:
                assert block.text == source(block.says["source"]), f"{block.place} is not {block.says['source']}: python docs/generate.py"
            ways = {"python": self.python, "toml": self.toml, "console": self.console, "text": self.text, "sh": self.sh, "bash": self.sh}
            assert block.language in ways, f"{block.place}: a block of '{block.language}' cannot be tested; it may be {', '.join(ways)}"
            if block.language != "text":
                self.printed = None
            ways[block.language](block)
            self.done.append(block.language)
        self.look()
        for file in self.written:
            tested = not Path(file).name.startswith("test_") or any(file.startswith(word) for word in self.tested)
            assert tested, f"{self.page.name}: {file} is never run; show `$ python -m pytest {file}`"

    # -- blocks --------------------------------------------------------------------------------------------------------

    def python(self, block: Block) -> None:
        """Run it, in the namespace of the page; or write it, and import it; or it is source, which is run elsewhere.

        A file of tests is written, and run where the page says so. A hook's signature has no body: it is given one.
        """
        if "file" in block.says:
            self.write(block)
            if not block.says["file"].startswith("test_"):
                execute(block.text, block.says["file"], ModuleType(Path(block.says["file"]).stem))
        elif "source" not in block.says:
            signature = is_generated(self.page) and re.fullmatch(r"def .*[^:]\n", block.text)
            code = block.text.replace("\n", ": ...\n") if signature else self.with_real_runs(block.text)
            with captured() as out:
                execute("\n" * block.line + code, str(self.page), self.module, LAZY if signature else 0)
            self.printed = out.getvalue()

    def toml(self, block: Block) -> None:
        """Load it: a whole recipe, or a part of one."""
        if "file" in block.says:
            self.write(block)
        text = block.text
        if "wrong" in block.says:
            path = self.folder / block.says.get("file", "recipe.toml")
            path.write_text(text, encoding="utf-8")
            with pytest.raises(RecipeError) as caught:
                load_recipe(path.relative_to(self.folder), Catalogue.of_installed())
            self.printed = str(caught.value)
            return
        for pattern, instead in TO_BE_GIVEN.items():
            text = re.sub(pattern, instead, text)
        content = tomllib.loads(text)
        if "project" in content:
            return
        if "extends" not in content and not {"data", "generator"} < content.keys():
            text = f'extends = "{PARENT}"\n{text}'
        self.load(text, content)

    def load(self, text: str, content: dict[str, Any]) -> None:
        """Load a recipe of the page; its plugin files are those that the page has written, or lie beside it."""
        for file in content.get("plugins", []):
            if not (self.folder / file).exists() and (self.page.parent / file).exists():
                shutil.copy(self.page.parent / file, self.folder / file)
        path = self.folder / "recipe_of_the_page.toml"
        path.write_text(text, encoding="utf-8")
        if (self.folder / ".site").is_dir():  # what the page has installed is not here in this process
            told = printed_by(f"ganlab check {path.name}", self.folder, False)
            assert "is a valid recipe" in told, told
            return
        with captured():
            recipe = load_recipe(path, Catalogue.of_installed())
            if recipe.has_fallback:
                assert not load_recipe(path, Catalogue.of_installed(), fallback=True).has_fallback
        path.unlink()

    def console(self, block: Block) -> None:
        """Run each command, and compare what it prints with what stands below it."""
        shown = block.text
        for line, below in steps_of(block.text):
            command = line.replace("\\\n", " ")
            if command.startswith("python -m pytest"):
                self.tested += [word for word in words_of(command)[3:] if not word.startswith("-")]
            printed = printed_by(self.with_real_runs(command), self.folder, "tracked" in block.says)
            if not same(below, printed):
                shown = (
                    shown.replace(below, printed.rstrip("\n") + "\n", 1)
                    if below
                    else shown.replace(command + "\n", command + "\n" + printed, 1)
                )
                assert WRITE, f"{block.place}: `{command}` prints\n{printed}\nand the page shows\n{below}"
        self.rewrite(block, shown)
        for lock in self.folder.glob("runs/*/.mlflow.lock") if "tracked" in block.says else ():
            with FileLock(lock, timeout=PATIENCE):
                pass  # the mirror is done with the run

    def text(self, block: Block) -> None:
        """Compare it with what the block before has printed; or its lines are overrides."""
        if "overrides" in block.says:
            load_recipe(block.says["overrides"], Catalogue.of_installed(), block.text.splitlines())
            return
        if "source" in block.says or is_generated(self.page):
            return  # it has been compared; a generated page is by test_package.py
        printed = self.printed
        assert printed is not None, f"{block.place}: nothing is said of this text; see the words in tests/page_blocks.py"
        if not same(block.text, printed.replace(str(self.folder), HOME)):
            assert WRITE, f"{block.place}: printed is\n{printed}\nand the page shows\n{block.text}"
            self.rewrite(block, printed.rstrip("\n") + "\n")

    def sh(self, block: Block) -> None:
        """Commands that are not run: test_every_command_could_be_run looks at them."""

    # -- what blocks need ----------------------------------------------------------------------------------------------

    def write(self, block: Block) -> None:
        """Put the block into the file that the page names."""
        path = self.folder / block.says["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
        self.written.add(block.says["file"])

    def with_real_runs(self, text: str) -> str:
        """The text with the ids of real runs in place of those that the page made up.

        The page's runs of a recipe come in the order in which they were made; where it made none, a run of two steps is made now.
        """
        for found in RUN_ID.finditer(text):
            shown, recipe = found[0], found[1]
            if shown not in self.ids:
                real = sorted(path.name for path in Path("runs").glob(f"*-{recipe}-????") if path.name not in self.ids.values())
                if not real:
                    digits = ["--set", "data.use=digits"] if recipe.startswith("mnist") else []
                    words = [word for key, value in QUICK.items() for word in ("--set", f"{key}={str(value).lower()}")]
                    in_process(["run", recipe, *words, *digits, "--quiet"])
                    real = [path.name for path in Path("runs").glob(f"*-{recipe}-????")]
                self.ids[shown] = real[0]
        return RUN_ID.sub(lambda found: self.ids[found[0]], text)

    def look(self, line: int | None = None) -> None:
        """Look at the pictures above that line, where a comment says that they are files of the page's folder as it is by now."""
        lines = self.page.read_text(encoding="utf-8").split("\n")[self.seen : line]
        self.seen += len(lines)
        for pattern, target in PICTURE.findall("\n".join(lines)):
            made, shown = sorted(self.folder.glob(pattern)), self.page.parent / target
            assert made, f"{self.page.name}: nothing made {pattern}"
            if WRITE and not (shown.exists() and alike(made[-1], shown)):
                shutil.copy(made[-1], shown)
            assert alike(made[-1], shown), f"{self.page.name}: {target} is not what {pattern} looks like"

    def rewrite(self, block: Block, shown: str) -> None:
        """Put other text into the block on the page, where a run keeps the id that it has there."""
        names = {real: made_up for made_up, real in self.ids.items()}
        shown = RUN_ID.sub(lambda found: names.get(found[0]) or f"20260102-030405-{found[1]}-1a2b", shown)
        if shown != block.text:
            text = self.page.read_text(encoding="utf-8")
            old, new = (f"```{block.language}\n{inner}```" for inner in (block.text, shown))
            self.page.write_text(text.replace(old, new, 1), encoding="utf-8")


def execute(code: str, name: str, module: ModuleType, flags: int = 0) -> None:
    """Run code as that of a module, which dataclasses look for among the imported ones. It has no `from __future__` but its own."""
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        exec(compile(code, name, "exec", flags=flags, dont_inherit=True), module.__dict__)
    finally:
        del sys.modules[module.__name__]
        if before is not None:
            sys.modules[module.__name__] = before


def alike(first: Path, second: Path) -> bool:
    """Whether two pictures have one size, and their patterns of dark and light are nearly the same when seen from afar."""
    import numpy as np
    from PIL import Image

    one, other = (np.asarray(Image.open(path).convert("L"), dtype=float) for path in (first, second))
    if one.shape != other.shape:
        return False
    height, width = (side // TILE for side in one.shape)
    tiles = [image[: height * TILE, : width * TILE].reshape(height, TILE, width, TILE).mean((1, 3)).ravel() for image in (one, other)]
    return all(tile.std() > 0 for tile in tiles) and float(np.corrcoef(*tiles)[0, 1]) > ALIKE


def source(reference: str) -> str:
    """A part of the repository: docs/sources.py, which is no module of a package, knows how to find it."""
    spec = importlib.util.spec_from_file_location("sources", ROOT / "docs" / "sources.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.source(reference))
