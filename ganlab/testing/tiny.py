"""The tiny problem, and runs of it: 64 points in the plane, two linear players of a few weights, the logistic loss, plain descent.

All of it is defined here: no other plugin is needed to test one.
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
from ganlab.game.hooks import DECIDING, KNOWN
from ganlab.game.turn import Turn
from ganlab.hookspecs import Register, hookimpl
from ganlab.registry.catalogue import Catalogue
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
        size: how many.
        shape: of one of them: [2], or [channels, height, width] to stand in for images that are not here.
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
    """One linear layer, with dropout and batch normalization before it where wanted; images are flattened for it."""

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
        """BCE of the real scores with their target, 1 unless a trick says otherwise."""
        assert turn.real_scores is not None
        target = 1.0 if turn.real_target is None else turn.real_target
        return (nn.functional.softplus(turn.real_scores) - target * turn.real_scores).mean(0)

    def fake(self, turn: Turn) -> Tensor:
        """BCE of the fake scores with their target, 0 unless a trick says otherwise."""
        assert turn.fake_scores is not None
        target = 0.0 if turn.fake_target is None else turn.fake_target
        return (nn.functional.softplus(turn.fake_scores) - target * turn.fake_scores).mean(0)

    def generator(self, turn: Turn) -> Tensor:
        """BCE of the fake scores with 1."""
        assert turn.fake_scores is not None
        return nn.functional.softplus(-turn.fake_scores).mean(0)


class TinyMetric:
    """How far the mean feature of the fakes is from that of real images."""

    results: ClassVar[Mapping[str, Better]] = {"tiny": "lower"}
    needs: ClassVar[Needs] = "features"
    quick: ClassVar[bool] = True

    def measure(self, evidence: Evidence) -> dict[str, float]:
        """The largest distance over all features."""
        return {"tiny": float((evidence.fakes.features.mean(0) - evidence.real.features.mean(0)).abs().max())}


class TinyClasses:
    """How far the classes of the fakes are from those of real images."""

    results: ClassVar[Mapping[str, Better]] = {"tiny_classes": "lower"}
    needs: ClassVar[Needs] = "probabilities"
    quick: ClassVar[bool] = True

    def measure(self, evidence: Evidence) -> dict[str, float]:
        """The largest distance of the classes' mean probabilities."""
        return {"tiny_classes": float((evidence.fakes.probabilities.mean(0) - evidence.real.probabilities.mean(0)).abs().max())}


class TinyJudge:
    """Sees how light an image is, and how much its pixels differ; light ones are of one class, dark ones of the other."""

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
    """A watcher that writes down hook calls: ``calls`` is a list of words such as ``"before_turn discriminator(real+fake)"``.

    It has every hook but those that decide, ``plan_step`` and ``on_failure``: only one trick of a run may have these.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []


def _record(name: str) -> Any:
    def hook(self: Recorder, **given: Any) -> None:
        turn = given.get("turn")
        if turn is not None:
            repeat = f" again {turn.repeat}" if turn.repeat else ""
            words = f"{turn.role}({'+'.join(turn.sides)}){repeat}"
        else:
            built = given.get("spec") or given.get("player")
            words = built.role if built else str(given.get("step", given.get("epoch", given.get("status", ""))))
        self.calls.append(f"{name} {words}".strip())

    parameters = ", ".join(KNOWN[name])
    passed = ", ".join(f"{parameter}={parameter}" for parameter in KNOWN[name])
    scope: dict[str, Any] = {"hook": hook}
    exec(f"def {name}(self, {parameters}):\n    return hook(self, {passed})", scope)  # pluggy reads parameter names
    return hookimpl(scope[name])


for _name in KNOWN.keys() - set(DECIDING):
    setattr(Recorder, _name, _record(_name))


def catalogue(plugins: Iterable[object] = ()) -> Catalogue:
    """All installed plugins, the tiny problem's components, and ``plugins``: modules or objects with registration hooks."""
    found = Catalogue.of_installed()
    found.add(TinyPlugin(), "testing", "ganlab.testing")
    for number, plugin in enumerate(plugins):
        found.add(plugin, f"plugin{number}", "the test")
    return found


def prepare(
    *tricks: object,
    recipe: str | Path = "",
    steps: int | None = 5,
    overrides: Iterable[str] = (),
    folder: Path | None = None,
    plugins: Iterable[object] = (),
) -> Run:
    """A run that is built and not yet begun.

    Args:
        tricks: objects with run hooks, called in this order after those of the recipe. A text or a path among them is the recipe.
        recipe: a recipe's name or file; empty for the tiny problem. It is played as it stands, with its own data (nothing is downloaded;
            where they are not here it takes its fallback, as any run does), but for what is set below.
        steps: length of the run; None leaves it to the recipe and ``overrides``.
        overrides: as ``--set`` takes them: ``"schedule.order=simultaneous"``, ``"tricks.clamp.use=clamp"``. They go before what is
            set here: the batch size of 8, the CPU, and no tracker or other default trick.
        folder: where runs go; None writes nothing at all.
        plugins: objects with registration hooks, to be used in the recipe.

    Raises:
        DataUnavailable: the recipe's data are not here, and it has no fallback.
        UsageError: whatever else makes the run impossible.
    """
    named = [thing for thing in tricks if isinstance(thing, str | Path)]
    if len(named) + bool(recipe) > 1:
        raise UsageError(f"one recipe at a time is played, not {len(named) + bool(recipe)}", "play them one after the other")
    recipe = named[0] if named else recipe
    ours = [*([f"train.steps={steps}"] if steps is not None else []), "train.device=cpu"]
    if recipe:
        ours += ["train.batch_size=8", "defaults=false", "tracking.enabled=false"]
    overrides = list(overrides)
    given = {line.partition("=")[0].strip() for line in overrides}
    overrides += [line for line in ours if line.partition("=")[0] not in given]
    watchers = [thing for thing in tricks if not isinstance(thing, str | Path)]
    workspace = Workspace(runs=folder or Path("runs"), tell=lambda text: None, watchers=watchers)
    with tempfile.TemporaryDirectory() as temporary:
        if not recipe:
            recipe = Path(temporary) / "tiny.toml"
            recipe.write_text(TINY, encoding="utf-8")
        try:
            data = find_data(recipe, catalogue(plugins), overrides, workspace, download=False)
        except DataUnavailable as error:
            other = "or play it with images that are drawn: overrides=['data={use=\"tiny\",shape=[1,28,28]}']"
            raise DataUnavailable(error.message, f"{error.hint}; {other}") from error
    return assemble(data.recipe, data.dataset, workspace, in_folder=folder is not None)


def play(*tricks: object, **options: Any) -> Run:
    """Play a few steps of the tiny problem or of a recipe, and return the run as it is then.

    >>> play(steps=3).step
    3
    >>> play("ring", steps=3).recipe.name
    'ring'

    The arguments are those of :func:`prepare`.
    """
    run = prepare(*tricks, **options)
    execute(run)
    return run
