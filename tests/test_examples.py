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

import ganlab
from ganlab.testing import conform

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
    (block,) = re.findall(r"```toml\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    (folder / "mine.toml").write_text(block)
    monkeypatch.chdir(tmp_path)
    run = ganlab.run(folder / "mine.toml", {"train.steps": 300, "tracking.enabled": False}, display=False)
    assert run.status == "finished"
    assert run.metrics["loss/discriminator"].iloc[-1] < 2.0  # it has begun to tell them apart: at 0 both hinges give 1
    assert run.quality["sliced_wasserstein"] < 3  # the spirals reach to 2 from the origin
    assert sorted(path.name for path in (run.path / "plugins").iterdir()) == sorted(path.name for path in EXAMPLES.glob("*.py"))
