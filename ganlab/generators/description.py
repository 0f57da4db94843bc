"""The generator of a game as one file: its weights, and all that is needed to build it again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.utils import parametrize

from ganlab.components import Dataset, ResidentDataset
from ganlab.game.game import Game
from ganlab.registry.options import plain

DrawnAs = Literal["images", "data"]


def description(game: Game) -> dict[str, Any]:
    """The game's generator as it is now: weights, and all that is needed to build it again, to sample from it and to draw samples."""
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
    """How samples of that data set are drawn: a grid of ``"images"`` needs their range only; else the ``"data"`` themselves are needed."""
    plain_grid = getattr(type(dataset), "picture", None) is ResidentDataset.picture and len(dataset.shape) == 3
    return "images" if plain_grid and getattr(dataset, "columns", None) is None else "data"


def plain_weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """The network's state, each parametrized weight (spectral normalization, for instance) as it is seen: no trick is needed to load it."""
    state: dict[str, torch.Tensor] = dict(network.state_dict())
    for place, module in network.named_modules():
        if parametrize.is_parametrized(module):
            prefix = f"{place}." if place else ""
            state = {key: value for key, value in state.items() if not key.startswith(f"{prefix}parametrizations.")}
            state |= {f"{prefix}{name}": getattr(module, name).detach() for name in module.parametrizations}
    return state
