"""What a run does when a step fails: go on where the recipe or a trick says how, else save as much as can be saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganlab.errors import GanlabError, NonFiniteError
from ganlab.game.out_of_memory import in_words, is_memory_error
from ganlab.speed.compiled import explained

if TYPE_CHECKING:
    from ganlab.runs.run import Run


def rescued(run: Run, error: Exception) -> bool:
    """Whether the run can go on: its policy for numbers that are not finite, or a trick, has put it right. If not, it is saved.

    Raises:
        MemoryExhausted: in place of an allocator's own error.
        UsageError: in place of the compiler's own.
    """
    if isinstance(error, NonFiniteError) and run.guard.roll_back(error):
        return True
    if run.hooks.on_failure(run=run, error=error) is True:
        return True
    if type(error) is not GanlabError:  # which a file that cannot be written is: a checkpoint could not be, either
        save(run)
    words = explained(error, run)
    if words is not None:
        raise words from error
    if is_memory_error(error):
        raise in_words(error, run.recipe, run.device, run.step + run.undone) from error
    return False


def save(run: Run) -> None:
    """A checkpoint of the end of the last step whose state is still there; one that cannot be had leaves the last checkpoint.

    Checkpoints fall between steps. The step that failed is over (a trick raised after its turns, or a turn was not finite, which
    ends a step), or no update of it has reached the weights yet, and it can be undone: then nothing is lost. Otherwise the weights
    are no longer those of the step before. Copies of them would cost each step time; the steps since the last checkpoint can be
    played again instead, and end as they did.
    """
    if run.folder is None or not (run.whole or undo_step(run)) or not run.step:
        return
    if run.folder.checkpoint_path(run.step) in run.checkpoints():
        return
    try:
        run.save_checkpoint()
    except Exception as error:
        why = error.message if isinstance(error, GanlabError) else f"{type(error).__name__}: {error}"
        run.tell(f"No checkpoint of step {run.step} could be saved: {why}")


def undo_step(run: Run) -> bool:
    """Make the state that of the end of the step before, if that can be done: no player has been updated in this step.

    The state of tricks is theirs: it changes in after_update and after_step, as the manual of hooks says.
    """
    mark, guard = run.mark, run.guard
    if mark is None or guard.updated or not guard.undo_passes() or not run.metrics.back(mark.metrics):
        return False
    run.draws.go_to(mark.batches_drawn)
    run.step -= 1
    run.undone = 1
    run.whole = True
    return True
