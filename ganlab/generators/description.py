"""The description of a game's generator: its weights, and the plain data that rebuild it. ``generator.safetensors`` holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

import pydantic
import torch
from pydantic import AfterValidator, Field
from torch import Tensor, nn
from torch.nn.utils import parametrize
from typing_extensions import TypedDict  # before Python 3.12 pydantic accepts no other

from ganlab.components import Dataset, ResidentDataset
from ganlab.game.game import Game
from ganlab.pictures import are_images
from ganlab.registry.options import plain
from ganlab.storage import checkpoint

DrawnAs = Literal["images", "data"]
Whole = Annotated[int, Field(ge=0, le=2**63 - 1)]
Shape = Annotated[Sequence[Annotated[int, Field(ge=1, le=2**31)]], Field(max_length=16)]
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def _of_known_type(tensor: Tensor) -> Tensor:
    if tensor.dtype not in (*FLOATS, torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        raise ValueError(f"the weights are of the type {tensor.dtype}")
    return tensor


Weights = dict[str, Annotated[Tensor, AfterValidator(_of_known_type)]]  # of a network, by name


class DescribedSpec(TypedDict):
    """The shapes of a network, see :class:`ganlab.components.NetworkSpec`."""

    role: Literal["generator"]
    input_shape: Shape
    output_shape: Shape
    classes: Whole


class DescribedNoise(TypedDict):
    """A noise law: its name and its options."""

    use: str
    options: dict[str, Any]


class Description(pydantic.BaseModel):
    """The types of a :func:`description`."""

    model_config = checkpoint.STRICT

    network: Weights
    use: str
    options: dict[str, Any]
    spec: DescribedSpec
    noise: DescribedNoise
    range: Annotated[Sequence[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=2, max_length=2)] | None
    class_names: Sequence[str | int] = ()  # version 0.1 did not write it, nor the next one
    drawn_as: DrawnAs = "data"
    step: Whole
    recipe: str


def description(game: Game) -> dict[str, Any]:
    """Describe the game's generator as it is now.

    Returns:
        ``network`` (its weights by name), ``use`` and ``options`` of the network, ``spec`` (role, shapes, classes), ``noise`` (``use`` and
        ``options``), ``range`` and ``class_names`` of the data, ``drawn_as`` (see :func:`drawn_as`), ``step``, and the ``recipe``'s name.
    """
    choice, noise = game.recipe.generator.network, game.recipe.sampling_law
    return {
        "network": plain_weights(game.players["generator"].network),
        "use": choice.use,
        "options": plain(choice.options, choice.entry.options),
        "spec": asdict(game.players["generator"].spec),
        "noise": {"use": noise.use, "options": plain(noise.options, noise.entry.options)},
        "range": game.dataset.range,
        "class_names": list(game.dataset.class_names),
        "drawn_as": drawn_as(game.dataset),
        "step": game.step,
        "recipe": game.recipe.name,
    }


def drawn_as(dataset: Dataset) -> DrawnAs:
    """How to draw samples of a data set: as a grid of ``"images"``, which needs its range only, or with the ``"data"`` set itself."""
    default_picture = getattr(type(dataset), "picture", None) is ResidentDataset.picture and are_images(dataset.shape)
    return "images" if default_picture and getattr(dataset, "columns", None) is None else "data"


def plain_weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """The network's state with parametrized weights (spectral normalization, for instance) replaced by their current values.

    A network without the parametrization can load it.
    """
    state: dict[str, torch.Tensor] = dict(network.state_dict())
    for path, module in network.named_modules():
        if parametrize.is_parametrized(module):
            prefix = f"{path}." if path else ""
            state = {key: value for key, value in state.items() if not key.startswith(f"{prefix}parametrizations.")}
            state |= {f"{prefix}{name}": getattr(module, name).detach() for name in module.parametrizations}
    return state
