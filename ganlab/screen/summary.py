"""A summary of what a recipe builds: the layers of both networks with shapes and parameter counts, and the game in a few lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganlab.game.game import Game
from ganlab.game.player import Player
from ganlab.game.random_streams import default_generators_restored
from ganlab.roles import ROLES


@dataclass(frozen=True)
class Layer:
    """A layer of a network: a module without submodules, or one with tensors of its own.

    Attributes:
        name: its place in the network, such as ``"layers.0"``.
        kind: its class, such as ``"Linear"``.
        shape: of its last output, without the batch dimension; None if it was not called.
        trainable: number of values that the optimizer updates.
        fixed: number of its other values: parameters without gradients, and floating-point buffers (running means and variances).
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    trainable: int
    fixed: int


def layers_of(player: Player, game: Game) -> list[Layer]:
    """Return the layers of a player's network, in the order of their definition. A shared tensor counts once.

    The network is called once, in eval mode, on one sample of zeros, to find the shapes.
    """
    shapes: dict[nn.Module, tuple[int, ...]] = {}

    def record_shape(module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            shapes[module] = tuple(output.shape[1:])

    rows = list(_rows(player.network))
    hooks = [module.register_forward_hook(record_shape) for _, module, _ in rows]
    try:
        sample = torch.zeros((1, *player.spec.input_shape), device=game.device, dtype=game.dtype)
        labels = torch.zeros(1, dtype=torch.int64, device=game.device) if player.spec.classes else None
        with default_generators_restored(game.device), player.evaluating(), game.autocast():
            player(sample, labels)
    finally:
        for hook in hooks:
            hook.remove()
    counted: set[int] = set()
    layers = []
    for name, module, tensors in rows:
        own = [tensor for tensor in tensors if id(tensor) not in counted]
        counted |= {id(tensor) for tensor in own}
        trainable = sum(tensor.numel() for tensor in own if tensor.requires_grad)
        fixed = sum(tensor.numel() for tensor in own) - trainable
        layers.append(Layer(name, type(module).__name__.removeprefix("Parametrized"), shapes.get(module), trainable, fixed))
    return layers


def _rows(network: nn.Module) -> Iterator[tuple[str, nn.Module, list[Tensor]]]:
    """Yield the name, the module and the floating-point tensors of each layer."""
    for name, module in network.named_modules():
        if "parametrizations" in name.split("."):
            continue  # they belong to the module whose weight they compute
        inner = [child for place, child in module.named_children() if place != "parametrizations"]
        parts = [module, *(part for place, part in module.named_modules() if place.startswith("parametrizations"))]
        tensors = [t for part in parts for t in (*part.parameters(recurse=False), *part.buffers(recurse=False)) if t.is_floating_point()]
        if not inner or tensors:
            yield name or "(itself)", module, tensors


def facts(game: Game) -> dict[str, str]:
    """Return what was built, one line for each part: shapes, parameter counts, the plan of a step, the tricks in call order."""
    recipe, data = game.recipe, game.dataset
    batch, other = (recipe.train.batch_of(role) for role in ROLES)
    images = f"{batch} samples" if batch == other else f"{other} real and {other} fake samples for D, {batch} for G"
    losses = {role: recipe.losses[role].use for role in ROLES}
    counts = {role: sum(p.numel() for p in game.players[role].parameters) for role in ROLES}
    return {
        "data": f"{recipe.data.use}: {len(data):,} samples of shape {tuple(data.shape)}, {len(data.class_names)} classes",
        **{
            role: f"{recipe.document[role]['use']}: {counts[role]:,} parameters, {type(game.players[role].optimizer).__name__}"
            for role in ROLES
        },
        "noise": f"{recipe.noise.use} of shape {tuple(game.noise.shape)}"
        + (f"; samples are of {recipe.sampling_noise.use}" if recipe.sampling_noise else ""),
        "loss": " and ".join(dict.fromkeys(losses.values())),
        "step": " then ".join(" with ".join(f"{part.player} on {' and '.join(part.sides)}" for part in group) for group in game.groups),
        "tricks": ", ".join(trick.name for trick in game.tricks) or "none",
        "budget": f"{game.total_steps:,} steps of {images}, {game.total_steps / game.steps_per_epoch:.1f} epochs",
    }
