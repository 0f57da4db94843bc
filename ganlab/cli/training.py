"""Train a run in the terminal and say how to resume it when it stops; ``run`` and ``resume`` share this."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from ganlab.cli.exit_codes import INTERRUPTED, SIGNALLED
from ganlab.errors import GanlabError, PluginError
from ganlab.records.folder import step_of
from ganlab.records.run_info import CLOSING
from ganlab.runs.run import Run
from ganlab.runs.training import execute
from ganlab.screen.terminal import Display, command, write_at_once

SHOW_CURSOR = b"\x1b[?25h"  # the live display hides it


def train(run: Run, display: Display) -> None:
    """Train a run and show how it ended.

    Raises:
        GanlabError: the run failed; the hint says how to resume it.
        SystemExit: a signal interrupted the run; the exit code names the signal.
    """
    try:
        status = execute(run, exit_at_once)
    except GanlabError as error:
        error.hint = "\n".join([*([error.hint] if error.hint else []), *resume_hints(run, error)])
        raise
    display.show_end(run, status)
    if status == "interrupted":
        raise SystemExit(SIGNALLED + int(signal.Signals[run.info.get("signal") or "SIGINT"]))


def exit_at_once(run: Run) -> NoReturn:
    """Say what is saved and end the process at once, on a second Ctrl-C. The run's folder survives this as it survives a kill."""
    os.write(2, SHOW_CURSOR if sys.stderr.isatty() else b"")
    write_at_once(f"\nstopped at once. {_state_in_words(run)}\n")
    os._exit(INTERRUPTED)


def _state_in_words(run: Run) -> str:
    names, resume = [path.name for path in run.checkpoints()], command(run, "resume", run.id)
    if run.info["status"] == "finished":
        return f"The run is finished. To send what has not been delivered: {command(run, 'sync', run.id)}"
    if not names:
        return "The run is not finished: it has no checkpoint yet"
    if run.info["status"] == CLOSING:
        return f"The run is trained, but not finished; to complete it: {resume}"
    return f"The run is not finished: its last checkpoint is {names[-1]}; to resume from it: {resume}"


def resume_hints(run: Run, error: GanlabError) -> list[str]:
    """Return the lines that say which checkpoint a failed run has, and which commands resume it."""
    checkpoints = run.checkpoints()
    if not checkpoints:
        removed = bool(run.info.get("last_checkpoint"))  # somebody has removed the files
        if removed or run.step <= 1 or not run.path.is_dir():
            return []
        interval = f"one is saved every {run.checkpointing.every:,} steps: train.checkpoint_every"
        return [f"The run cannot be resumed: it has no checkpoint yet ({interval})"]
    steps = run.step - step_of(checkpoints[-1])
    lost = f", {steps} step{'s' * (steps > 1)} before the one that failed (resuming repeats them)" if steps else ""
    resume = command(run, "resume", run.id)
    hints = [f"The run's last checkpoint is {checkpoints[-1].name}{lost}; to resume from it: {resume}"]
    if isinstance(error, PluginError) and error.trick:
        files = {str(file.path): file.path.name for file in run.recipe.plugins}
        for choice in (choice for choice in run.recipe.tricks if choice.name == error.trick):
            if choice.entry.origin in files:
                hints.append(f"After you fix {files[choice.entry.origin]}: {resume} --changed")
            hints.append(f"To resume without the trick: {resume} --changed --set {choice.table}.enabled=false")
    return hints
