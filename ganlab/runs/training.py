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
from ganlab.records.run_info import CLOSING
from ganlab.runs.rescue import rescued
from ganlab.runs.run import Run
from ganlab.runs.signals import ended_by_signals
from ganlab.storage import checkpoint


def execute(run: Run, leave: Callable[[Run], None] | None = None) -> str:
    """Train, to the end of the budget, to a signal or to a failure; the last hooks are called and run.json is written in any case.

    A run is finished when everything in its folder is there. From the end of its training until then its status is ``"closing"``; if its
    process ends meanwhile, a resume does what is missing.

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
        try:
            _close(run, status)
        finally:
            if run.folder is not None:
                run.folder.unlock()
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
    if run.is_complete:
        run.info["status"] = CLOSING
        run.save_info()
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
    """Call the hook ``after_run``, write the status, and call ``deliver``.

    Raises:
        GanlabError: the status of a finished run cannot be written, so it is not finished.
    """
    run.info |= {"status": CLOSING if status == "finished" else status, "ended": time.time()}
    _save(run)
    for error in _call_each(run, "after_run", status):
        with suppress(GanlabError, OSError):
            run.announce(f"The run is {status}, but at its end {error}")
    run.info["status"] = status
    if status == "finished":
        run.save_info()
    else:
        _save(run)
    for error in _call_each(run, "deliver", status):
        run.tell(f"The run is {status}, but when it was delivered {error}")


def _call_each(run: Run, hook: str, status: str) -> list[Exception]:
    with default_generators_restored(run.device):
        return run.game.hooks.call_each(hook, status=status)


def _save(run: Run) -> None:
    """Write run.json if that is possible: a full disk must not hide the first error."""
    with suppress(GanlabError, OSError):
        run.save_info()
