"""What a run does when a step fails: go on where the recipe or a trick says how, else save as much as can be saved."""

from __future__ import annotations

from ganlab.errors import GanlabError, NonFiniteError, UsageError
from ganlab.game.out_of_memory import is_memory_error, memory_exhausted
from ganlab.runs.retention import newest_valid
from ganlab.runs.run import Run
from ganlab.speed.choose import explain


def rescued(run: Run, error: Exception) -> bool:
    """Whether the run can go on: its policy for numbers that are not finite, or a trick, has put it right. If not, it is saved.

    Raises:
        MemoryExhausted: in place of an allocator's own error.
        UsageError: in place of the compiler's own.
    """
    game = run.game
    if isinstance(error, NonFiniteError) and roll_back(run, error):
        return True
    if game.hooks.on_failure(error=error) is True:
        return True
    if type(error) is not GanlabError:  # which a file that cannot be written is: a checkpoint could not be, either
        save(run)
    explained = explain(error, game)
    if explained is not None:
        raise explained from error
    if is_memory_error(error):
        raise memory_exhausted(error, run.recipe, run.device, game.step + game.steps_undone) from error
    return False


def roll_back(run: Run, error: NonFiniteError) -> bool:
    """Go back to the last checkpoint with smaller learning rates, if the recipe says so, and not too often."""
    guard = run.game.guard
    times = guard.times + 1
    if guard.policy != "rollback" or times > guard.most or run.folder is None or not run.checkpoints():
        return False
    try:
        path, state, skipped = newest_valid(run.folder)
    except UsageError as damaged:
        run.tell(damaged.message)
        return False
    for text in skipped:
        run.announce(text)
    run.restore(path, state)  # its learning rates are those of its moment, and so is its count
    factor = run.recipe.train.rollback_lr_factor
    for player in run.players.values():
        for group in player.optimizer.param_groups:
            group["lr"] *= factor ** (times - guard.times)
    guard.times = times
    run.announce(
        f"{error.message}. The run went back to step {run.step} and continues with learning rates multiplied by {factor} "
        f"({times} of at most {guard.most} times)."
    )
    return True


def save(run: Run) -> None:
    """A checkpoint of the end of the last step whose state is still there; one that cannot be had leaves the last checkpoint.

    Checkpoints fall between steps. The step that failed is over (a trick raised after its turns, or a turn was not finite, which
    ends a step), or no update of it has reached the weights yet, and it can be undone: then nothing is lost. Otherwise the weights
    are no longer those of the step before. Copies of them would cost each step time; the steps since the last checkpoint can be
    played again instead, and end as they did.
    """
    game = run.game
    if run.folder is None or not (game.step_is_complete or game.undo_step()) or not game.step:
        return
    if run.folder.checkpoint_path(game.step) in run.checkpoints():
        return
    try:
        run.checkpointing.save()
    except Exception as failure:
        why = failure.message if isinstance(failure, GanlabError) else f"{type(failure).__name__}: {failure}"
        run.tell(f"No checkpoint of step {game.step} could be saved: {why}")
