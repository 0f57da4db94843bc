"""A run records the installed distributions that it uses. If one is missing later, the error says how to install it."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from test_broken_plugins import TINY_RUN, TRICK, here, install, said
from test_cli import ganlab as command

assert here  # the fixture: an empty folder with a folder of installed distributions
NETWORK = (
    TRICK
    + '''

def own(spec):
    """A network."""
    from torch import nn

    return nn.Linear(spec.input_shape[0], spec.output_shape[0])


@ganlab.hookimpl
def register_networks(register):
    register("own", own)
'''
)
USE = ["--set", "tricks.mine.use=mine", "--set", "generator={use='own',optimizer={use='adam',lr=0.001}}"]
BRINGS = ["network 'own'", "trick 'mine'"]


@pytest.fixture
def run() -> Path:
    """The folder of a run that uses components of an installed distribution."""
    install("even-gan", "even", NETWORK, name="even", requires=("iniconfig>=1", "click; extra == 'x'", "no-such-gan"))
    assert command("run", "ring", *TINY_RUN, *USE) == 0
    (path,) = Path("runs").iterdir()
    return path


def info(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((path / "run.json").read_text())
    return content


def uninstall() -> None:
    shutil.rmtree("site/even_gan-1.0.dist-info")
    Path("site/even.py").unlink()
    sys.modules.pop("even", None)
    importlib.invalidate_caches()


def test_a_run_records_the_versions_that_ganlab_and_these_distributions_require(run: Path) -> None:
    versions = info(run)["versions"]
    assert {"python", "torch", "torchvision", "numpy", "pluggy", "safetensors", "iniconfig"} < versions.keys()
    assert not {"no-such-gan", "jsonschema"} & versions.keys()  # one is not here, the other is needed for development only
    assert versions["iniconfig"] == importlib.metadata.version("iniconfig")


def test_a_run_records_the_distributions_that_it_uses(run: Path) -> None:
    assert info(run)["distributions"] == [{"name": "even-gan", "version": "1.0", "brings": BRINGS}]


def test_unused_distributions_are_not_recorded() -> None:
    install("even-gan", "even", NETWORK, name="even", requires=("iniconfig>=1", "click; extra == 'x'", "no-such-gan"))
    assert command("run", "ring", *TINY_RUN) == 0
    (path,) = Path("runs").iterdir()
    assert info(path)["distributions"] == []


@pytest.mark.parametrize(
    "words", [["resume", "last", "--set", "train.steps=4"], ["sample", "last"], ["evaluate", "last"], ["export", "last"]]
)
def test_the_error_names_a_missing_distribution(words: list[str], run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uninstall()
    capsys.readouterr()
    text = said(capsys, *words, code=2)
    assert "there is no network 'own'; " in text
    made = f"run {run.name} was made with even-gan 1.0 (network 'own', trick 'mine'), which is not installed: pip install even-gan==1.0\n"
    assert f"\nhint: {made}" in text


def test_the_error_names_another_version(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uninstall()
    folder = Path("site/even_gan-2.0.dist-info")
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: even-gan\nVersion: 2.0\n")
    capsys.readouterr()
    assert "which is installed in version 2.0: pip install even-gan==1.0\n" in said(
        capsys, "resume", "last", "--set", "train.steps=4", code=2
    )


def test_a_resumed_run_announces_another_version(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("site/even_gan-1.0.dist-info")
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: even-gan\nVersion: 1.1\nRequires-Dist: iniconfig\n")
    importlib.invalidate_caches()
    assert command("resume", "last", "--set", "train.steps=4") == 0
    assert "other circumstances than it started under (distributions; see run.json)" in " ".join(capsys.readouterr().err.split())
    now = [{"name": "even-gan", "version": "1.1", "brings": BRINGS}]
    assert info(run)["distributions"] == now
    assert info(run)["resumed"][0]["changed"] == {"distributions": now}


@pytest.mark.parametrize("name", ["even-gan; rm -rf x", "-r x", "$(x)", ""])
def test_an_untrusted_run_json_cannot_inject_a_command(name: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = info(run)
    written["distributions"] = [{"name": name, "version": "1.0", "brings": ["x"]}, {"name": "a", "version": name, "brings": 3}, 5]
    (run / "run.json").write_text(json.dumps(written))
    uninstall()
    capsys.readouterr()
    assert "pip" not in said(capsys, "resume", "last", "--set", "train.steps=4", code=2)


def test_a_run_without_recorded_distributions_is_resumed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Older versions recorded none."""
    written = info(run)
    del written["distributions"]
    (run / "run.json").write_text(json.dumps(written))
    capsys.readouterr()
    assert command("resume", "last", "--set", "train.steps=4") == 0
    assert "circumstances" not in capsys.readouterr().err
