"""How the rules observe a component or trick: resumed runs, random draws, calls within a turn."""

from __future__ import annotations

import functools
import json
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.game.hooks import connect
from ganlab.game.turn import Turn
from ganlab.hookspecs import hookimpl
from ganlab.records.summaries import find_run
from ganlab.runs.resume import resume_run
from ganlab.runs.run import Run
from ganlab.runs.state import state_of
from ganlab.runs.training import execute
from ganlab.runs.workspace import Workspace
from ganlab.testing.subject import Subject, require
from ganlab.testing.tiny import catalogue

STOP = 3
#: Hooks that are called within a turn, which must not wait for the device.
IN_A_TURN = ("may_play", "before_turn", "before_scores", "after_scores", "loss_terms", "before_update", "after_update", "play_again")
#: The methods of components that are called within a turn; those of metrics and judges are called between turns.
METHODS = {
    "network": ("forward",),
    "loss": ("real", "fake", "generator", "discriminator"), "noise": ("sample",), "dataset": ("fetch",), "optimizer": ("step",),
    "metric": ("measure",), "judge": ("features", "probabilities"),
}  # fmt: skip


def devices() -> list[str]:
    """The available kinds of device, as values of ``train.device``: the CPU, and the accelerators."""
    return ["cpu", *(["cuda"] if torch.cuda.is_available() else []), *(["mps"] if torch.backends.mps.is_available() else [])]


# -- resuming --------------------------------------------------------------------------------------------------------------


class StopAt:
    """A trick that stops the run in a step, as Ctrl-C does."""

    def __init__(self, step: int) -> None:
        self.step = step

    @hookimpl
    def before_turn(self, run: Run, turn: Turn) -> None:
        if turn.step == self.step:
            run.stop()


class VetoAndRepeat:
    """A trick that vetoes G's turn in step 2, and repeats D's turn in step 4."""

    @hookimpl
    def may_play(self, turn: Turn) -> bool:
        return not (turn.step == 2 and turn.role == "generator")

    @hookimpl
    def play_again(self, turn: Turn) -> bool:
        return turn.step == 4 and turn.role == "discriminator" and turn.repeat == 0


def compare_with_resumed(subject: Subject, folder: Path, rule: str, *tricks: type) -> None:
    """Require that a run that is stopped between two checkpoints and resumed has the metrics and state of one that never stopped.

    Args:
        tricks: classes of further tricks in both runs.
    """
    extra = ["train.checkpoint_every=2", "train.log_every=2", "train.sample_every=100"]
    uninterrupted = subject.run(*(trick() for trick in tricks), folder=folder / "uninterrupted", extra=extra)
    execute(uninterrupted)
    stopped = subject.run(*(trick() for trick in tricks), StopAt(STOP), folder=folder / "stopped", extra=extra)
    execute(stopped)
    workspace = Workspace(stopped.path.parent, tell=lambda text: None, watchers=[trick() for trick in tricks])
    resumed = resume_run(find_run(stopped.path.parent, stopped.id), catalogue(subject.plugins), workspace)
    execute(resumed)
    require(_lines(uninterrupted) == _lines(resumed), subject, rule, "the metrics of a run that was stopped and resumed differ")
    difference = first_difference(_state(uninterrupted), _state(resumed))
    require(not difference, subject, rule, f"{difference} differs after a stop and a resume; is all of its state in state_dict?")


def _state(run: Run) -> dict[str, Any]:
    return state_of(run.game, run.written.journal, run.checkpointing.best)


def _lines(run: Run) -> list[Any]:
    lines = [json.loads(line) for line in run.folder.lines()] if run.folder is not None else []
    return [(line["step"], line["metrics"]) for line in lines]


def first_difference(first: Any, second: Any, path: str = "") -> str:
    """The path of the first difference between two trees of tensors and plain data; empty if they are equal."""
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        differences = (first_difference(first[key], second[key], f"{path}/{key}".lstrip("/")) for key in first)
        return next(filter(None, differences), "")
    if isinstance(first, list | tuple) and isinstance(second, list | tuple) and len(first) == len(second):
        pairs = enumerate(zip(first, second, strict=True))
        return next(filter(None, (first_difference(a, b, f"{path}/{index}") for index, (a, b) in pairs)), "")
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return "" if first.shape == second.shape and torch.equal(first, second) else path
    return "" if type(first) is type(second) and (first == second or first != first) else path


# -- randomness ------------------------------------------------------------------------------------------------------------


def generators() -> dict[str, object]:
    """The states of the global random generators, by name."""
    return {
        "Python's random": random.getstate(),
        "numpy.random": pickle.dumps(np.random.get_state()),
        "torch's default generator": torch.get_rng_state().tolist(),
    }


def draws_of(run: Run) -> dict[tuple[str, int, int], Tensor]:
    """Execute a run and record what it draws: latents by step and turn, real batches in their order.

    Real batches have no step here, since tricks decide which turns are played.
    """
    drawn: dict[tuple[str, int, int], Tensor] = {}
    draws = run.game.draws
    latent, fetch = draws.latent, draws._fetch

    def latents(turn: Turn) -> Tensor:
        latents_of_turn = latent(turn)
        drawn["latent of step", turn.step, turn.index] = latents_of_turn.clone()
        return latents_of_turn

    def batches() -> Any:
        batch = fetch()
        number = sum(key[0] == "real batch" for key in drawn) + 1
        drawn["real batch", number, 0] = batch.images.clone()
        return batch

    draws.latent, draws._fetch = latents, batches  # type: ignore[method-assign]
    execute(run)
    return drawn


# -- calls within a turn ------------------------------------------------------------------------------------------


def wrap(subject: Subject, run: Run, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> bool:
    """Wrap every method of the subject that is called within a turn. Returns whether there is any."""
    wrapped = False
    if subject.kind == "trick":
        for trick in run.tricks:
            for hook, method in trick.methods().items() if trick.name == subject.name else ():
                if hook in IN_A_TURN:
                    object.__setattr__(trick.instance, hook, functools.wraps(method)(wrapper(method)))
                    wrapped = True
        run.game.hooks = connect(run.tricks, run.game.streams, run.announce, {"run": run})
        return wrapped
    for instance in subject.objects(run):
        for name in METHODS[subject.kind]:
            if callable(getattr(instance, name, None)):
                setattr(instance, name, wrapper(getattr(instance, name)))
                wrapped = True
    return wrapped
