"""What the README shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ganlab.cli import main
from ganlab.testing import catalogue

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def run(*words: str) -> None:
    with pytest.raises(SystemExit) as left:
        main(["run", *words, "--set", "tracking.enabled=false", "--quiet"])
    assert not left.value.code


def test_the_own_trick_runs_and_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, trick = blocks("python")
    _, recipe = blocks("toml")
    Path("weight_clipping.py").write_text(trick)
    Path("clipped_ring.toml").write_text(recipe)
    run("clipped_ring.toml", "--set", "train.steps=3", "--set", "data.samples=600", "--set", "tricks.weight_clipping.limit=0.03125")
    from ganlab.engine.checkpoint import load

    (checkpoint,) = Path("runs").glob("*/checkpoints/*3.safetensors")
    weights = load(checkpoint)["discriminator"]["network"].values()
    assert max(float(weight.abs().max()) for weight in weights) == 0.03125


def test_the_recipe_does_what_its_comments_say(tmp_path: Path) -> None:
    from ganlab.recipe import load_recipe

    path = tmp_path / "my_recipe.toml"
    path.write_text(blocks("toml")[0])
    recipe = load_recipe(path, catalogue())
    tricks = {trick.name: trick.options for trick in recipe.tricks}
    assert tricks["adaptive_generator_steps"]["max_updates"] == 10
    assert {"clamp", "gradient_clipping", "label_smoothing"} < set(tricks)
    assert (recipe.losses["generator"].options["saturating"], recipe.train.epochs) == (False, 20)


def test_the_generator_block_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("mnist_adaptive", "--data-root", str(tmp_path / "none"), "--set", "data.use=digits", "--set", "train.steps=2")
    (folder,) = Path("runs").iterdir()
    scope: dict[str, object] = {}
    exec(blocks("python")[0].replace("runs/20260101-120000-mnist_adaptive-1a2b", str(folder)), scope)
    images = scope["images"]
    assert tuple(images.shape) == (16, 1, 28, 28)  # type: ignore[attr-defined]
    assert float(images.abs().max()) <= 1  # type: ignore[attr-defined]
