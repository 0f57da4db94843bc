"""The command that makes docs/tutorials.md, at a budget of two steps; and the page as it lies in the repository."""

from __future__ import annotations

import os
import re
import runpy
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from beside import PORTS

from ganlab.records.run_info import RunInfo

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorials.md"
SHORT = dict.fromkeys(("mnist_matlab_adam", "mnist_matlab_published_derivative", "mnist_one_class"), "train.steps=2")
QUICK = ("evaluation.samples=100", 'judge={use="classifier",images=100}', "metrics.memorisation.enabled=false")


@pytest.fixture
def gallery(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The command's modules, importable as they are when it runs."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "gallery"))
    yield
    for name in ("training", "measures", "figures", "page", "tricks"):
        sys.modules.pop(name, None)


def test_it_trains_every_recipe_that_has_a_port(gallery: None) -> None:
    import training

    assert set(training.BUDGETS) == set(PORTS)


def test_the_commands_that_the_page_names_are_understood(gallery: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    monkeypatch.setenv("GANLAB_DATA", str(tmp_path))
    arguments = runpy.run_path(str(ROOT / "docs" / "gallery" / "__main__.py"))["arguments"]
    commands = re.findall(r"^python docs/gallery (.*)$", (ROOT / "docs" / "tutorials.md").read_text(encoding="utf-8"), re.MULTILINE)
    understood = [arguments(command.split()) for command in commands]
    assert [options.what for options in understood[-2:]] == ["train", "write"]
    assert (["mnist_matlab_sgd"], 0) in [(options.names, options.seed) for options in understood if options.port]


@pytest.mark.slow
@pytest.mark.mnist
def test_it_trains_and_writes(gallery: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (Path(os.environ.get("GANLAB_DATA", "")) / "MNIST" / "raw" / "t10k-images-idx3-ubyte").is_file():
        pytest.skip("GANLAB_DATA names no folder that MNIST is in")
    import measures
    import page
    import training

    for module in (training, measures, page):
        monkeypatch.setattr(module, "BUDGETS", SHORT)
        monkeypatch.setattr(module, "SEEDS", (1,))
    helps = {"mnist_one_class": ("mnist_one_class", ("train.steps=2", "train.batch_size=50"))}
    for module in (training, measures):
        monkeypatch.setattr(module, "HELPS", helps)
    training.train_with_port(tmp_path, "mnist_one_class", 1, QUICK)
    training.train(tmp_path, list(SHORT), 2, QUICK)
    (with_port,) = [path.parent for path in tmp_path.glob("*/port_samples.npy")]
    runs = sorted(path.parent for path in tmp_path.glob("*/run.json"))
    assert len(runs) == 4  # three recipes, and what helps one of them
    (runs[0] / "evaluation.json").unlink()
    training.train(tmp_path, list(SHORT), 2, QUICK)  # but for that, nothing is left to do
    training.train_with_port(tmp_path, "mnist_one_class", 1, QUICK)
    assert sorted(path.parent for path in tmp_path.glob("*/run.json")) == runs and (runs[0] / "evaluation.json").exists()
    assert training.finished(tmp_path, "mnist_one_class", ("train.steps=2",), (1,))[1].folder.path == with_port
    docs = tmp_path.parent / "docs"
    docs.mkdir()
    page.write(tmp_path, docs)
    text = (docs / "tutorials.md").read_text(encoding="utf-8")
    for picture in re.findall(r"\((tutorials/.*?\.png)\)", text):
        assert (docs / picture).stat().st_size > 1000
    assert all(f"`{name}`" in text for name in SHORT)
    assert "| its port | 1 |" in text and "| with `train.steps=2`, `train.batch_size=50` | 2 | 100 |" in text
    (Path(runs[0]) / "run.json").unlink()
    with pytest.raises(SystemExit, match="there are not 1 finished and measured runs"):
        page.write(tmp_path, docs)


def test_the_comparison_of_tricks_is_written_between_its_comments(gallery: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tricks
    from measures import TrainedRecipe

    def trained(folder: Path, name: str, overrides: Sequence[str], seeds: Sequence[int]) -> TrainedRecipe:
        off = sum("enabled=false" in text for text in overrides)
        alike = {"classes": 9.0, "class_kl": 0.1, "coverage": 0.2}
        results = [Planted(alike | {"frechet_ratio": 100.0 + seed - 20 * off + 0.5 * seed * off}, seed) for seed in seeds]
        return TrainedRecipe(name, tuple(overrides), results, {}, np.zeros((1, 784), np.uint8))  # type: ignore[arg-type]

    monkeypatch.setattr(tricks, "read_trained", trained)
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("before\n<!-- tricks -->\nold\n<!-- end -->\nafter\n", encoding="utf-8")
    tricks.write(tmp_path, tmp_path)
    head, table, tail = re.split("<!-- tricks -->\n|<!-- end -->", (tmp_path / "README.md").read_text(encoding="utf-8"))
    assert (head, tail) == ("before\n", "\nafter\n")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    assert rows[0] == ["all three", "1,002", "102.0 ± 1.6", "9 ± 0", "0.1 ± 0", "0.2 ± 0", "0 of 5", ""]
    assert rows[4][:3] == ["none of them", "1,002", "45.0 ± 4.0"] and rows[4][-1].startswith("better (5 seeds, p = ")
    assert [row[0] for row in rows[1:4]] == [f"without {name}" for name in tricks.TRICKS]
    assert (tmp_path / "docs" / "tricks.png").stat().st_size > 1000


@dataclass
class Planted:
    """What came of a run, as far as it is looked at."""

    values: dict[str, float]
    seed: int
    collapsed: str = ""
    finished: bool = True
    status: str = "finished"
    recipe: str = "mnist_adaptive"
    better: ClassVar[dict[str, str]] = {"frechet_ratio": "lower", "classes": "higher", "class_kl": "lower", "coverage": "higher"}
    options: ClassVar[dict[str, str]] = {}

    @property
    def numbers(self) -> dict[str, float]:
        return self.values

    @property
    def info(self) -> dict[str, Any]:
        return RunInfo(counters={"generator_updates": 1000 + self.seed})


def test_the_page_in_the_repository_is_whole() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in PORTS:
        assert text.count(f"`{name}`") >= 4, name  # what differs, what is seen twice, the losses
    pictures = re.findall(r"\((tutorials/.*?\.png)\)", text)
    assert len(pictures) >= 3
    for picture in pictures:
        assert (PAGE.parent / picture).is_file()
