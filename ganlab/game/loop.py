"""The loop: one step of adversarial training, for every recipe. Both players take the same path; there are no branches for them."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ganlab.errors import PluginError
from ganlab.game.game import Game
from ganlab.game.moves import draw, fake, loss_terms, score, total
from ganlab.game.turn import Turn

MOST_REPEATS = 10_000  # of one turn in one step: a trick that asks for more is broken


def play_step(game: Game, step: int) -> None:
    """Play one step: all its groups of turns."""
    for group in plan(game, step):
        game.guard.begin_group()
        for turn in group:
            compute(game, turn)
        for turn in group:
            apply(game, turn)


def plan(game: Game, step: int) -> Iterator[list[Turn]]:
    """The groups of turns of one step. All turns of a group are computed before any of them is applied.

    After a group, each of its turns is repeated in a group of its own as long as a trick asks for it and no trick vetoes it.
    """
    index = 0
    planned = game.hooks.plan_step(step=step)
    for parts in game.groups if planned is None else planned:
        if game.guard.halted:  # a turn was not finite: the step ends here
            return
        group = []
        for part in parts:
            turn = Turn(game.players[part.player], part.sides, step, index)
            if may_play(game, turn):
                group.append(turn)
                index += 1
        if group:
            yield group
        for turn in group:
            while not game.guard.halted and any(game.hooks.play_again(turn=turn)):
                turn = Turn(turn.player, turn.sides, step, index, turn.repeat + 1)
                if turn.repeat > MOST_REPEATS:
                    raise PluginError(
                        f"the {turn.role}'s turn was repeated {MOST_REPEATS} times in step {step}",
                        "a trick's play_again never returns False",
                    )
                if not may_play(game, turn):
                    break
                index += 1
                yield [turn]


def may_play(game: Game, turn: Turn) -> bool:
    """Whether the turn is played: no trick vetoes it."""
    game.set_moment(turn)
    votes = game.hooks.may_play(turn=turn)  # pluggy leaves out None
    if all(votes):
        return True
    game.vetoed_by[turn.role] = [vote.trick for vote in votes if not vote]
    return False


def compute(game: Game, turn: Turn) -> None:
    """Compute one player's gradients: draw, make fakes, score, compute the loss, backpropagate. No parameter changes."""
    game.set_moment(turn)
    game.hooks.before_turn(turn=turn)
    for player in game.players.values():
        player.learn(player is turn.player)
    draw(game, turn)
    fake(game, turn)
    game.hooks.before_scores(turn=turn)
    score(game, turn)
    game.hooks.after_scores(turn=turn)
    turn.loss_terms = loss_terms(game, turn)
    game.hooks.loss_terms(turn=turn)
    turn.loss = total(game, turn)
    turn.player.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(turn.loss)
    game.record_losses(turn)
    game.hooks.before_update(turn=turn)


def apply(game: Game, turn: Turn) -> None:
    """Update one player, unless its loss or a gradient is not finite."""
    game.set_moment(turn)
    game.streams.reseed(game.bases["optimizer"])
    game.guard.update(turn)
    game.hooks.after_update(turn=turn)
