"""THE loop: how adversarial training goes on, whatever the recipe. Players are data here, not branches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from ganlab.errors import PluginError
from ganlab.game.moves import draw, fake, loss_terms, score, total
from ganlab.game.turn import Turn

if TYPE_CHECKING:
    from ganlab.runs.run import Run

MOST_REPEATS = 10_000  # of one turn in one step: a trick that never has enough is broken


def train(run: Run) -> None:
    """Play the game until the budget is spent or the run is asked to stop."""
    for step in run.steps():
        for group in plan(run, step):
            run.guard.begin_group()
            for turn in group:
                compute(run, turn)
            for turn in group:
                apply(run, turn)
        run.finish_step(step)


def plan(run: Run, step: int) -> Iterator[list[Turn]]:
    """The groups of turns of one step. Turns of a group are all computed before any is applied.

    After a group, each of its players is asked for again, alone, as long as a trick wants it and none vetoes it.
    """
    index = 0
    planned = run.hooks.plan_step(run=run, step=step)
    for parts in run.groups if planned is None else planned:
        if run.guard.halted:  # numbers were not finite: the step ends here
            return
        group = []
        for part in parts:
            turn = Turn(run.players[part.player], part.sides, step, index)
            if may_play(run, turn):
                group.append(turn)
                index += 1
        if group:
            yield group
        for turn in group:
            while not run.guard.halted and any(run.hooks.play_again(run=run, turn=turn)):
                turn = Turn(turn.player, turn.sides, step, index, turn.repeat + 1)
                if turn.repeat > MOST_REPEATS:
                    raise PluginError(
                        f"the {turn.role}'s turn was repeated {MOST_REPEATS} times in step {step}", "a trick's play_again never ends"
                    )
                if not may_play(run, turn):
                    break
                index += 1
                yield [turn]


def may_play(run: Run, turn: Turn) -> bool:
    """Whether no trick vetoes the turn."""
    run.at(turn)
    answers = run.hooks.may_play(run=run, turn=turn)  # pluggy leaves out None
    if all(answers):
        return True
    run.vetoed_by[turn.role] = [answer.trick for answer in answers if not answer]
    return False


def compute(run: Run, turn: Turn) -> None:
    """One player's gradients: draw, make fakes, score, lose, differentiate. No parameter moves."""
    run.at(turn)
    run.hooks.before_turn(run=run, turn=turn)
    for player in run.players.values():
        player.learn(player is turn.player)
    draw(run, turn)
    fake(run, turn)
    run.hooks.before_scores(run=run, turn=turn)
    score(run, turn)
    run.hooks.after_scores(run=run, turn=turn)
    turn.loss_terms = loss_terms(run, turn)
    run.hooks.loss_terms(run=run, turn=turn)
    turn.loss = total(run, turn)
    turn.player.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(turn.loss)
    run.note_losses(turn)
    run.hooks.before_update(run=run, turn=turn)


def apply(run: Run, turn: Turn) -> None:
    """One player's update, unless its numbers are not finite."""
    run.at(turn)
    run.streams.reseed(run.bases["optimizer"])
    run.guard.update(turn)
    run.hooks.after_update(run=run, turn=turn)
