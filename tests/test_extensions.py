"""Commands and options of plugins: they are listed from metadata, imported when they are called, and take no name of another."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from test_broken_plugins import TINY_RUN, here, install, said
from test_cli import ganlab as command

assert here  # the fixture: an empty folder with a folder of installed distributions
COUNT = '''
import click

from ganlab.commands import RUNS_DIR, find_run, list_runs, show_lines, show_table, warn


@click.command()
@RUNS_DIR
@click.argument("name")
def count(runs_dir, name):
    """Count the runs."""
    run = find_run(runs_dir, name)
    show_table([(each.id, str(each.info["seed"])) for each in list_runs(runs_dir)], right=[1])
    show_lines(f"{run.id} {run.status} {run.path.name == run.id}")
    warn("this is all")
'''
POINTS = "[ganlab.commands]\ncount = counting:count\n"


def test_a_command_is_listed_without_its_module_and_runs(capsys: pytest.CaptureFixture[str]) -> None:
    install("count-gan", "counting", COUNT, points=POINTS)
    assert command("--help") == 0
    assert "\n  count     Of the plugin counting (count-gan 1.0).\n" in capsys.readouterr().out
    assert "counting" not in sys.modules
    assert command("count", "--help") == 0
    assert capsys.readouterr().out.startswith("Usage: ganlab count [OPTIONS] NAME\n\n  Count the runs.\n\nOptions:\n  --runs-dir PATH")
    assert command("run", "ring", *TINY_RUN, "--seed", "17", "--quiet") == 0
    (run,) = Path("runs").iterdir()
    capsys.readouterr()
    assert command("count", "last") == 0
    printed = capsys.readouterr()
    assert printed.out == f"{run.name}  17\n{run.name} finished True\n"
    assert printed.err == "note: this is all\n"
    assert said(capsys, "count", "lost", code=2).startswith("error: no run called 'lost' in runs\n")
    assert said(capsys, "count", code=2) == "error: Missing argument 'NAME'.\nhint: type `ganlab count --help`\n"


def test_the_exit_code_of_a_command_is_kept() -> None:
    source = "import click\n\n@click.command()\n@click.pass_context\ndef leave(context):\n    context.exit(3)\n"
    install("leaving-gan", "leaving", source, points="[ganlab.commands]\nleave = leaving:leave\n")
    assert command("leave") == 3


def test_the_list_of_plugins_has_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    install("count-gan", "counting", None, points=f"{POINTS}[ganlab.options]\nrate = tricks.decay.rate\n")
    assert command("plugins") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["ganlab", "count", "count-gan", "1.0", "runs", "counting:count"] in rows
    assert ["--rate", "count-gan", "1.0", "sets", "tricks.decay.rate"] in rows


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            None,
            "cannot be imported\nhint: its entry point names the module 'counting', which does not exist: pip install --force-reinstall",
        ),
        ("import gone_gan\n", "cannot be imported\nhint: it needs the module 'gone_gan', which is not installed: pip install gone_gan, or"),
        ("other = 1\n", "cannot be imported\nhint: AttributeError: module 'counting' has no attribute 'count'"),
        ("count = print\n", "is not a click command: counting:count is a builtin_function_or_method\nhint: add @click.command()"),
    ],
)
def test_a_broken_command_is_one_error_only_when_it_is_called(source: str | None, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    install("count-gan", "counting", source, points=POINTS)
    for words in (["--help"], ["recipes"]):
        assert said(capsys, *words, code=0) == ""
    assert said(capsys, "count", code=1).startswith(f"error: the command 'count' of count-gan 1.0 {text}")


def test_ganlabs_own_command_keeps_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    install("count-gan", "counting", None, points="[ganlab.commands]\nrecipes = counting:count\n")
    note = "note: the command 'recipes' of count-gan 1.0 is not used: ganlab has a command of this name\n"
    assert command("recipes") == 0
    printed = capsys.readouterr()
    assert printed.err == note
    assert "mnist_adaptive" in printed.out
    assert said(capsys, "--help", code=0) == note


def test_of_two_commands_of_one_name_neither_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("b", "a"):
        install(f"{word}-gan", "counting", COUNT, points=POINTS)
    both = "a-gan 1.0 and b-gan 1.0"
    assert said(capsys, "count", "last", code=2).startswith(
        f"note: the command 'count' of {both} is not used: two distributions have a command of this name: {both}; "
        "pip uninstall a-gan or pip uninstall b-gan\nerror: there is no command 'count'\nhint: "
    )


def test_an_option_sets_a_key_of_the_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    points = "[ganlab.options]\nnotes = train.log_every\nsend-to = tracking.uri\n"
    install("count-gan", "counting", None, points=points)
    assert command("run", "--help") == 0
    assert "--notes TEXT          The same as --set train.log_every=...  [from" in capsys.readouterr().out
    assert command("run", "ring", *TINY_RUN, "--notes", "8", "--quiet") == 0
    (run,) = Path("runs").iterdir()
    assert "log_every = 8\n" in (run / "recipe.toml").read_text()
    capsys.readouterr()
    assert command("sync", "--help") == 0  # a tracker is not told how to train
    text = capsys.readouterr().out
    assert "--send-to TEXT" in text
    assert "--notes" not in text
    assert said(capsys, "run", "ring", "--notes", "x", code=2).startswith("error: --set train.log_every=x: train.log_every must be ")


def test_an_option_is_for_the_runs_of_a_sweep_too(capsys: pytest.CaptureFixture[str]) -> None:
    install("count-gan", "counting", None, points="[ganlab.options]\nnotes = train.log_every\n")
    assert command("run", "ring", *TINY_RUN, "--notes", "8", "--seeds", "1", "--quiet") == 0
    (recipe,) = Path("runs").glob("*-ring-*/recipe.toml")
    assert "log_every = 8\n" in recipe.read_text()


def test_ganlabs_own_option_keeps_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    install("count-gan", "counting", None, points="[ganlab.options]\nseed = train.log_every\n")
    assert command("run", "--help") == 0
    printed = capsys.readouterr()
    assert printed.err == "note: the option 'seed' of count-gan 1.0 is not used: ganlab has an option of this name\n"
    assert "train.log_every" not in printed.out
