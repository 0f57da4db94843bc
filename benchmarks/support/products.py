"""What a step of a recipe must compute at the least: its matrix products and optimizer updates, counted from the layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from support.setting import Setting

Role = Literal["generator", "discriminator"]
FLOAT = 4  # bytes
ADAM_TRAFFIC = 7  # numbers moved for each parameter: read weight, gradient and both moments; write weight and moments


@dataclass(frozen=True)
class Operation:
    """One pass through all layers of a network, or one update of it.

    Attributes:
        turn: whose turn it belongs to. network: which network.
        kind: ``forward``; ``weights``: the gradients of all weights; ``inputs``: those of the activations between layers, which
            ``whole`` makes reach the network's own input; ``update``: Adam over all parameters.
        rows: of the batch.
    """

    turn: Role
    network: Role
    kind: Literal["forward", "weights", "inputs", "update"]
    rows: int = 0
    whole: bool = False


def widths(setting: Setting, role: Role) -> list[int]:
    """The widths of a multi-layer perceptron from its input to its output.

    Raises:
        ValueError: the recipe's network is another.
    """
    table = setting.document[role]
    if table["use"] != "mlp" or setting.document["noise"]["use"] != "normal":
        raise ValueError(f"only recipes of mlp networks and normal noise can be counted, and {setting.recipe} has others")
    pixels, noise = math.prod(setting.shape), setting.document["noise"]["dimension"]
    ends = (noise, pixels) if role == "generator" else (pixels, 1)
    return [ends[0], *table["hidden"], ends[1]]


def parameters(setting: Setting, role: Role) -> int:
    """How many numbers Adam updates, batch normalization's included."""
    sizes = widths(setting, role)
    norm = 2 * sum(sizes[1:-1]) if setting.document[role]["batch_norm"] != "none" else 0
    return sum(inputs * outputs + outputs for inputs, outputs in pairwise(sizes)) + norm


def step(setting: Setting) -> list[Operation]:
    """One turn of the discriminator and one of the generator, in the order of the game, as often as the schedule says.

    Real and fake are scored in one pass where that is the same mathematics: not where each has an update of its own.
    """
    train, schedule = setting.document["train"], setting.document["schedule"]
    rows = train.get("discriminator_batch_size") or train["batch_size"]
    apart = schedule["discriminator_turn"] == "two_updates"
    found: list[Operation] = []
    for _ in range(schedule["discriminator_steps"]):
        found.append(Operation("discriminator", "generator", "forward", rows))
        for _ in range(2 if apart else 1):
            shown = rows if apart else 2 * rows
            kinds: tuple[Literal["forward", "weights", "inputs"], ...] = ("forward", "weights", "inputs")
            found += [Operation("discriminator", "discriminator", kind, shown) for kind in kinds]
            found.append(Operation("discriminator", "discriminator", "update"))
    rows = train["batch_size"]
    for _ in range(schedule["generator_steps"]):
        found += [Operation("generator", role, "forward", rows) for role in ("generator", "discriminator")]
        found.append(Operation("generator", "discriminator", "inputs", rows, whole=True))
        found += [Operation("generator", "generator", "weights", rows), Operation("generator", "generator", "inputs", rows)]
        found.append(Operation("generator", "generator", "update"))
    return found


def layers_of(operation: Operation, sizes: list[int]) -> list[tuple[int, int, int]]:
    """The matrix products of an operation: rows, inputs, outputs of each layer that it passes. None of an update."""
    pairs = list(pairwise(sizes)) if operation.kind != "update" else []
    if operation.kind == "inputs" and not operation.whole:
        pairs = pairs[1:]
    return [(operation.rows, inputs, outputs) for inputs, outputs in pairs]


@dataclass(frozen=True)
class Work:
    """What a step takes at the least. ``bytes``: each operand of a product moved once, and Adam's traffic."""

    products: float
    flops: float
    bytes: float


def work(setting: Setting) -> Work:
    """The work of a step, with ``setting.generator_rate`` turns of the generator."""
    products = flops = moved = 0.0
    for operation in step(setting):
        times = setting.generator_rate if operation.turn == "generator" else 1.0
        layers = layers_of(operation, widths(setting, operation.network))
        products += times * len(layers)
        flops += times * sum(2 * rows * inputs * outputs for rows, inputs, outputs in layers)
        moved += times * FLOAT * sum(rows * inputs + inputs * outputs + rows * outputs for rows, inputs, outputs in layers)
        if operation.kind == "update":
            moved += times * FLOAT * ADAM_TRAFFIC * parameters(setting, operation.network)
    return Work(products, flops, moved)
