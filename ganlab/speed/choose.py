"""Chooses how a game calls its networks in training: unchanged, compiled, or as CUDA graphs. Only this module reads these options."""

from __future__ import annotations

import functools

from ganlab.errors import GanlabError
from ganlab.game.game import Game
from ganlab.speed.compiled import Compiled, compiler_error
from ganlab.speed.graphs import Graphs
from ganlab.speed.recorders import RECORDERS


def speed_up(game: Game) -> None:
    """Compile or record both players' passes if the recipe asks for it. Samples always come from the unchanged networks."""
    train = game.recipe.train
    for player in game.players.values():
        if train.compile:
            player.speed_up(functools.partial(Compiled, announce=game.announce))
        if train.cuda_graphs and game.device.type in RECORDERS:
            player.speed_up(functools.partial(Graphs, device=game.device, announce=game.announce))
    if train.cuda_graphs and game.device.type not in RECORDERS:
        game.announce(f"train.cuda_graphs = true has no effect on the device {game.device}: networks are called without CUDA graphs.")


def explain(error: BaseException, game: Game) -> GanlabError | None:
    """The message for an error that comes from how the networks were called; None for any other error."""
    return compiler_error(error, game.recipe)
