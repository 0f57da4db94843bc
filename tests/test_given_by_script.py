"""What a script may hand over wrongly: each mistake has its one message, and nothing is begun."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from engine_support import Plugin
from test_cli import ganlab as command
from test_script import SMALL, Counting

import ganlab
from ganlab.errors import GanlabError
from ganlab.recipe.script_arguments import override_list

LIKE = 'write overrides={"train.steps": 500}, for instance'
VALUES = "use numbers, texts, True or False, and lists or dicts of them"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "class": ({"tricks": [Counting]}, "Counting is a class, not an object\nmake one: `Counting()`"),
    "one trick": ({"tricks": Counting()}, "tricks is a list, not a Counting\nwrite tricks=[MyTrick()]"),
    "name": (
        {"tricks": ["clamp"]},
        "tricks are objects with hooks, not the text 'clamp'\n"
        'a trick of a plugin is switched on by overrides={"tricks.NAME.use": "NAME"}',
    ),
    "no hooks": (
        {"tricks": [SimpleNamespace()]},
        "SimpleNamespace has no hooks\nmark its methods with @ganlab.hookimpl; the hooks are in ganlab/hookspecs.py",
    ),
    "plugin class": ({"plugins": [Plugin]}, "plugin 'Plugin' (the script) is a class, not an object\nmake one: `Plugin()`"),
    "plugin without hooks": (
        {"plugins": [SimpleNamespace()]},
        "plugin 'SimpleNamespace' (the script) registers nothing\n"
        "define a function register_tricks(register), or another register_ hook, marked with @ganlab.hookimpl",
    ),
    "plugin file": (
        {"plugins": "mine.py"},
        "plugins is a list, not the text 'mine.py'\n"
        'name a file in the recipe, `plugins = ["my_plugin.py"]`; or import it, and pass the module',
    ),
    "one plugin": ({"plugins": ganlab}, "plugins is a list, not a module\nwrite plugins=[my_module]"),
    "no overrides": ({"overrides": None}, f"overrides are a dict or a list, not None\n{LIKE}"),
    "number": ({"overrides": 5}, f"overrides are a dict or a list, not 5\n{LIKE}"),
    "pairs": ({"overrides": [("train.steps", 5)]}, f"overrides[0] is a tuple, not a text such as 'train.steps=500'\n{LIKE}"),
    "None": ({"overrides": {"train.steps": None}}, "overrides['train.steps'] is None, which no recipe can hold\nleave it out"),
    "set": ({"overrides": {"generator.hidden": {8}}}, f"overrides['generator.hidden'] is a set, which no recipe can hold\n{VALUES}"),
    "deep": (
        {"overrides": {"generator": {"hidden": [8, torch.relu]}}},
        f"overrides['generator']['hidden'][1] is a builtin_function_or_method, which no recipe can hold\n{VALUES}",
    ),
    "array": ({"overrides": {"x": np.ones(2)}}, f"overrides['x'] is a ndarray, which no recipe can hold\n{VALUES}"),
    "complex": ({"overrides": {"x": 1j}}, f"overrides['x'] is a complex, which no recipe can hold\n{VALUES}"),
    "recipe": ({"recipe": {"train": 5}}, 'a recipe is a name or a file, not a dict\nwrite ganlab.run("ring", overrides={...})'),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_message_and_nothing_is_begun(mistake: str, here: Path) -> None:
    given, text = MISTAKES[mistake]
    with pytest.raises(GanlabError) as caught:
        ganlab.run(**({"recipe": "ring", "overrides": SMALL, "display": False} | given))
    assert str(caught.value) == text
    assert not [path for path in here.rglob("*") if path.is_file()]


def test_values_that_are_like_tomls_are_taken_as_meant() -> None:
    given = {"a": (8, 16), "b": Path("x y"), "c": np.int64(5), "d": np.float32(0.5), "e": np.True_, "f": {"g": (1,)}, "h": 1e-4}
    assert override_list(given) == ["a=[8, 16]", 'b="x y"', "c=5", "d=0.5", "e=true", "f={g = [1]}", "h=0.0001"]
    assert override_list(["train.steps=5"]) == ["train.steps=5"]


def own(spec: ganlab.NetworkSpec) -> torch.nn.Module:
    """A network."""
    return torch.nn.Linear(spec.input_shape[0], spec.output_shape[0])


def test_a_run_with_plugins_of_a_script_says_how_they_are_brought_again(capsys: pytest.CaptureFixture[str]) -> None:
    brings = Plugin(networks={"own": own})
    given = {**SMALL, "generator": {"use": "own", "optimizer": {"use": "adam", "lr": 0.001}}}
    run = ganlab.run("ring", given, plugins=[brings], display=False)
    assert run.samples(3).shape == (3, 2)
    assert run.info["script_plugins"] == [{"name": "Plugin", "brings": ["network 'own'"]}]
    begun = f"run {run.id} was started by a script with plugins of its own (Plugin); pass them again from a script: "
    resume, look = (f"{begun}`ganlab.{call}({str(run.path)!r}, plugins=[...])`" for call in ("resume", "FinishedRun"))
    for words, text in ((("resume", "last", "--set", "train.steps=25"), resume), (("sample", "last"), look), (("evaluate", "last"), look)):
        capsys.readouterr()
        assert command(*words) == 2
        assert text in " ".join(capsys.readouterr().err.split())
    with pytest.raises(GanlabError) as caught:
        ganlab.resume(run.path, {"train.steps": 25}, display=False)
    assert resume in str(caught.value)
    with pytest.raises(GanlabError) as caught:
        ganlab.FinishedRun(run.path).samples(3)
    assert look in str(caught.value)
    assert ganlab.FinishedRun(run.path, plugins=[brings]).samples(3).shape == (3, 2)
    assert ganlab.resume(run.path, {"train.steps": 25}, plugins=[brings], display=False).info["counters"]["step"] == 25
