"""`ganlab new`: what it writes runs, is found and passes its own tests at once; also beside a ganlab wheel in a fresh environment."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest
import torch
from test_cli import ganlab

from ganlab.components import Dataset
from ganlab.evaluation import Evidence, Judge, NotMeasured, Samples
from ganlab.testing import conform

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


def test_a_new_metric_measures_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert ganlab("new", "metric", "my_spread.py") == 0
    assert capsys.readouterr().out == (
        "my_spread.py has the metric 'my_spread', and my_spread.toml is a recipe that uses it. Now:\n"
        "  ganlab run my_spread.toml\n  ganlab plugins my_spread.py\n"
    )
    assert ganlab("run", "my_spread.toml", *QUICK, "--set", "train.log_every=1") == 0
    (folder,) = Path("runs").iterdir()
    lines = [json.loads(line)["metrics"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    found = json.loads((folder / "evaluation.json").read_text())
    (final,) = [metrics["final/my_spread"] for metrics in lines if "final/my_spread" in metrics]
    assert found["values"]["my_spread"] == final > 0
    assert len([metrics for metrics in lines if "quality/my_spread" in metrics]) == 3
    assert ganlab("plugins", "my_spread.py") == 0
    out = capsys.readouterr().out
    assert "class MySpread:" in Path("my_spread.py").read_text()
    assert "collapsed_below: a number from 0 to 1, default 0.1\n      fakes that differ less than this count as a collapse." in out
    assert ganlab("check", "my_spread.toml", "--set", "metrics.my_spread.collapsed_below=2") == 2
    assert "metrics.my_spread.collapsed_below must be a number from 0 to 1, not 2" in capsys.readouterr().err


@pytest.fixture
def my_spread(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[ModuleType]:
    """The module of a new metric."""
    assert ganlab("new", "metric", "my_spread.py") == 0
    capsys.readouterr()
    monkeypatch.syspath_prepend(here)
    yield importlib.import_module("my_spread")
    del sys.modules["my_spread"]


def test_a_new_metric_gives_what_a_hand_computes(my_spread: ModuleType) -> None:
    real = torch.tensor([[0.0, 0.0], [2.0, 4.0]])  # variances 1 and 4 of the two coordinates: the mean is 2.5
    fakes = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 6.0]])  # 0 and 8: the mean is 4
    assert measured(my_spread, fakes, real) == pytest.approx({"my_spread": (4 / 2.5) ** 0.5}, rel=1e-6)
    images = {"fakes": fakes.reshape(3, 1, 1, 2), "real": real.reshape(2, 1, 1, 2)}
    assert measured(my_spread, **images) == pytest.approx({"my_spread": (4 / 2.5) ** 0.5}, rel=1e-6)
    with pytest.raises(NotMeasured, match=r"^all real samples are the same$"):
        measured(my_spread, fakes, real[:1])


def test_a_new_metric_tells_of_a_collapse(my_spread: ModuleType) -> None:
    real = torch.tensor([[0.0], [2.0]])
    metric = my_spread.MySpread(collapsed_below=0.5)
    assert [metric.collapsed(measured(my_spread, wide * real, real), None) for wide in (0.25, 0.75)] == [
        "fakes differ 0.25 times as much as the data",
        "",
    ]


def measured(module: ModuleType, fakes: torch.Tensor, real: torch.Tensor) -> dict[str, float]:
    """What a new metric finds in such fakes, held against such real samples."""

    def unseen() -> Judge:
        raise AssertionError("it asks a judge")

    seen = (Samples(fakes, unseen), Samples(real, unseen), None, Samples(real, unseen))
    found: dict[str, float] = module.MySpread().measure(Evidence(*seen, dataset=cast(Dataset, None)))
    return found


def test_a_new_metric_keeps_the_rules(my_spread: ModuleType) -> None:
    conform("metric", "my_spread", plugins=[my_spread])


def test_a_folder_of_the_name_hides_nothing(here: Path) -> None:
    (here / "haze").mkdir()
    assert ganlab("new", "trick", "haze.py") == 0


def test_a_new_recipe_runs_at_once() -> None:
    assert ganlab("new", "recipe", "mine.toml") == 0
    assert ganlab("run", "mine.toml", *QUICK) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trick", "fading.txt"], "fading.txt is not a valid name for a plugin"),
        (["trick", "my-trick.py"], "my-trick.py is not a valid name for a plugin"),
        (["trick", "clamp.py"], "there is already a trick 'clamp', from plugin stability (ganlab 0.1.0)"),
        (["trick", "class.py"], "class.py is not a valid name for a plugin: 'class' is a Python keyword"),
        (["trick", "torch.py"], f"torch.py would hide the Python module 'torch' ({torch.__file__}) from programs that run in its folder"),
        (["trick", "sub/random.py"], "sub/random.py would hide the Python module 'random' (Python's standard library) from programs"),
        (["trick", "ganlab_losses.py"], "ganlab_losses.py would hide the Python module 'ganlab_losses' ("),
        (["metric", "fading.txt"], "fading.txt is not a valid name for a plugin"),
        (["metric", "modes.py"], "there is already a metric 'modes', from plugin metrics (ganlab 0.1.0)"),
        (["metric", "recall.py"], "there is already a number 'recall', from metric 'neighbours' of plugin metrics (ganlab 0.1.0)"),
        (["metric", "torch.py"], f"torch.py would hide the Python module 'torch' ({torch.__file__}) from programs that run in its folder"),
        (["recipe", "mine"], "mine is not a valid name for a recipe"),
        (["plugin", "-x y"], "'-x y' is not a valid name for a distribution"),
        (["plugin", "ganlab-losses"], "there is already a Python module 'ganlab_losses': "),
        (["plugin", "ganlab_clamp"], "there is already a trick 'clamp', from plugin stability (ganlab 0.1.0)"),
        (["trikc", "x"], "there is no command 'trikc'"),
    ],
)
def test_names_that_cannot_be(words: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ganlab("new", words[0], "--", *words[1:]) == 2
    error, _, hint = capsys.readouterr().err.partition("\nhint: ")
    assert error.startswith(f"error: {message}") and hint
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "there"),
    [
        (["trick", "mine.py"], "mine.toml"),
        (["metric", "mine.py"], "mine.toml"),
        (["metric", "mine.py"], "mine.py"),
        (["recipe", "mine.toml"], "mine.toml"),
        (["plugin", "mine"], "mine"),
    ],
)
def test_nothing_is_overwritten(words: list[str], there: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(there).write_text("mine")
    assert ganlab("new", *words) == 2
    assert capsys.readouterr().err.startswith(f"error: {there} already exists\nhint: choose another name, or move it away")
    assert [(path.name, path.read_text()) for path in here.iterdir()] == [(there, "mine")]


def run(*words: str | Path, cwd: Path | None = None) -> str:
    """The output of a command that must go well; ganlab and its plugins come from the environment that it is of."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=cwd, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
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
