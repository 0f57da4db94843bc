"""A small catalogue without torch, and a recipe that uses it, for the tests of the recipe layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from ganlab.errors import RecipeError, UsageError
from ganlab.recipe import Recipe, load_recipe
from ganlab.registry.entry import BrokenPlugin, Entry, Kind, PluginFile
from ganlab.registry.options import options_model

BASE = """\
[data]
use = "ring"
modes = 8
[noise]
use = "normal"
dimension = 2
[generator]
use = "mlp"
hidden = [32, 32]
[generator.optimizer]
use = "adam"
lr = 1e-3
[discriminator]
use = "mlp"
hidden = [32]
[discriminator.optimizer]
use = "adam"
[loss]
use = "bce"
[[tricks]]
use = "clamp"
margin = 1e-2
[[tricks]]
name = "clip"
use = "gradient_clipping"
[train]
epochs = 3
batch_size = 16
"""


def ring(spec: Any, *, modes: Annotated[int, Field(ge=1)] = 8, spread: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.1) -> None:
    """Gaussians on a circle.

    Args:
        modes: how many there are,
            evenly spaced.
        spread: their standard deviation.
    """


def digits(spec: Any, *, classes: list[Annotated[int, Field(ge=0, le=9)]] | None = None) -> None:
    """Handwritten digits."""


@dataclass
class Corners:
    """Where to cut."""

    left: int = 0
    right: Annotated[int, Field(multiple_of=2)] = 0


@dataclass
class Point:
    """A place."""

    x: int


def folder(
    spec: Any,
    *,
    path: Path,
    size: Annotated[int, Field(ge=1)] | Literal["full"] = "full",
    limits: tuple[float, float] = (-1.0, 1.0),
    weights: dict[str, float] | None = None,
    corners: Corners | None = None,
    suffix: Annotated[str, Field(min_length=1, max_length=4)] = "png",
    names: Annotated[list[str], Field(max_length=2)] = [],  # noqa: B006 - read by its signature alone
    flags: list[list[bool]] | None = None,
    mixed: list[int] | int = 0,
    point: Point | None = None,
) -> None:
    """The user's own images."""


@dataclass
class Nested:
    """A type that holds itself."""

    depth: int = 0
    inner: Nested | None = None


def normal(*, dimension: Annotated[int, Field(ge=1)] = 64) -> None:
    """Normal noise."""


def _even(value: int) -> int:
    if value == 13:
        raise RuntimeError("thirteen")
    if value == 15:
        raise UsageError("fifteen is not to be had", "try 16")
    if value == 17:
        raise ValueError("must not be seventeen")
    if value % 2:
        raise ValueError("odd sizes have no middle")
    return value


def mlp(
    spec: Any,
    *,
    hidden: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=1)],
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    activation: Literal["relu", "tanh"] = "relu",
    even: Annotated[int, pydantic.AfterValidator(_even)] = 0,
) -> None:
    """A perceptron."""


def cnn(spec: Any, *, channels: Annotated[int, Field(ge=1)] = 8) -> None:
    """A convolutional network."""


def adam(parameters: Any, *, lr: Annotated[float, Field(gt=0)] = 1e-3, betas: tuple[float, float] = (0.9, 0.999)) -> None:
    """Adam."""


def sgd(parameters: Any, *, lr: Annotated[float, Field(gt=0)]) -> None:
    """Stochastic gradient descent."""


def bce(*, saturating: bool = False, real_label: float = 1.0) -> None:
    """Binary cross-entropy."""


def strange(*, odd: Callable[[], int] | None = None, own: Nested | None = None) -> None:
    """A loss with options that JSON cannot describe."""


def hinge() -> None:
    """Hinge."""


@dataclass
class Clamp:
    """Keep probabilities away from 0 and 1.

    Attributes:
        margin: how far.
    """

    margin: Annotated[float, Field(gt=0, lt=0.5)] = 1e-3


def gradient_clipping(
    *, player: Literal["both", "generator", "discriminator"] = "both", max_norm: Annotated[float, Field(gt=0)] = 1.0
) -> None:
    """Clip gradients."""


def plot(*, every: Annotated[int, Field(ge=1)] = 10) -> None:
    """Draw the losses."""


def mlflow(*, uri: str = "") -> None:
    """Mirror the run."""


@dataclass
class FakeCatalogue:
    """Everything above; a plugin file brings a trick of its own name."""

    broken: list[BrokenPlugin] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kinds: dict[Kind, list[Callable[..., Any]]] = {
            "dataset": [ring, digits, folder],
            "noise": [normal],
            "network": [mlp, cnn],
            "optimizer": [adam, sgd],
            "loss": [bce, hinge, strange],
            "trick": [Clamp, gradient_clipping, plot, mlflow],
        }
        for kind, factories in kinds.items():
            for factory in factories:
                self._add(kind, factory.__name__.lower(), factory)

    def _add(self, kind: Kind, name: str, factory: Callable[..., Any]) -> None:
        self.entries[kind, name] = Entry(kind, name, factory, options_model(factory, name), "fake", "fake 1.0")

    def find(self, kind: Kind, name: str) -> Entry | None:
        return self.entries.get((kind, name))

    def names(self, kind: Kind) -> list[str]:
        return sorted(name for found, name in self.entries if found == kind)

    def add_file(self, path: Path, content: bytes | None = None) -> PluginFile:
        if path not in self.files:
            self.files.append(path)
            self._add("trick", path.stem, Clamp)
        return PluginFile(path, b"")


def load(text: str = BASE, *overrides: str, fallback: bool = False, name: str = "r.toml", catalogue: FakeCatalogue | None = None) -> Recipe:
    """Write ``text`` into the current folder, and load it."""
    Path(name).write_text(text, encoding="utf-8")
    return load_recipe(Path(name), catalogue or FakeCatalogue(), overrides, fallback=fallback)


def mistakes(text: str = BASE, *overrides: str, **options: Any) -> list[str]:
    """All mistakes that loading ``text`` finds."""
    try:
        load(text, *overrides, **options)
    except RecipeError as error:
        return error.mistakes
    return []
