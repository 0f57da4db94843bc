"""Each tutorial's recipe gives the numbers of the tutorial's own algorithm, which a port without ganlab computes from the same draws."""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from beside import NARROW, PORTS, beside, distances
from recording import Drawn, Recording

import ganlab
from ganlab.recipe import shipped_recipes
from ganlab_networks import fused, products

DOUBLE = "train.dtype=float64"


def test_every_mnist_recipe_has_a_port() -> None:
    assert set(PORTS) == {name for name in shipped_recipes() if name.startswith("mnist_")}


@pytest.mark.parametrize("name", PORTS)
def test_200_steps_of_narrow_layers_in_float64_agree_to_ten_digits(name: str, mnist_root: Path) -> None:
    agree(name, mnist_root, *NARROW[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_matlab_adam", "mnist_best_practices", "mnist_adaptive"])
def test_200_steps_in_float64_agree_to_ten_digits(name: str, mnist_root: Path) -> None:
    """One recipe of each tutorial, at its own size."""
    agree(name, mnist_root)


@pytest.mark.slow
@pytest.mark.mnist
def test_200_steps_of_the_keras_tutorial_on_real_mnist_agree_to_ten_digits() -> None:
    """On the stand-in its game becomes chaotic after 130 steps: a difference of 1e-15 grows tenfold every four steps."""
    root = Path(os.environ.get("GANLAB_DATA", ""))
    if not (root / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file():
        pytest.skip("GANLAB_DATA names no folder that MNIST is in")
    agree("mnist_keras_batchnorm", root)


def agree(name: str, data: Path, *overrides: str) -> None:
    counting = Counting()
    watchers, every = ([counting], ["train.log_every=1"]) if name == "mnist_adaptive" else ([], [])
    run, replay = beside(name, data, DOUBLE, *every, *overrides, steps=200, tricks=watchers)
    assert len(replay.told) == run.step == 200
    for what, apart in distances(run, replay.port).items():
        assert apart < 1e-10, what
    if watchers:
        assert counting.steps == decisions(replay.told)
        assert 0 < sum(step["rested"] for step in counting.steps) < 200


@pytest.mark.parametrize("name", PORTS)
@pytest.mark.parametrize(("by", "most"), [("torch", 1e-6), ("the quicker library", 1e-3)])
def test_20_steps_in_float32_agree_to_six_digits(
    by: str, most: float, name: str, mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where both multiply by torch's own routines, as the ports do.

    Other roundings grow: Adam divides by gradients that are nearly nothing. Those of the Keras tutorial's biases, which batch
    normalization takes out again, are nothing but roundings, and differ between processors.
    """
    if name == "mnist_keras_batchnorm":
        most = max(most, 1e-4)
    if by == "torch":
        monkeypatch.setattr(fused, "for_float32", lambda: products.TORCH)
    run, replay = beside(name, mnist_root, "train.dtype=float32", steps=20)
    assert next(run.players["generator"].network.parameters()).dtype == torch.float32
    for what, apart in distances(run, replay.port).items():
        assert apart < most, what


@pytest.mark.parametrize("name", [name for name in PORTS if "matlab" in name])
def test_t1_reports_the_last_batch_of_each_epoch(name: str, mnist_root: Path) -> None:
    class Epochs:
        """What is logged of each epoch's last batch."""

        lines: ClassVar[list[tuple[int, float, float]]] = []

        @ganlab.hookimpl
        def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
            self.lines.append((step, metrics["last_batch/generator_loss"], metrics["last_batch/discriminator_loss"]))

    epoch = 1797 // 60
    more = (*NARROW[name], f"train.log_every={epoch}")
    _, replay = beside(name, mnist_root, *more, steps=3 * epoch, tricks=[watch := Epochs()])
    assert [step for step, _, _ in watch.lines] == [epoch, 2 * epoch, 3 * epoch]
    for step, generator_loss, discriminator_loss in watch.lines:
        told = replay.told[step - 1]
        assert (generator_loss, discriminator_loss) == pytest.approx((told["g_loss_after"], told["d_loss"]), rel=1e-12)


class Counting:
    """The decisions of adaptive_generator_steps as a run logs them, step by step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, int]] = []

    @ganlab.hookimpl
    def on_metrics(self, metrics: dict[str, float]) -> None:
        self.steps.append({name: int(metrics[f"adaptive/{name}"]) for name in ("updates", "rested", "waited", "capped")})


@dataclass
class Hot:
    """A discriminator that is sure of itself without reason: its last layer is magnified, and moved."""

    weight: float
    bias: float

    @ganlab.hookimpl
    @torch.no_grad()
    def before_run(self, run: Any) -> None:
        last = run.players["discriminator"].network.layers[-1]
        last.weight.mul_(self.weight)
        last.bias.add_(self.bias)


class Saturated:
    """A discriminator that was trained alone until no fake fools it, and then made surer."""

    @ganlab.hookimpl
    def before_run(self, run: Any) -> None:
        judge, maker = (run.players[role].network for role in ("discriminator", "generator"))
        adam = torch.optim.Adam(judge.parameters(), lr=1e-3)
        real = run.dataset.fetch(torch.arange(512)).images
        with torch.no_grad():
            fake = maker(torch.randn(512, *run.noise.shape, dtype=run.dtype))
        for _ in range(100):
            adam.zero_grad()
            (torch.nn.functional.softplus(-judge(real)).mean() + torch.nn.functional.softplus(judge(fake)).mean()).backward()
            adam.step()
        with torch.no_grad():
            judge.layers[-1].weight.mul_(4.0)
            judge.layers[-1].bias.mul_(4.0)


def decisions(told: list[dict[str, Any]]) -> list[dict[str, int]]:
    return [{name: int(step[name]) for name in ("updates", "rested", "waited", "capped")} for step in told]


@pytest.mark.parametrize(("start", "steps"), [(Hot(200.0, 10.0), 24), pytest.param(Saturated(), 60, marks=pytest.mark.slow)])
def test_t3_makes_the_same_decisions_from_a_start_where_all_of_them_occur(start: object, steps: int, mnist_root: Path) -> None:
    """The hot start takes all samples for fakes at first, and then saturates; the other one repeats turns below the cap, too."""
    counting, narrow = Counting(), NARROW["mnist_adaptive"]
    run, replay = beside("mnist_adaptive", mnist_root, DOUBLE, "train.log_every=1", *narrow, steps=steps, tricks=[start, counting])
    assert counting.steps == decisions(replay.told)
    for what, apart in distances(run, replay.port).items():
        assert apart < 1e-10, what
    seen: Counter[str] = Counter()
    for step in replay.told:
        seen += Counter({name: int(step[name]) for name in ("rested", "waited", "capped", "clamped_real", "clamped_fake", "clipped")})
        seen["trained"] += step["updates"] > 0
        seen["repeated"] += step["updates"] > 1
    assert dict(seen) == EXPECTED[type(start).__name__]


#: How often each thing occurs from these starts; clamped are samples, clipped are updates, all others are steps.
EXPECTED = {
    "Hot": {"trained": 9, "repeated": 8, "rested": 12, "waited": 3, "capped": 8, "clamped_real": 105, "clamped_fake": 95, "clipped": 14},
    "Saturated": {"trained": 29, "repeated": 16, "rested": 31, "capped": 11, "clipped": 19},
}


class Draws(Recording):
    """Keeps all that the first steps drew."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Drawn] = []

    def on_step(self, step: int, drawn: Drawn) -> None:
        self.steps.append(drawn)


@dataclass(frozen=True)
class Law:
    """What a tutorial draws: rows of D's real batch and of the step's latents, range of the images, law of the latent."""

    real: int
    latents: tuple[int, ...]
    low: float
    noise: tuple[str, int, float, float]  # law, dimension, mean, deviation
    init: str = "pytorch"
    dropout: float = 0.0


UNIFORM = ("uniform", 100, 0.0, 1 / math.sqrt(3))
LAWS = {
    "mnist_mlp": Law(100, (100, 100), -1, ("normal", 64, 0, 1), dropout=0.5),
    "mnist_matlab_adam": Law(60, (60,), 0, UNIFORM, "normal"),
    "mnist_matlab_sgd": Law(60, (60,), 0, UNIFORM, "normal"),
    "mnist_matlab_published_derivative": Law(60, (60,), 0, UNIFORM, "normal"),
    "mnist_large_batch": Law(60, (60, 60), 0, ("normal", 128, 0, 1)),  # 60 in these tests, 6,000 in the recipe
    "mnist_best_practices": Law(60, (60, 60), -1, ("normal", 128, 0, 1), dropout=0.3),
    "mnist_one_class": Law(60, (60, 60), 0, ("normal", 128, 0, 1)),
    "mnist_adaptive": Law(128, (128, 128), -1, ("normal", 64, 0, 1)),
    "mnist_keras_batchnorm": Law(32, (32, 64), -1, ("normal", 100, -0.5, 0.5), "glorot"),
}


@pytest.mark.parametrize("name", LAWS)
def test_what_is_drawn_follows_the_tutorials_laws(name: str, mnist_root: Path) -> None:
    """Ports take a run's draws as they are, so these are looked at by themselves: sizes, ranges, laws of noise, weights and dropout."""
    law, draws = LAWS[name], Draws()
    run, _ = beside(name, mnist_root, steps=3, tricks=[draws])
    first = draws.steps[0]  # in which T3 trains G once
    assert [len(real) for real in first.reals] == [law.real]
    assert tuple(len(latent) for latent in first.latents) == law.latents
    levels = (first.reals[0] - law.low) / (1 - law.low) * 255
    assert levels.round().unique().tolist() == [level for level in range(256) if level in levels.round()]
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-3)
    assert (levels.min().round(), levels.max().round()) == (0, 255)

    kind, dimension, mean, deviation = law.noise
    latent = torch.cat([latent for step in draws.steps for latent in step.latents])
    assert latent.shape[1] == dimension
    assert latent.mean().item() == pytest.approx(mean, abs=5 * deviation / math.sqrt(latent.numel()))
    assert latent.std().item() == pytest.approx(deviation, rel=0.03)
    assert (latent.abs().max() <= 1) == (kind == "uniform")

    for parameters in draws.initial.values():
        weights = [p for p in parameters if p.dim() == 2]
        biases = [p for p in parameters if p.dim() == 1][-1:]  # the last layer's; others may be batch normalization's
        for weight in weights:
            outputs, inputs = weight.shape
            expected = {"pytorch": 1 / math.sqrt(3 * inputs), "normal": 0.02, "glorot": math.sqrt(2 / (inputs + outputs))}[law.init]
            assert weight.std().item() == pytest.approx(expected, rel=4 / math.sqrt(weight.numel()))
            assert (weight.abs().max() > 2 * expected) == (law.init == "normal")  # the other two are uniform
        for bias in biases:
            assert (bias == 0).all() == (law.init == "glorot")
            assert law.init != "normal" or len(bias) == 1 or bias.std().item() == pytest.approx(0.02, rel=0.15)
    masks = [mask for step in draws.steps for mask in step.masks]
    assert bool(masks) == bool(law.dropout)
    if masks:
        assert torch.cat([mask.flatten() for mask in masks]).eq(0).float().mean().item() == pytest.approx(law.dropout, abs=0.02)
    assert run.recipe.name == name


def test_one_class_is_one_class(mnist_root: Path) -> None:
    run, _ = beside("mnist_one_class", mnist_root, steps=1)
    assert (list(run.dataset.class_names), len(run.dataset)) == (["1"], 182)  # as many ones as the stand-in has
