"""The tiny problem for tests, and runs of it: 64 points in the plane, two linear players, the logistic loss, gradient descent.

It needs no other plugin.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ganlab.components import DatasetSpec, NetworkSpec, ResidentDataset
from ganlab.errors import DataUnavailable, UsageError
from ganlab.evaluation import Better, Evidence, JudgeSpec, Needs
from ganlab.game.hooks import DECIDING
from ganlab.game.turn import Turn
from ganlab.hookspecs import Register, hookimpl
from ganlab.registry.catalogue import Catalogue
from ganlab.registry.implementations import RUN_HOOKS
from ganlab.runs.run import Run
from ganlab.runs.start import assemble, find_data
from ganlab.runs.training import execute
from ganlab.runs.workspace import Workspace

TINY = """
defaults = false
name = "tiny"
[data]
use = "tiny"
[noise]
use = "tiny"
[generator]
use = "tiny"
optimizer = { use = "tiny" }
[discriminator]
use = "tiny"
optimizer = { use = "tiny" }
[loss]
use = "tiny"
[train]
steps = 5
batch_size = 8
device = "cpu"
log_every = 1
"""


class TinyPlugin:
    """The tiny problem's components, each registered as ``tiny``."""

    @hookimpl
    def register_datasets(self, register: Register) -> None:
        register("tiny", tiny_data)

    @hookimpl
    def register_noises(self, register: Register) -> None:
        register("tiny", TinyNoise)

    @hookimpl
    def register_networks(self, register: Register) -> None:
        register("tiny", TinyNetwork)

    @hookimpl
    def register_losses(self, register: Register) -> None:
        register("tiny", TinyLoss)

    @hookimpl
    def register_optimizers(self, register: Register) -> None:
        register("tiny", tiny_optimizer)

    @hookimpl
    def register_metrics(self, register: Register) -> None:
        register("tiny", TinyMetric)
        register("tiny_classes", TinyClasses)

    @hookimpl
    def register_judges(self, register: Register) -> None:
        register("tiny", TinyJudge)


def tiny_data(spec: DatasetSpec, *, size: int = 64, shape: tuple[int, ...] = (2,)) -> ResidentDataset:
    """Points around (2, 2) and (-2, -2), which are also their labels, 1 and 0. Images are light or dark, and within [-1, 1].

    Options:
        size: number of samples.
        shape: of a sample: [2], or [channels, height, width] to replace images that are not available.
    """
    labels = torch.arange(size) % 2
    centers = (4.0 * labels - 2).view(-1, *[1] * len(shape))
    points = torch.randn(size, *shape, generator=torch.Generator().manual_seed(spec.seed)) / 4 + centers
    range_ = None if len(shape) == 1 else (-1.0, 1.0)
    return ResidentDataset(
        points if range_ is None else points.tanh(), labels, range=range_, class_names=("low", "high"),
        held_out=lambda: tiny_data(replace(spec, seed=spec.seed + 1), size=size, shape=shape),
    )  # fmt: skip


@dataclass
class TinyNoise:
    """Normal latents of shape (3,)."""

    shape: ClassVar[tuple[int, ...]] = (3,)

    def sample(self, count: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> Tensor:
        """``(count, 3)``."""
        return torch.randn(count, 3, generator=generator, device=device, dtype=dtype)


class TinyNetwork(nn.Module):
    """One linear layer on flattened inputs, optionally after batch normalization and dropout."""

    def __init__(self, spec: NetworkSpec, *, dropout: bool = False, batch_norm: bool = False) -> None:
        super().__init__()
        self.output_shape, inputs, outputs = spec.output_shape, math.prod(spec.input_shape), math.prod(spec.output_shape)
        self.before = nn.Sequential(*([nn.BatchNorm1d(inputs)] if batch_norm else []), *([nn.Dropout(0.5)] if dropout else []))
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, *input shape)`` to ``(batch, *output shape)``."""
        y: Tensor = self.linear(self.before(x.flatten(1)))
        return y.view(-1, *self.output_shape)


@dataclass
class TinyLoss:
    """The non-saturating logistic loss (Goodfellow et al. 2014)."""

    logits: ClassVar[bool] = True
    label_targets: ClassVar[bool] = True

    def real(self, turn: Turn) -> Tensor:
        """BCE of the real scores with their target, 1 unless a trick sets another."""
        assert turn.real_scores is not None
        target = 1.0 if turn.real_target is None else turn.real_target
        return (nn.functional.softplus(turn.real_scores) - target * turn.real_scores).mean(0)

    def fake(self, turn: Turn) -> Tensor:
        """BCE of the fake scores with their target, 0 unless a trick sets another."""
        assert turn.fake_scores is not None
        target = 0.0 if turn.fake_target is None else turn.fake_target
        return (nn.functional.softplus(turn.fake_scores) - target * turn.fake_scores).mean(0)

    def generator(self, turn: Turn) -> Tensor:
        """BCE of the fake scores with 1."""
        assert turn.fake_scores is not None
        return nn.functional.softplus(-turn.fake_scores).mean(0)


class TinyMetric:
    """The distance of the mean features of fakes and real images."""

    results: ClassVar[Mapping[str, Better]] = {"tiny": "lower"}
    needs: ClassVar[Needs] = "features"
    quick: ClassVar[bool] = True

    def measure(self, evidence: Evidence) -> dict[str, float]:
        """The largest distance over all features."""
        return {"tiny": float((evidence.fakes.features.mean(0) - evidence.real.features.mean(0)).abs().max())}


class TinyClasses:
    """The distance of the mean class probabilities of fakes and real images."""

    results: ClassVar[Mapping[str, Better]] = {"tiny_classes": "lower"}
    needs: ClassVar[Needs] = "probabilities"
    quick: ClassVar[bool] = True

    def measure(self, evidence: Evidence) -> dict[str, float]:
        """The largest distance of the classes' mean probabilities."""
        return {"tiny_classes": float((evidence.fakes.probabilities.mean(0) - evidence.real.probabilities.mean(0)).abs().max())}


class TinyJudge:
    """Features are the mean and the standard deviation of the pixels; classes are dark and light."""

    description, identity, classes = "light and contrast", "tiny", 2

    def __init__(self, spec: JudgeSpec) -> None:
        self.spec = spec

    def features(self, images: Tensor) -> Tensor:
        """``(count, 2)``."""
        return torch.stack((images.flatten(1).mean(1), images.flatten(1).std(1)), dim=1)

    def probabilities(self, images: Tensor) -> Tensor:
        """``(count, 2)``."""
        light = images.flatten(1).mean(1)
        return torch.stack((1 - light, light), dim=1)


def tiny_optimizer(parameters: Iterable[Tensor], *, lr: float = 0.1) -> torch.optim.Optimizer:
    """Plain gradient descent."""
    return torch.optim.SGD(parameters, lr=lr)


class Recorder:
    """A trick that records hook calls: ``calls`` is a list of texts such as ``"before_turn discriminator(real+fake)"``.

    It has every hook except ``plan_step`` and ``on_failure``, which only one trick of a run may have.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []


def _record(name: str) -> Any:
    def hook(self: Recorder, **arguments: Any) -> None:
        turn = arguments.get("turn")
        if turn is not None:
            repeat = f" again {turn.repeat}" if turn.repeat else ""
            text = f"{turn.role}({'+'.join(turn.sides)}){repeat}"
        else:
            built = arguments.get("spec") or arguments.get("player")
            text = built.role if built else str(arguments.get("step", arguments.get("epoch", arguments.get("status", ""))))
        self.calls.append(f"{name} {text}".strip())

    parameters = ", ".join(RUN_HOOKS[name])
    passed = ", ".join(f"{parameter}={parameter}" for parameter in RUN_HOOKS[name])
    scope: dict[str, Any] = {"hook": hook}
    exec(f"def {name}(self, {parameters}):\n    return hook(self, {passed})", scope)  # pluggy reads parameter names
    return hookimpl(scope[name])


for _name in RUN_HOOKS.keys() - set(DECIDING):
    setattr(Recorder, _name, _record(_name))


def catalogue(plugins: Iterable[object] = ()) -> Catalogue:
    """All installed plugins, the tiny problem's components, and ``plugins``: modules or objects with registration hooks."""
    components = Catalogue.of_installed()
    components.add(TinyPlugin(), "testing", "ganlab.testing")
    for number, plugin in enumerate(plugins):
        components.add(plugin, f"plugin{number}", "the test")
    return components


def prepare(
    *tricks: object,
    recipe: str | Path = "",
    steps: int | None = 5,
    overrides: Iterable[str] = (),
    folder: Path | None = None,
    plugins: Iterable[object] = (),
) -> Run:
    """Build a run without starting it.

    Args:
        tricks: objects with run hooks, called in this order after those of the recipe. A string or path among them is the recipe.
        recipe: a recipe's name or file; empty for the tiny problem. Its data are not downloaded; if they are not available, the run uses
            the recipe's fallback. A recipe runs with a batch size of 8, on the CPU, without tracker or other default tricks.
        steps: length of the run; None: as the recipe and ``overrides`` say.
        overrides: in the syntax of ``--set``: ``"schedule.order=simultaneous"``, ``"tricks.clamp.use=clamp"``. They take precedence over
            ``steps`` and the settings above.
        folder: the folder for runs; None: nothing is written.
        plugins: modules or objects with registration hooks, for components that the recipe uses.

    Raises:
        DataUnavailable: the recipe's data are not available, and it has no fallback.
        UsageError: the recipe, an override or an option is wrong.
    """
    recipes = [argument for argument in tricks if isinstance(argument, str | Path)] + ([recipe] if recipe else [])
    if len(recipes) > 1:
        raise UsageError(f"a run has one recipe, not {len(recipes)}", "call this once for each recipe")
    recipe = recipes[0] if recipes else ""
    settings = [*([f"train.steps={steps}"] if steps is not None else []), "train.device=cpu"]
    if recipe:
        settings += ["train.batch_size=8", "defaults=false", "tracking.enabled=false"]
    overrides = list(overrides)
    overridden = {line.partition("=")[0].strip() for line in overrides}
    overrides += [line for line in settings if line.partition("=")[0] not in overridden]
    watchers = [argument for argument in tricks if not isinstance(argument, str | Path)]
    workspace = Workspace(runs=folder or Path("runs"), tell=lambda text: None, watchers=watchers)
    with tempfile.TemporaryDirectory() as temporary:
        if not recipe:
            recipe = Path(temporary) / "tiny.toml"
            recipe.write_text(TINY, encoding="utf-8")
        try:
            data = find_data(recipe, catalogue(plugins), overrides, workspace, download=False)
        except DataUnavailable as error:
            generated = "or use generated images: overrides=['data={use=\"tiny\",shape=[1,28,28]}']"
            raise DataUnavailable(error.message, f"{error.hint}; {generated}") from error
    return assemble(data.recipe, data.dataset, workspace, in_folder=folder is not None)


def play(*tricks: object, **options: Any) -> Run:
    """Train the tiny problem or a recipe for a few steps, and return the run.

    >>> play(steps=3).step
    3
    >>> play("ring", steps=3).recipe.name
    'ring'

    Arguments and errors are those of :func:`prepare`.
    """
    run = prepare(*tricks, **options)
    execute(run)
    return run
