"""What a run does when a step fails: continue where the recipe or a trick allows it, else save what can be saved."""

from __future__ import annotations

from ganlab.errors import GanlabError, NonFiniteError, UsageError
from ganlab.game.out_of_memory import is_memory_error, memory_exhausted
from ganlab.runs.retention import newest_valid
from ganlab.runs.run import Run
from ganlab.speed.choose import explain


def rescued(run: Run, error: Exception) -> bool:
    """Whether the run can continue, because its policy for non-finite numbers or a trick has restored it. Otherwise it is saved.

    Raises:
        MemoryExhausted: in place of the allocator's own error.
        UsageError: in place of the compiler's own error.
    """
    game = run.game
    if isinstance(error, NonFiniteError) and roll_back(run, error):
        return True
    if game.hooks.on_failure(error=error) is True:
        return True
    if type(error) is not GanlabError:  # a plain GanlabError: a file cannot be written, and so neither can a checkpoint
        save(run)
    explained = explain(error, game)
    if explained is not None:
        raise explained from error
    if is_memory_error(error):
        raise memory_exhausted(error, run.recipe, run.device, game.step + game.steps_undone) from error
    return False


def roll_back(run: Run, error: NonFiniteError) -> bool:
    """Restore the last checkpoint with smaller learning rates, if the recipe asks for it and its limit is not reached."""
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
    run.restore(path, state)  # with the learning rates and the count of that step
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
    """Save the end of the last step whose state still exists. If that fails, the last checkpoint stays.

    Checkpoints fall between steps. The step that failed is either complete (a trick raised after its turns, or a turn was not finite,
    which ends a step), or none of its updates has reached the weights and it can be undone: then nothing is lost. Otherwise the
    weights are no longer those of the step before. Copies of them would cost time in each step; the steps since the last checkpoint
    are trained again instead, with the same result.
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
