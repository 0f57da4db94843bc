"""All that is printed goes through one place: no text of a stranger's commands the terminal or looks like a message of ganlab."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import shutil
import sys
import threading
import warnings
from pathlib import Path

import click
import pytest
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text
from test_broken_plugins import TINY_RUN
from test_cli import ganlab
from test_rooms import modules

from ganlab.errors import GanlabError, RecipeError, UsageError
from ganlab.printable import one_line, printable
from ganlab.screen import terminal
from ganlab.screen.notebook import NotebookDisplay
from ganlab.screen.python_messages import show_python_messages
from ganlab.screen.terminal import SafeConsole, show_error, show_facts, show_lines, show_table, warn
from ganlab.storage import checkpoint

GENERATOR = "strange-generator"
EVIL = "\x1b]0;owned\x07\x1b[31m\x9b1m\u202e\u2028\r"
SHORT = r"\x1b]0;owned"  # what rich leaves of it: it drops a bell and a carriage return
SHOWN = r"\x1b]0;owned\x07\x1b[31m\x9b1m\u202e\u2028\x0d"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # what rich itself writes: no text of ours has it
HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


def test_what_is_escaped() -> None:
    harmful = [*range(9), *range(0x0B, 0x20), *range(0x7F, 0xA0), 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    for number in [*harmful, 0x2028, 0x2029, 0xD800, 0xDFFF]:
        escaped = f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
        assert printable(f"a{chr(number)}b") == f"a{escaped}b"
    text = "Größe ± \u00a0 中文 \u05d0 👩\u200d💻 \ue0b0\n\tend"
    assert printable(text) == text
    assert one_line("a\nb\tc\x1b") == r"a\nb\tc\x1b"
    printable("\ud800").encode()  # a lone surrogate could not be printed


# -- the console -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_console_writes_no_control_character_of_a_text(is_terminal: bool) -> None:
    file = io.StringIO()
    console = SafeConsole(file=file, force_terminal=is_terminal, width=300, color_system="truecolor" if is_terminal else None)
    table = Table(EVIL, "two")
    table.add_row(EVIL, Text(EVIL, "bold"))
    console.print(Text(EVIL, "red"), EVIL, table, Group(Text(EVIL), "[red]markup[/red] :smile:"))
    console.print(f"secret at https://me:word@host {EVIL}")
    written = file.getvalue()
    assert HARMFUL.search(COLOUR.sub("", written)) is None
    assert "\x1b[1m" in written if is_terminal else "\x1b" not in written
    assert SHORT in written and "[red]markup[/red] :smile:" in written
    assert "https://***@host" in written


def test_a_live_display_writes_none_either() -> None:
    file = io.StringIO()
    console = SafeConsole(file=file, force_terminal=True, width=300)
    with Live(Text(EVIL), console=console, auto_refresh=False):
        console.print(Text(EVIL))
    assert "\x1b]" not in file.getvalue() and "\x07" not in file.getvalue() and "\u202e" not in file.getvalue()
    assert file.getvalue().count(SHORT) >= 2


def test_a_line_break_forges_no_message_and_no_row(capsys: pytest.CaptureFixture[str]) -> None:
    forged = "ring\nerror: forged\nnote: forged"
    show_table([("run", "status"), (forged, "finished")])
    show_facts({"path": forged})
    show_lines(forged)
    warn(forged)
    show_error(GanlabError(forged))
    show_error(RecipeError([forged]))
    show_error(RecipeError([forged, forged]))
    shown = capsys.readouterr()
    assert not [line for line in (shown.out + shown.err).splitlines() if line.startswith(("error: forged", "note: forged"))]
    assert r"ring\nerror: forged\nnote: forged  finished" in shown.out
    assert shown.err.startswith("note: ring\n  error: forged\n  note: forged\nerror: ring\n  error: forged\n")


def test_python_itself_prints_through_the_console(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "lastResort", logging.lastResort)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    with warnings.catch_warnings():
        show_python_messages()
        warnings.showwarning(f"careful {EVIL}", UserWarning, "file.py", 3)
    record = logging.LogRecord("ganlab.data", logging.WARNING, "", 1, f"retry {EVIL}", (), None)
    assert logging.lastResort is not None
    logging.lastResort.handle(record)
    try:
        raise ValueError(f"wrong {EVIL}")
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
        threading.excepthook(threading.ExceptHookArgs((ValueError, ValueError(f"in a thread {EVIL}"), None, None)))
    shown = capsys.readouterr().err
    assert HARMFUL.search(shown) is None
    for words in ("UserWarning: careful", "retry", "Traceback (most recent call last):", "ValueError: wrong", "ValueError: in a thread"):
        assert words in shown


def test_a_notebook_shows_no_control_character(monkeypatch: pytest.MonkeyPatch) -> None:
    error = UsageError(f"wrong {EVIL} at http://me:word@host", EVIL)
    assert [line for line in error._render_traceback_() if HARMFUL.search(COLOUR.sub("", line)) or "word" in line] == []
    shown: list[dict[str, str]] = []

    class Handle:
        def display(self, bundle: dict[str, str], raw: bool) -> None:
            shown.append(bundle)

    monkeypatch.setattr("IPython.display.DisplayHandle", Handle)
    with NotebookDisplay() as display:
        display.tell(f"<b>{EVIL}</b>")
    assert HARMFUL.search("".join(shown[0].values())) is None
    assert "<b>" not in shown[0]["text/html"]


#: Functions that write to the terminal by themselves, and the modules that may call them.
WRITES = re.compile(r"^(print|input|(click|sys\.std\w+)\.(echo|secho|confirm|prompt|write)|(rich\.)?console\.Console|Console|os\.write)$")


def test_only_one_module_writes_to_the_terminal() -> None:
    writing = {}
    for path, text in modules():
        calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        if found := {name for name in calls if WRITES.match(name)}:
            writing[path] = found
    assert writing == {
        "ganlab/screen/terminal.py": {"print", "os.write", "click.confirm"},
        "ganlab/cli/importing.py": {"os.write"},  # "stopped", from a signal handler while libraries are imported
        "ganlab/cli/training.py": {"os.write"},  # shows the cursor again
    }


# -- a stranger's files, and all commands ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, to be copied."""
    folder = tmp_path_factory.mktemp("trained")
    assert ganlab("run", "ring", *TINY_RUN, "--runs-dir", str(folder), "--quiet") == 0
    (run,) = folder.iterdir()
    return run


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a stranger's run, recipe and plugin file, whose names and texts command a terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run = tmp_path / "runs" / f"evil{EVIL}\nerror: forged"
    shutil.copytree(trained, run)
    info = json.loads((run / "run.json").read_text())
    info |= {"recipe": EVIL, "device": EVIL, "device_name": EVIL, "announcements": [EVIL], "ended_by": EVIL, "signature": EVIL}
    info["mlflow"] = {"experiment": EVIL}
    (run / "run.json").write_text(json.dumps(info))
    recipe = (run / "recipe.toml").read_text()
    evil = json.dumps(EVIL)
    (run / "recipe.toml").write_text(f'extends = {evil}\nplugins = [{evil}]\n{recipe}\n[tracking."{evil[1:-1]}"]\nuri = {evil}\n')
    (run / "evaluation.json").write_text(json.dumps({"values": {EVIL: 1.0}, "collapsed": EVIL, "better": {EVIL: "higher"}, "step": 2}))
    shutil.copytree(trained, tmp_path / "runs" / GENERATOR)
    for path in (run, tmp_path / "runs" / GENERATOR):
        state = checkpoint.load(path / "generator.safetensors", "generator")
        checkpoint.save(path / "generator.safetensors", state | {"use": EVIL}, "generator")
    (tmp_path / "runs" / f"broken{EVIL}").mkdir()
    (tmp_path / "runs" / f"broken{EVIL}" / "run.json").write_text(json.dumps({"status": [EVIL]}))
    (tmp_path / "mine.toml").write_text(f'extends = "ring"\ndescription = {evil}\n{evil} = 3\n[data]\nuse = {evil}\npath = {evil}\n')
    (tmp_path / "images.toml").write_text(f'extends = "ring"\n[data]\nuse = "image_folder"\npath = {evil}\n')
    (tmp_path / f"evil{EVIL}.toml").write_text("= 3")
    raising = f"raise ValueError({EVIL!r})\n"
    (tmp_path / f"evil{EVIL}.py").write_text(raising)
    (tmp_path / "raising.toml").write_text(f'extends = "ring"\nplugins = [{json.dumps(f"evil{EVIL}.py")}]\n')
    return tmp_path


NAME, SHEET = "evil", f"evil{EVIL}.png"
COMMANDS = [
    *(["check", f] for f in ("mine.toml", "images.toml", "raising.toml", f"evil{EVIL}.toml", f"none{EVIL}.toml", EVIL)),
    ["check", "ring", "--set", f"data.{EVIL}=3"],
    ["check", "ring", "--set", f"data.use={EVIL}"],
    ["describe", "mine.toml"],
    ["run", "images.toml", *TINY_RUN[:4]],
    ["run", "ring", "--seeds", EVIL],
    ["run", "ring", "--seeds", "2", "--name", EVIL],
    ["run", "ring", "--grid", f"data.{EVIL}=1,2"],
    ["run", "ring", "--tracking-uri", EVIL, "--set", EVIL],
    ["run", "ring", *TINY_RUN[2:], "--set", "train.steps=1", "--runs-dir", EVIL],
    *([command, NAME] for command in ("resume", "sync", "sample", "evaluate", "export", "delete")),
    *([command, NAME, "--trust"] for command in ("resume", "sync", "sample", "evaluate", "export")),
    *([command, f"no{EVIL}"] for command in ("resume", "sync", "sample", "evaluate", "export", "delete")),
    *([command, GENERATOR] for command in ("sample", "evaluate", "export")),
    ["sample", NAME, "--out", SHEET],
    ["sample", NAME, "--out", "x.gif"],
    ["runs"],
    ["runs", "--json"],
    ["runs", "--metric", EVIL],
    ["runs", "--metric", f"no{EVIL}"],
    ["runs", "--recipe", f"no{EVIL}"],
    ["runs", "--where", f"{EVIL}={EVIL}"],
    ["compare"],
    ["compare", "--by", f"no{EVIL}"],
    ["compare", "--html", f"{EVIL}/page.html"],
    ["recipes", "--copy", EVIL],
    ["plugins", EVIL],
    ["plugins", f"evil{EVIL}.py"],
    ["new", "trick", f"{EVIL}.py"],
    ["new", "recipe", f"new{EVIL}.toml"],
    ["new", EVIL],
    ["ui"],
    ["ui", "--tracking-uri", f"{EVIL}://x"],
    [EVIL],
    ["run", "ring", f"--no{EVIL}"],
    ["run", "ring", "--jobs", EVIL],
    ["runs", EVIL],
]


@pytest.mark.parametrize("is_terminal", [False, True], ids=["pipe", "terminal"])
def test_no_command_prints_a_strangers_control_characters(
    is_terminal: bool, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, stderr in (("console", False), ("errors", True)):
        monkeypatch.setattr(getattr(terminal, name), "_force_terminal", is_terminal)
        assert getattr(terminal, name).stderr is stderr
    monkeypatch.setattr(click.termui, "visible_prompt_func", lambda prompt: print(prompt) or "n")
    seen = 0
    for words in COMMANDS:
        ganlab(*words)
        shown = capsys.readouterr()
        text = re.sub(r"\x1b\[(\?25[lh]|[0-9;]*[mKA])|\r", "", shown.out + shown.err) if is_terminal else shown.out + shown.err
        assert HARMFUL.search(text) is None, (words, text)
        assert "owned" in text or words[0] not in ("check", "compare") or words[-1].endswith("page.html"), (words, text)
        assert not [line for line in text.splitlines() if line.startswith("error: forged")], (words, text)
        seen += SHOWN in text
    assert seen > len(COMMANDS) / 2


def test_json_stays_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ganlab("runs", "--json") == 0
    run, _ = json.loads(capsys.readouterr().out)
    assert run["recipe"] == EVIL and run["run"].startswith(f"evil{EVIL}")


def test_a_report_of_compare_has_no_control_character(here: Path) -> None:
    assert ganlab("compare", "--html", "page.html") == 0
    assert HARMFUL.search(Path("page.html").read_text(encoding="utf-8")) is None
