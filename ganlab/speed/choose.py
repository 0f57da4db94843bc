"""How the networks of a game are called in training: as they are, compiled, or as CUDA graphs. The one place that reads these options."""

from __future__ import annotations

import functools

from ganlab.game.game import Game
from ganlab.speed.compiled import Compiled
from ganlab.speed.graphs import Graphs
from ganlab.speed.recorders import RECORDERS


def speed_up(game: Game) -> None:
    """Let both players' passes be compiled or replayed, where the recipe asks for it. Samples are made by the networks as they are."""
    train = game.recipe.train
    for player in game.players.values():
        if train.compile:
            player.speed_up(functools.partial(Compiled, announce=game.announce))
        if train.cuda_graphs and game.device.type in RECORDERS:
            player.speed_up(functools.partial(Graphs, device=game.device, announce=game.announce))
    if train.cuda_graphs and game.device.type not in RECORDERS:
        game.announce(f"train.cuda_graphs = true has nothing to do on the device {game.device}: this run goes as without it.")
