"""How the rules look at a component or trick: resumed runs, draws, what is called within a turn, waits for the device, lanes."""

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
from ganlab.testing.subject import Subject, see
from ganlab.testing.tiny import catalogue

STOP, LANES, BATCH = 3, 3, 8
#: Hooks that are called within a turn, where nobody waits for the device.
IN_A_TURN = ("may_play", "before_turn", "before_scores", "after_scores", "loss_terms", "before_update", "after_update", "play_again")
#: What a component's methods are called that run within a turn; those of metrics and judges, between two turns.
METHODS = {
    "network": ("forward",),
    "loss": ("real", "fake", "generator", "discriminator"), "noise": ("sample",), "dataset": ("fetch",), "optimizer": ("step",),
    "metric": ("measure",), "judge": ("features", "probabilities"),
}  # fmt: skip


def devices() -> list[str]:
    """The kinds of device that are here, as ``train.device`` takes them: the CPU, and the accelerators."""
    return ["cpu", *(["cuda"] if torch.cuda.is_available() else []), *(["mps"] if torch.backends.mps.is_available() else [])]


# -- resuming --------------------------------------------------------------------------------------------------------------


class StopAt:
    """Ctrl-C in a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    @hookimpl
    def before_turn(self, run: Run, turn: Turn) -> None:
        run.stopping = run.stopping or turn.step == self.step


class VetoAndRepeat:
    """Lets G sit out step 2, and D play twice in step 4."""

    @hookimpl
    def may_play(self, turn: Turn) -> bool:
        return not (turn.step == 2 and turn.role == "generator")

    @hookimpl
    def play_again(self, turn: Turn) -> bool:
        return turn.step == 4 and turn.role == "discriminator" and turn.repeat == 0


def compare_with_resumed(subject: Subject, folder: Path, rule: str, *others: type) -> None:
    """A run that never stops, and one that is stopped between two checkpoints and resumed: equal metrics, equal state."""
    extra = ["train.checkpoint_every=2", "train.log_every=2", "train.sample_every=100"]
    never = subject.run(*(other() for other in others), folder=folder / "never", extra=extra)
    execute(never)
    stopped = subject.run(*(other() for other in others), StopAt(STOP), folder=folder / "stopped", extra=extra)
    execute(stopped)
    workspace = Workspace(stopped.path.parent, tell=lambda text: None, watchers=[other() for other in others])
    resumed = resume_run(find_run(stopped.path.parent, stopped.id), catalogue(subject.plugins), workspace)
    execute(resumed)
    see(_lines(never) == _lines(resumed), subject, rule, "the metrics of a run that was stopped and resumed are others")
    where = _difference(_state(never), _state(resumed))
    see(not where, subject, rule, f"after a stop and a resume, {where} is not what it is without; is all of its state in state_dict?")


def _state(run: Run) -> dict[str, Any]:
    return state_of(run.game, run.written.journal, run.checkpointing.best)


def _lines(run: Run) -> list[Any]:
    found = [json.loads(line) for line in run.folder.lines()] if run.folder is not None else []
    return [(line["step"], line["metrics"]) for line in found]


def _difference(first: Any, second: Any, path: str = "") -> str:
    """Where two trees differ; empty when they do not."""
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        return next((found for key in first if (found := _difference(first[key], second[key], f"{path}/{key}".lstrip("/")))), "")
    if isinstance(first, list | tuple) and isinstance(second, list | tuple) and len(first) == len(second):
        pairs = enumerate(zip(first, second, strict=True))
        return next((found for i, (one, other) in pairs if (found := _difference(one, other, f"{path}/{i}"))), "")
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return "" if first.shape == second.shape and torch.equal(first, second) else path
    return "" if type(first) is type(second) and (first == second or first != first) else path


# -- randomness ------------------------------------------------------------------------------------------------------------


def generators() -> dict[str, Any]:
    """Where the generators that belong to nobody stand."""
    return {"Python's random": random.getstate(), "numpy.random": np.random.get_state(), "torch's default generator": torch.get_rng_state()}


def same_generators(before: dict[str, Any]) -> dict[str, bool]:
    """Which of them still stand where they stood."""
    now = generators()
    python, numpy, torch_ = before.values()
    return {
        "Python's random": python == now["Python's random"],
        "numpy.random": all(np.array_equal(one, other) for one, other in zip(numpy, now["numpy.random"], strict=True)),
        "torch's default generator": torch.equal(torch_, now["torch's default generator"]),
    }


def draws_of(run: Run) -> dict[tuple[str, int, int], Tensor]:
    """All latents of a run, by step and turn, and all real batches in their order: whether a turn is played is for tricks to say."""
    found: dict[tuple[str, int, int], Tensor] = {}
    draws = run.game.draws
    latent, fetch = draws.latent, draws._fetch

    def latents(turn: Turn) -> Tensor:
        drawn = latent(turn)
        found["latent of step", turn.step, turn.index] = drawn.clone()
        return drawn

    def batches() -> Any:
        batch = fetch()
        number = sum(key[0] == "real batch" for key in found) + 1
        found["real batch", number, 0] = batch.images.clone()
        return batch

    draws.latent, draws._fetch = latents, batches  # type: ignore[method-assign]
    execute(run)
    return found


# -- what is called within a turn ------------------------------------------------------------------------------------------


def wrap(subject: Subject, run: Run, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> bool:
    """Put ``wrapper`` around all of the subject that is called within a turn. Whether there is anything."""
    wrapped = False
    if subject.kind == "trick":
        for trick in run.tricks:
            for hook, method in trick.methods().items() if trick.name == subject.name else ():
                if hook in IN_A_TURN:
                    object.__setattr__(trick.instance, hook, functools.wraps(method)(wrapper(method)))
                    wrapped = True
        run.game.hooks = connect(run.tricks, run.game.streams, run.announce, {"run": run})
        return wrapped
    for thing in subject.objects(run):
        for name in METHODS[subject.kind]:
            if callable(getattr(thing, name, None)):
                setattr(thing, name, wrapper(getattr(thing, name)))
                wrapped = True
    return wrapped


# -- lanes -----------------------------------------------------------------------------------------------------------------


def _scores(generator: torch.Generator) -> Tensor:
    return 2 * torch.randn(BATCH, LANES, generator=generator)


def lanes_of_a_loss(subject: Subject, run: Run, rule: str) -> None:
    """Three lanes of scores at once, (batch, lanes), and each alone: the same losses."""
    generator = torch.Generator().manual_seed(0)
    real, fake = _scores(generator), _scores(generator)
    for loss in subject.objects(run)[:1]:
        for name in METHODS["loss"]:
            if not callable(getattr(loss, name, None)):
                continue
            together = getattr(loss, name)(_turn(real, fake))
            alone = [getattr(loss, name)(_turn(real[:, lane], fake[:, lane])) for lane in range(LANES)]
            see(together.shape == (LANES,), subject, rule, f"its {name} of scores {tuple(real.shape)} has shape {tuple(together.shape)}")
            same = torch.allclose(together, torch.stack(alone), rtol=1e-5, atol=1e-6)
            see(same, subject, rule, f"its {name} of {LANES} lanes at once is not what it is of each alone")


def lanes_of_a_score_trick(subject: Subject, run: Run, method: Callable[..., Any], rule: str) -> None:
    """Three lanes of scores at once, (batch, lanes), and each alone: the same scores afterwards."""
    generator = torch.Generator().manual_seed(0)
    real, fake = _scores(generator), _scores(generator)
    wanted = inspect.signature(method).parameters

    def after(real: Tensor, fake: Tensor) -> Turn:
        turn = Turn(run.players["discriminator"], ("real", "fake"), 1, real_scores=real, fake_scores=fake)
        given = {"run": run, "turn": turn}
        method(**{name: given[name] for name in wanted})
        return turn

    together = after(real.clone(), fake.clone())
    alone = [after(real[:, lane].clone(), fake[:, lane].clone()) for lane in range(LANES)]
    for side in ("real_scores", "fake_scores"):
        expected = torch.stack([getattr(turn, side) for turn in alone], dim=-1)
        found = getattr(together, side)
        same = found.shape == expected.shape and torch.allclose(found, expected, rtol=1e-5, atol=1e-6)
        see(same, subject, rule, f"the {side.replace('_', ' ')} of {LANES} lanes at once are not those of each alone")


def _turn(real: Tensor, fake: Tensor) -> Any:
    return SimpleNamespace(real_scores=real, fake_scores=fake, real_target=None, fake_target=None)
