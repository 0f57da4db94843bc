"""The rules that components and tricks keep, each as a check of a subject in an empty folder."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import PluginError
from ganlab.game.player import Player
from ganlab.game.random_streams import default_generators_restored
from ganlab.recipe import load_recipe, to_toml
from ganlab.runs.training import execute
from ganlab.testing import probes
from ganlab.testing.probes import (
    VetoAndRepeat,
    compare_with_resumed,
    draws_of,
    generators,
    lanes_of_a_loss,
    lanes_of_a_score_trick,
    same_generators,
    wrap,
)
from ganlab.testing.subject import MEASURED, Subject, see
from ganlab.testing.tiny import catalogue
from ganlab.testing.waits import Waits


def options_round_trip(subject: Subject, folder: Path) -> None:
    """Its options survive a resolved recipe: written to TOML and read again, they are the same."""
    run = subject.run(folder=folder)
    again = load_recipe(run.path / "recipe.toml", catalogue(subject.plugins))
    see(to_toml(again) == to_toml(run.recipe), subject, "options_round_trip", "its resolved recipe is another one when it is read again")
    for choice, same in zip(subject.choices(run.recipe), subject.choices(again), strict=True):
        see(same.options == choice.options, subject, "options_round_trip", f"options {choice.options} come back as {same.options}")


def resumes_exactly(subject: Subject, folder: Path) -> None:
    """Stopped between two checkpoints and resumed, it ends as if it had never stopped: weights, state, metrics."""
    compare_with_resumed(subject, folder, "resumes_exactly")


def survives_veto_and_repeat(subject: Subject, folder: Path) -> None:
    """Turns that other tricks veto or repeat do it no harm, and it resumes exactly also then."""
    compare_with_resumed(subject, folder, "survives_veto_and_repeat", VetoAndRepeat)


def moves_no_other_randomness(subject: Subject, folder: Path) -> None:
    """What others draw is not changed by it: Python's, NumPy's and torch's default generators, latents and the order of the data."""
    rule = "moves_no_other_randomness"
    before = generators()
    drawn = draws_of(subject.run(folder=folder))
    for name, same in same_generators(before).items():
        see(same, subject, rule, f"it draws from {name}, which belongs to nobody; torch's default generator is seeded for each call")
    if subject.kind != "trick":
        return
    plain = draws_of(subject.without(folder))
    for key in sorted(plain.keys() & drawn.keys(), key=lambda key: key[1:]):
        same = plain[key].shape != drawn[key].shape or torch.equal(plain[key], drawn[key])
        see(same, subject, rule, f"with it, {key[0]} {key[1]} is another one")


def makes_one_pass_of_many(subject: Subject, folder: Path) -> None:
    """A network's method ``in_one_pass``, if it has one, gives what calls with each part give, random numbers and gradients included."""
    if subject.kind != "network":
        return
    run = subject.run(folder=folder, extra=["train.dtype=float64"])
    player = run.players["discriminator"]
    player.mode(True)
    with default_generators_restored(run.device):
        run.game.streams.reseed(2)
        parts = [torch.randn(4, *run.dataset.shape, device=run.device, dtype=run.dtype) for _ in range(2)]
        together = player.in_one_pass(parts, run.game.streams.reseed)
        if together is None:
            return
        alone = []
        for number, part in enumerate(parts):
            run.game.streams.reseed(number)
            alone.append(player(part))
    together = [one.mul_(1) for one in together]  # as a trick may: of some views torch refuses it
    for one, other in zip(_with_gradients(together, player), _with_gradients(alone, player), strict=True):
        same = one.shape == other.shape and torch.allclose(one, other, rtol=1e-9, atol=1e-12)
        see(same, subject, "makes_one_pass_of_many", "its in_one_pass gives other results, or other gradients, than a call with each part")


def _with_gradients(results: list[Tensor], player: Player) -> list[Tensor]:
    """Results of several passes, and what the weights' gradients are if each of them counts for something else."""
    total = sum((result.square().sum() * (number + 1) for number, result in enumerate(results)), start=torch.zeros(()))
    return [*results, *torch.autograd.grad(total, player.parameters, materialize_grads=True)]


def waits_for_no_device(subject: Subject, folder: Path) -> None:
    """Nothing in a turn brings a value to the host (``.item()``, ``if tensor:``), unless its class says why in ``host_sync``."""
    if subject.kind in MEASURED:
        return  # which are not asked within a turn
    run = subject.run(folder=folder)
    things = subject.objects(run)
    if any(getattr(thing, "host_sync", "") for thing in things):
        return
    waits = Waits(things if subject.kind == "optimizer" else [])
    wrap(subject, run, waits.around)
    execute(run)
    text = "it waits for the device within a turn"
    see(not waits.seen, subject, "waits_for_no_device", f"{text} ({', '.join(sorted(waits.seen))}); say why in `host_sync` if it must")


def reduces_over_the_batch_only(subject: Subject, folder: Path) -> None:
    """Of scores (batch, lanes) it makes what it makes of each lane alone: it reduces over dim 0, and nothing else."""
    rule = "reduces_over_the_batch_only"
    if subject.kind == "loss":
        lanes_of_a_loss(subject, subject.run(folder=folder), rule)
    elif subject.kind == "trick":
        run = subject.run(folder=folder)
        for trick in run.tricks:
            if trick.name == subject.name and "after_scores" in trick.methods():
                lanes_of_a_score_trick(subject, run, trick.methods()["after_scores"], rule)


def works_in_every_precision(subject: Subject, folder: Path) -> None:
    """It trains in float64, in bfloat16 autocast, and on each device that is there; what it leaves is finite."""
    ways = [*([f"train.device={device}"] for device in probes.devices()), ["train.dtype=float64"], ["train.autocast=bfloat16"]]
    for way in ways:
        run = subject.run(folder=folder, extra=["train.steps=2", *way])
        execute(run)
        finite = all(bool(p.isfinite().all()) for player in run.players.values() for p in player.parameters)
        see(finite, subject, "works_in_every_precision", f"with {way[0]} the weights are not finite after two steps")
        if subject.kind in MEASURED:
            values = run.evaluations.final.values if run.evaluations.final else {}
            finite = bool(values) and all(math.isfinite(value) for value in values.values())
            see(finite, subject, "works_in_every_precision", f"with {way[0]} it gives {values or 'nothing'}")


def errors_name_it(subject: Subject, folder: Path) -> None:
    """When it raises, the error says who it was: it lets no exception of its own pass as somebody else's, or pass unseen."""
    run = subject.run(folder=folder)

    def failing(_function: Callable[..., Any]) -> Callable[..., Any]:
        def fail(*given: Any, **named: Any) -> Any:
            raise ArithmeticError("made up by the conformance kit")

        return fail

    if not wrap(subject, run, failing):
        return
    if subject.kind in MEASURED:  # training goes on without it, and says so
        execute(run)
        told = [text for text in run.info["announcements"] if f"{subject.kind} '{subject.name}'" in text and "made up" in text]
        see(bool(told), subject, "errors_name_it", f"no announcement names it: {run.info['announcements']}")
        return
    try:
        execute(run)
    except PluginError as error:
        owner = {"network": subject.name, "optimizer": "optimizer"}.get(subject.kind, f"{subject.kind} '{subject.name}'")
        see(owner in error.message, subject, "errors_name_it", f"the error does not name it: {error.message}")
    else:
        see(False, subject, "errors_name_it", "an exception in it went unseen")


#: All rules by name, in the order in which they are checked.
RULES: dict[str, Callable[[Subject, Path], None]] = {
    check.__name__: check
    for check in (
        options_round_trip, works_in_every_precision, reduces_over_the_batch_only, moves_no_other_randomness, makes_one_pass_of_many,
        waits_for_no_device, resumes_exactly, survives_veto_and_repeat, errors_name_it,
    )
}  # fmt: skip
