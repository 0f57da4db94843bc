"""The commands that pages show: which of them are run, how, and how the others are looked at."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from page_blocks import ROOT
from page_match import HOME

from ganlab.cli import cli, main
from ganlab.recipe import load_recipe, shipped_recipes
from ganlab.testing import catalogue

#: Commands of other programs in `sh` blocks: they are not run, but each is one that somebody has thought of.
OTHERS = {"python", ".", "export"}


def commands(text: str) -> list[str]:
    """The command lines of a block, without comments and line breaks, also where several stand in one line."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|\|\||[|;]", re.sub(r"(^|\s)#.*", "", line)):
            if part.strip():
                found.append(part.strip())
    return found


def steps_of(text: str) -> list[tuple[str, str]]:
    """A console block as pairs of a command and what is shown below it."""
    parts = re.split(r"^\$ (.*(?:\\\n.*)*)\n", text, flags=re.MULTILINE)
    assert not parts[0].strip(), "a console block begins with a command: `$ ...`"
    return [(parts[n], parts[n + 1]) for n in range(1, len(parts), 2)]


def words_of(line: str) -> list[str]:
    """A command line as a shell would split it, without its comment."""
    return shlex.split(line, comments=True)


# -- run -------------------------------------------------------------------------------------------------------------------


def printed_by(line: str, folder: Path, tracked: bool) -> str:
    """Run a command of a console block in ``folder``, the current one. What it prints, errors among the rest, as the page would have it.

    ``ganlab`` runs in this process, and others in a shell. What is other than a person would type: without <!-- tracked --> runs are not
    tracked; packages are built without the network, with the tools that are here, and installed into a folder beside.
    """
    words = words_of(line)
    site = folder / ".site"
    if words[0] == "ganlab" and not site.is_dir():
        untracked = ["--set", "tracking.enabled=false"] if words[1] == "run" and not tracked else []
        text = in_process([*words[1:], *untracked])
    else:
        line = re.sub(r"^python -m build", "python -m build --no-isolation", line)
        line = re.sub(r"^python -m pip install", f"python -m pip install --quiet --no-deps --no-index --target {site}", line)
        line = re.sub(r"^ganlab", "python -m ganlab", line)
        if words[:3] == ["python", "-m", "pytest"]:
            line += " -p no:cacheprovider"
        paths = [str(site)] if site.is_dir() else []
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
        if paths:
            environment["PYTHONPATH"] = str(site)
        done = subprocess.run(
            ["bash", "-c", line], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        text = done.stdout
    return text.replace(str(folder), HOME)


def in_process(words: list[str]) -> str:
    """What ``ganlab WORDS`` prints."""
    with captured() as out, contextlib.suppress(SystemExit):
        main(words)
    return out.getvalue()


@contextlib.contextmanager
def captured() -> Iterator[io.StringIO]:
    """All that Python code prints, errors among the rest."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        yield out


# -- only looked at --------------------------------------------------------------------------------------------------------


def check_command(line: str) -> None:
    """See that a command line which is not run could be: its options exist, and so do the files of the repository that it names."""
    words = words_of(line)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):  # VARIABLE=value before a command
        words = words[1:]
    if words[0] == "ganlab":
        check_ganlab(words[1:])
        return
    assert words[0] in OTHERS, f"`{line}`: nobody has thought of this command; see OTHERS in tests/page_commands.py"
    for word in words[1:]:
        if re.match(r"(tests|docs|benchmarks|recipes)/", word):
            assert (ROOT / word).exists(), f"`{line}`: there is no {word}"


def check_ganlab(words: list[str]) -> None:
    """See that a command exists with these options, and that what ``--set`` says fits a shipped recipe."""
    command: click.Command = cli
    context = None
    while isinstance(command, click.Group):
        context = click.Context(command, parent=context, info_name=command.name)
        if not words or words[0] in ("--help", "-h", "--version"):
            return
        name, found, words = command.resolve_command(context, words)
        assert found is not None, name
        command = found
    given = command.make_context(command.name, list(words), parent=context).params
    recipe, overrides = given.get("recipe"), list(given.get("overrides") or [])
    if recipe and str(recipe).startswith("recipes/"):
        recipe = Path(recipe).stem
    if recipe in shipped_recipes():
        load_recipe(recipe, catalogue(), [one for one in overrides if "..." not in one])
