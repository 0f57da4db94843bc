"""How the rules observe a component or trick: resumed runs, random draws, calls within a turn, lanes of scores."""

from __future__ import annotations

import functools
import inspect
import json
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
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

STOP, LANES, BATCH = 3, 3, 8
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


def generators() -> dict[str, Any]:
    """The states of the global random generators, by name."""
    return {"Python's random": random.getstate(), "numpy.random": np.random.get_state(), "torch's default generator": torch.get_rng_state()}


def same_generators(before: dict[str, Any]) -> dict[str, bool]:
    """For each global generator, whether its state is still that in ``before``."""
    now = generators()
    python, numpy, torch_ = before.values()
    return {
        "Python's random": python == now["Python's random"],
        "numpy.random": all(np.array_equal(a, b) for a, b in zip(numpy, now["numpy.random"], strict=True)),
        "torch's default generator": torch.equal(torch_, now["torch's default generator"]),
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


# -- lanes -----------------------------------------------------------------------------------------------------------------


def _scores(generator: torch.Generator) -> Tensor:
    return 2 * torch.randn(BATCH, LANES, generator=generator)


def lanes_of_a_loss(subject: Subject, run: Run, rule: str) -> None:
    """Require that a loss gives the same for several lanes of scores at once, (batch, lanes), as for each lane alone."""
    generator = torch.Generator().manual_seed(0)
    real, fake = _scores(generator), _scores(generator)
    for loss in subject.objects(run)[:1]:
        for name in METHODS["loss"]:
            if not callable(getattr(loss, name, None)):
                continue
            together = getattr(loss, name)(_turn(real, fake))
            alone = [getattr(loss, name)(_turn(real[:, lane], fake[:, lane])) for lane in range(LANES)]
            require(
                together.shape == (LANES,), subject, rule, f"its {name} of scores {tuple(real.shape)} has shape {tuple(together.shape)}"
            )
            same = torch.allclose(together, torch.stack(alone), rtol=1e-5, atol=1e-6)
            require(same, subject, rule, f"its {name} of {LANES} lanes at once differs from that of each lane alone")


def lanes_of_a_score_trick(subject: Subject, run: Run, method: Callable[..., Any], rule: str) -> None:
    """Require that a trick's ``after_scores`` changes several lanes of scores, (batch, lanes), as it changes each lane alone."""
    generator = torch.Generator().manual_seed(0)
    real, fake = _scores(generator), _scores(generator)
    parameters = inspect.signature(method).parameters

    def after(real: Tensor, fake: Tensor) -> Turn:
        turn = Turn(run.players["discriminator"], ("real", "fake"), 1, real_scores=real, fake_scores=fake)
        arguments = {"run": run, "turn": turn}
        method(**{name: arguments[name] for name in parameters})
        return turn

    together = after(real.clone(), fake.clone())
    alone = [after(real[:, lane].clone(), fake[:, lane].clone()) for lane in range(LANES)]
    for side in ("real_scores", "fake_scores"):
        expected = torch.stack([getattr(turn, side) for turn in alone], dim=-1)
        actual = getattr(together, side)
        same = actual.shape == expected.shape and torch.allclose(actual, expected, rtol=1e-5, atol=1e-6)
        require(same, subject, rule, f"the {side.replace('_', ' ')} of {LANES} lanes at once differ from those of each lane alone")


def _turn(real: Tensor, fake: Tensor) -> Any:
    return SimpleNamespace(real_scores=real, fake_scores=fake, real_target=None, fake_target=None)
