"""The command that makes docs/tutorials.md, at a budget of two steps; and the page as it lies in the repository."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from beside import PORTS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorials.md"
SHORT = dict.fromkeys(("mnist_matlab_adam", "mnist_matlab_published_derivative", "mnist_one_class"), "train.steps=2")


@pytest.fixture
def gallery(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The command's modules, importable as they are when it runs."""
    for folder in (ROOT / "docs" / "gallery", ROOT / "benchmarks"):
        monkeypatch.syspath_prepend(str(folder))
    yield
    for name in ("training", "measures", "figures", "page", "digit_coverage"):
        sys.modules.pop(name, None)


def test_it_trains_every_recipe_that_has_a_port(gallery: None) -> None:
    import training

    assert set(training.BUDGETS) == set(PORTS)


@pytest.mark.mnist
def test_it_trains_and_writes(gallery: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (Path(os.environ.get("GANLAB_DATA", "")) / "MNIST" / "raw" / "t10k-images-idx3-ubyte").is_file():
        pytest.skip("GANLAB_DATA names no folder that MNIST is in")
    import digit_coverage
    import page
    import training
    from sklearn.neural_network import MLPClassifier

    for module in (training, page):
        monkeypatch.setattr(module, "BUDGETS", SHORT)
        monkeypatch.setattr(module, "SAMPLES", 100)
    monkeypatch.setattr(digit_coverage, "MLPClassifier", lambda *_, **options: MLPClassifier((8,), **options | {"max_iter": 1}))
    names = list(SHORT)
    training.train(tmp_path, names[:2], with_port=False)
    training.train(tmp_path, names[2:], with_port=True)
    training.train(tmp_path, names, with_port=False)  # nothing is left to do
    assert len(list(tmp_path.iterdir())) == 3
    docs = tmp_path.parent / "docs"
    docs.mkdir()
    page.write(tmp_path, docs)
    text = (docs / "tutorials.md").read_text(encoding="utf-8")
    for picture in re.findall(r"\((tutorials/.*?\.png)\)", text):
        assert (docs / picture).stat().st_size > 1000
    assert all(f"`{name}`" in text for name in SHORT)
    assert "| its port |" in text


def test_the_page_in_the_repository_is_whole() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in PORTS:
        assert text.count(f"`{name}`") >= 4, name  # what differs, what is seen twice, the losses
    pictures = re.findall(r"\((tutorials/.*?\.png)\)", text)
    assert len(pictures) >= 3
    for picture in pictures:
        assert (PAGE.parent / picture).is_file()
