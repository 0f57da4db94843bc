"""``ganlab describe``: the layers of both networks, with shapes and parameter counts, and the plan of the game."""

from __future__ import annotations

from pathlib import Path

from ganlab.cli.build import build_run
from ganlab.components import Role
from ganlab.roles import ROLES
from ganlab.runs.run import Run
from ganlab.screen.summary import facts, layers_of
from ganlab.screen.terminal import show_facts, show_lines, show_table


def describe(recipe: str, overrides: list[str], data_root: Path | None) -> None:
    """Build all of a recipe without training, and print both networks' layers, the turns of a step and the tricks."""
    run = build_run(recipe, overrides, data_root)
    for role in ROLES:
        _show_network(run, role)
    show_facts({name: text for name, text in facts(run.game).items() if name not in ROLES})


def _show_network(run: Run, role: Role) -> None:
    player = run.players[role]
    layers = layers_of(player, run.game)
    trainable, fixed = sum(layer.trainable for layer in layers), sum(layer.fixed for layer in layers)
    show_lines(f"{role}: {run.recipe.document[role]['use']}, {type(player.optimizer).__name__}")
    rows = [("layer", "", "output", "parameters", "not trainable"), ("input", "", _shape(player.spec.input_shape), "", "")]
    rows += [
        (layer.name, layer.kind, _shape(layer.shape), f"{layer.trainable + layer.fixed:,}", f"{layer.fixed:,}" if layer.fixed else "")
        for layer in layers
    ]
    show_table([*rows, ("output", "", _shape(player.spec.output_shape), "", "")], right=(3, 4))
    show_lines(f"{trainable + fixed:,} parameters in all: {trainable:,} trainable, {fixed:,} not trainable", "")


def _shape(shape: tuple[int, ...] | None) -> str:
    return "not called" if shape is None else " x ".join(str(size) for size in shape)
