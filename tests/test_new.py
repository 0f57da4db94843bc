"""`ganlab new`: what it writes runs, is found and passes its own tests at once; also beside a ganlab wheel in a fresh environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_cli import ganlab

ROOT = Path(__file__).parent.parent
QUICK = ("--set", "train.steps=3", "--set", "tracking.enabled=false", "--quiet")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_trick_runs_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert ganlab("new", "trick", "fading_haze.py") == 0
    assert capsys.readouterr().out == (
        "fading_haze.py has the trick 'fading_haze', and fading_haze.toml is a recipe that uses it. Now:\n"
        "  ganlab run fading_haze.toml\n  ganlab plugins fading_haze.py\n"
    )
    assert ganlab("run", "fading_haze.toml", *QUICK) == 0
    assert ganlab("plugins", "fading_haze.py") == 0
    out = capsys.readouterr().out
    assert "class FadingHaze:" in Path("fading_haze.py").read_text()
    assert "scale: a number of at least 0, default 0.1\n      standard deviation of the noise at the first step." in out
    assert ganlab("check", "fading_haze.toml", "--set", "tricks.fading_haze.scale=-1") == 2
    assert "tricks.fading_haze.scale must be a number of at least 0, not -1" in capsys.readouterr().err


def test_a_folder_of_the_name_hides_nothing(here: Path) -> None:
    (here / "haze").mkdir()
    assert ganlab("new", "trick", "haze.py") == 0


def test_a_new_recipe_runs_at_once() -> None:
    assert ganlab("new", "recipe", "mine.toml") == 0
    assert ganlab("run", "mine.toml", *QUICK) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trick", "fading.txt"], "fading.txt is no name for a plugin"),
        (["trick", "my-trick.py"], "my-trick.py is no name for a plugin"),
        (["trick", "clamp.py"], "there is a trick 'clamp' already, from plugin stability (ganlab 0.1.0)"),
        (["trick", "class.py"], "class.py is no name for a plugin: 'class' is a word of Python's own"),
        (["trick", "torch.py"], f"torch.py would hide the Python module 'torch' ({torch.__file__}) from whatever is run in its folder"),
        (["trick", "sub/random.py"], "sub/random.py would hide the Python module 'random' (of Python's own library) from whatever is run"),
        (["trick", "ganlab_losses.py"], "ganlab_losses.py would hide the Python module 'ganlab_losses' ("),
        (["recipe", "mine"], "mine is no name for a recipe"),
        (["plugin", "-x y"], "'-x y' is no name for a distribution"),
        (["plugin", "ganlab-losses"], "there is a Python module 'ganlab_losses' here already"),
        (["plugin", "ganlab_clamp"], "there is a trick 'clamp' already, from plugin stability (ganlab 0.1.0)"),
        (["trikc", "x"], "there is no command 'trikc'"),
    ],
)
def test_names_that_cannot_be(words: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ganlab("new", words[0], "--", *words[1:]) == 2
    error, _, hint = capsys.readouterr().err.partition("\nhint: ")
    assert error.startswith(f"error: {message}") and hint
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "there"), [(["trick", "mine.py"], "mine.toml"), (["recipe", "mine.toml"], "mine.toml"), (["plugin", "mine"], "mine")]
)
def test_nothing_is_overwritten(words: list[str], there: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(there).write_text("mine")
    assert ganlab("new", *words) == 2
    assert capsys.readouterr().err.startswith(f"error: {there} is already here\nhint: choose another name, or move it away")
    assert [(path.name, path.read_text()) for path in here.iterdir()] == [(there, "mine")]


def run(*words: str | Path, cwd: Path | None = None) -> str:
    """The output of a command that must go well; ganlab and its plugins come from the environment that it is of."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=cwd, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_plugin_is_built_installed_found_run_tested_and_uninstalled(here: Path) -> None:
    assert ganlab("new", "plugin", "Gan-Haze") == 0
    wheels, venv = here / "wheels", here / "venv"
    for source in (ROOT, here / "Gan-Haze"):
        run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, source)
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    python = venv / "bin" / "python"
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "libraries.pth").write_text(f"{Path(torch.__file__).parent.parent}\n")  # torch and all; ganlab is found in `site` first
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--no-deps", "--no-index", "--force-reinstall", *sorted(wheels.glob("*.whl")))
    assert run(python, "-c", "import ganlab, gan_haze; print(ganlab.__file__)", cwd=here).startswith(str(site))
    assert ["gan_haze", "Gan-Haze", "0.1.0", "tricks", "gan_haze"] in [
        line.split() for line in run(venv / "bin/ganlab", "plugins").splitlines()
    ]
    out = run(venv / "bin/ganlab", "run", "ring", "--set", "tricks.gan_haze.use=gan_haze", *QUICK, cwd=here)
    assert "finished  step 3 of 3" in out
    assert "4 passed" in run(python, "-m", "pytest", "-p", "no:cacheprovider", here / "Gan-Haze", cwd=here)
    run(*pip, "uninstall", "--yes", "Gan-Haze")
    assert "gan_haze" not in run(venv / "bin/ganlab", "plugins")
