"""`ganlab plugins`: what is installed, what it brings, and what is broken and why; and who is called where in a recipe."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from test_cli import ganlab

from ganlab.recipe.manual import TO_BE_GIVEN, default_options, hooks_of, options_of, snippet
from ganlab.recipe.write import in_toml
from ganlab.registry.catalogue import Catalogue
from ganlab.registry.entry import Entry
from ganlab.registry.options import validate_options

ENTRIES = Catalogue.of_installed().entries()
PLUGIN = '''
from dataclasses import dataclass
import ganlab


@dataclass
class Decay:
    """Multiply the loss by less and less.

    Options:
        rate: by which it falls in a step.
        names: of the terms.
    """

    rate: float
    names: tuple[str, ...] = ("a b", "c")

    @ganlab.hookimpl
    def loss_terms(self, turn):
        turn.loss_terms = {name: term * self.rate for name, term in turn.loss_terms.items()}

    @ganlab.hookimpl
    def after_build(self, player):
        pass


@ganlab.hookimpl
def register_tricks(register):
    register("decay", Decay)
'''


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.kind}-{entry.name}")
def test_the_piece_of_recipe_of_every_component_can_be_used(entry: Entry) -> None:
    text = snippet(entry)
    given = {option.name: "images" for option in options_of(entry) if option.required}
    for name, value in given.items():
        text = text.replace(f"{name} = {TO_BE_GIVEN}", f"{name} = {in_toml(value)}")
    document = tomllib.loads(text)
    table = document
    while "use" not in table:
        (inner,) = table.values()
        table = inner[0] if isinstance(inner, list) else inner
    assert table.pop("use") == entry.name
    assert validate_options(entry.options, table) == validate_options(entry.options, given)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.kind}-{entry.name}")
def test_every_option_has_its_words_and_its_default(entry: Entry) -> None:
    assert [option.name for option in options_of(entry)] == list(entry.options.model_fields)
    for option in options_of(entry):
        assert option.expected, f"nobody says what {option.name} may be"
        assert option.text, f"the docstring does not say what {option.name} is"
        assert option.required == (option.name not in default_options(entry) and option.default is None and option.required)
    if entry.kind == "trick":
        assert hooks_of(entry)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"),
        (1e-5, "1e-05"),
        (True, "true"),
        ('a "b"', '"a \\"b\\""'),
        ([1, [2.0, 3.0]], "[1, [2.0, 3.0]]"),
        ([], "[]"),
        (["a  b"], '["a  b"]'),
    ],
)
def test_values_are_written_as_toml(value: object, text: str) -> None:
    assert in_toml(value) == text
    assert tomllib.loads(f"x = {in_toml(value)}") == {"x": value}


def test_the_list_says_what_each_plugin_brings(capsys: pytest.CaptureFixture[str]) -> None:
    assert ganlab("plugins") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith("losses ")] == [
        ["losses", "ganlab", "0.1.0", "losses", "bce,", "relativistic_bce"]
    ]
    assert not [line for line in lines if "cannot be used" in line]


def test_all_about_one_of_your_own(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(PLUGIN)
    assert ganlab("plugins", "mine.py") == 0
    said = capsys.readouterr()
    where = Path("mine.py").resolve()
    assert said.err.startswith(f"note: Running the plugin file {where} (sha256 ")
    assert said.out.rstrip() == (
        f"plugin mine, from {where}\n\ntrick  decay  Multiply the loss by less and less.\n\ntrick decay, from plugin mine ({where})\n\n"
        "Multiply the loss by less and less.\n\nhooks: after_build, loss_terms\n\noptions:\n  rate: a number, must be given\n"
        '      by which it falls in a step.\n  names: a list of texts in quotes, default ["a b", "c"]\n      of the terms.\n\n'
        'in a recipe:\n\n  [[tricks]]\n  use = "decay"\n  rate = ...  # must be given: a number\n  names = ["a b", "c"]'
    )


def test_a_dataclass_without_words_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(re.sub(r'    """.*?"""\n\n', "", PLUGIN, flags=re.DOTALL))
    assert ganlab("plugins", "mine.py") == 0
    out = capsys.readouterr().out
    assert "Decay(" not in out
    assert "hooks: after_build, loss_terms\n" in out


def test_a_name_that_nobody_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert ganlab("plugins", "klamp") == 2
    said = capsys.readouterr().err
    assert said.startswith("error: there is no plugin, component or trick called 'klamp'\nhint: did you mean 'clamp'? (choices: adagrad, ")


def test_who_is_called_where(capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["tricks.clamp.use=clamp", "tricks.second.use=clamp", "tricks.clip.use=gradient_clipping", "data.samples=500"]
    assert ganlab("check", "ring", "--hooks", *(word for text in overrides for word in ("--set", text))) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["after_scores", "clamp, second"] in lines
    assert ["before_update", "clip, health"] in lines
    assert lines[0] == ["hook", "tricks, in the order of their calls"]
