"""Training a run: to the end of its budget, to a signal, or to a failure."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from ganlab.errors import GanlabError
from ganlab.game.loop import play_step
from ganlab.game.precision import tf32
from ganlab.game.random_streams import default_generators_restored
from ganlab.generators.description import description
from ganlab.runs.rescue import rescued
from ganlab.runs.run import Run
from ganlab.runs.signals import ended_by_signals
from ganlab.storage import checkpoint


def execute(run: Run, leave: Callable[[Run], None] | None = None) -> str:
    """Train, to the end of the budget, to a signal or to a failure; ``after_run`` is called and run.json written in any case.

    Args:
        run: built, by :func:`ganlab.runs.start.open_run` or :func:`ganlab.runs.resume.resume_run`.
        leave: what a second Ctrl-C does; None raises KeyboardInterrupt.

    Returns:
        ``"finished"`` or ``"interrupted"``.

    Raises:
        GanlabError, or whatever a step raised: status is then ``"failed"``.
    """
    run.info |= {"status": "running", "started": run.info.get("started") or time.time()}
    with ended_by_signals(run, leave):
        return _execute(run)


def _execute(run: Run) -> str:
    """Train, and close the run in any case."""
    status = "failed"
    try:
        with default_generators_restored(run.device), tf32(run.recipe.train.tf32):
            _train(run)
        status = "finished" if run.is_complete and not run.evaluations.cut_short else "interrupted"
    except KeyboardInterrupt:  # the second one: leave at once, with the last checkpoint
        status = "interrupted"
        raise
    except BaseException as error:
        run.info["failure"] = f"{type(error).__name__}: {error}"
        raise
    finally:
        _close(run, status)
    return status


def _train(run: Run) -> None:
    run.save_info()
    run.game.hooks.before_run()
    run.checkpointing.start_training()
    if run.resumed_from is None:
        run.timetable.draw_sheet()
    else:
        run.evaluations.catch_up()
    while True:
        try:
            play(run)
            run.game.guard.settle(due=True)
            break
        except Exception as error:
            if not rescued(run, error):
                raise
    run.timetable.clock.stop(run.step)
    if run.step >= run.total_steps:
        run.stopping = False  # a trick that ends the run in its last step ends nothing early
    elif run.stopping:
        run.announce(f"At step {run.step:,} of {run.total_steps:,}, {run.written.info.ended_by} ended the run.")
    if run.step < run.total_steps:
        run.checkpointing.save()
    if run.folder is not None:
        checkpoint.save(run.folder.generator, description(run.game), "generator")
    if run.is_complete:
        run.evaluations.at_end()


def play(run: Run) -> None:
    """Play the game until the budget is spent or the run is asked to stop."""
    for step in run.steps():
        play_step(run.game, step)
        run.timetable.after_step(step)


def _close(run: Run, status: str) -> None:
    run.info |= {"status": status, "ended": time.time()}
    with suppress(GanlabError, OSError):  # a full disk must not hide the first error
        run.save_info()
    with default_generators_restored(run.device):
        raised = run.game.hooks.call_each("after_run", status=status)
    for error in raised:
        run.tell(f"The run is {status}, but at its end {error}")
    with suppress(GanlabError, OSError):
        run.save_info()
    if run.folder is not None:
        run.folder.unlock()
