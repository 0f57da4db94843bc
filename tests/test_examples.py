"""The example plugins of the docs: each keeps all rules, and the recipe beside them trains with all of them."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import ganlab
from ganlab.testing import conform
from ganlab_datasets import digits

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"


@pytest.fixture
def example(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """An example, imported."""
    spec = importlib.util.spec_from_file_location(request.param, EXAMPLES / f"{request.param}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[request.param] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[request.param]


@pytest.mark.parametrize(
    ("example", "kind", "options"),
    [
        ("conditional_dcgan", "network", {"width": 2, "overrides": ['data={use="tiny",shape=[1,8,8]}']}),
        ("instance_noise", "trick", {"steps": 4}),
        ("hinge", "loss", {}),
        ("self_normalizing_mlp", "network", {"hidden": [4]}),
        ("spirals", "dataset", {"samples": 64}),
        ("sliced_wasserstein", "metric", {"directions": 5}),
    ],
    indirect=["example"],
)
def test_an_example_conforms(example: ModuleType, kind: Any, options: dict[str, Any]) -> None:
    conform(kind, example.__name__, plugins=[example], **options)


def test_the_recipe_of_the_page_trains_with_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder)
    (folder / "mine.toml").write_text(blocks()[0])
    monkeypatch.chdir(tmp_path)
    run = ganlab.run(folder / "mine.toml", {"train.steps": 300, "tracking.enabled": False}, display=False)
    assert run.status == "finished"
    assert run.metrics["loss/discriminator"].iloc[-1] < 2.0  # it has begun to tell them apart: at 0 both hinges give 1
    assert run.quality["sliced_wasserstein"] < 3  # the spirals reach to 2 from the origin
    assert {path.name for path in (run.path / "plugins").iterdir()} == {path.name for path in EXAMPLES.glob("*.py")} - {
        "conditional_dcgan.py"
    }


@pytest.mark.slow
def test_the_conditional_recipe_of_the_page_learns_which_class_is_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(EXAMPLES / "conditional_dcgan.py", tmp_path)
    (tmp_path / "mine.toml").write_text(blocks()[1])
    changes: dict[str, Any] = {"data.use": "digits", "train.epochs": 20, "train.seed": 1, "train.threads": 1, "tracking.enabled": False}
    changes |= {f"{role}.{key}": value for role in ("generator", "discriminator") for key, value in (("width", 8), ("optimizer.lr", 1e-3))}
    changes |= {"evaluation.every": 0, "evaluation.at_end": False}
    monkeypatch.chdir(tmp_path)
    run = ganlab.run("mine.toml", changes, display=False)
    real = digits(ganlab.DatasetSpec(tmp_path, 0, False), range=(-1.0, 1.0))
    assert real.labels is not None
    images = real.images.float() * real.scale + real.offset
    means = torch.stack([images[real.labels == label].mean(0) for label in range(10)])  # (10, 1, 8, 8)
    fakes = torch.stack([run.samples(100, seed=1, label=label).mean(0) for label in range(10)])
    nearest = (fakes[:, None] - means[None]).flatten(2).norm(dim=2).argmin(1)
    assert (nearest == torch.arange(10)).sum() >= 8


@pytest.mark.parametrize("example", ["conditional_dcgan"], indirect=True)
@pytest.mark.parametrize(("shape", "classes"), [((1, 8, 8), 0), ((1, 8, 10), 3), ((2,), 3)])
@pytest.mark.parametrize("role", ["generator", "discriminator"])
def test_the_conditional_networks_say_what_they_are_for(example: ModuleType, shape: tuple[int, ...], classes: int, role: Any) -> None:
    shapes = ((4,), shape) if role == "generator" else (shape, (1,))
    with pytest.raises(ganlab.UsageError, match=re.escape(f"here are {classes} classes of {shape}")):
        example.conditional_dcgan(ganlab.NetworkSpec(role, *shapes, classes=classes))


def blocks() -> list[str]:
    """The recipes of the page."""
    return re.findall(r"```toml\n(.*?)```", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.DOTALL)
