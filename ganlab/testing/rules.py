"""The rules for components and tricks. Each rule is a function that checks a subject in an empty folder, and raises BrokenRule."""

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
from ganlab.testing.probes import VetoAndRepeat, compare_with_resumed, devices, draws_of, generators, wrap
from ganlab.testing.subject import MEASURED, Subject, require
from ganlab.testing.tiny import catalogue
from ganlab.testing.waits import Waits


def options_round_trip(subject: Subject, folder: Path) -> None:
    """Its options survive a resolved recipe: written to TOML and read again, they are equal."""
    run = subject.run(folder=folder)
    again = load_recipe(run.path / "recipe.toml", catalogue(subject.plugins))
    require(to_toml(again) == to_toml(run.recipe), subject, "options_round_trip", "its resolved recipe changes when it is read again")
    for choice, reread in zip(subject.choices(run.recipe), subject.choices(again), strict=True):
        require(
            reread.options == choice.options, subject, "options_round_trip", f"options {choice.options} are read again as {reread.options}"
        )


def resumes_exactly(subject: Subject, folder: Path) -> None:
    """A run that is stopped between two checkpoints and resumed equals one that never stopped: weights, state, metrics."""
    compare_with_resumed(subject, folder, "resumes_exactly")


def survives_veto_and_repeat(subject: Subject, folder: Path) -> None:
    """It works if other tricks veto or repeat turns, and then resumes exactly, too."""
    compare_with_resumed(subject, folder, "survives_veto_and_repeat", VetoAndRepeat)


def moves_no_other_randomness(subject: Subject, folder: Path) -> None:
    """It changes no random numbers of others: Python's, NumPy's and torch's default generators, latents, the order of the data."""
    rule = "moves_no_other_randomness"
    before = generators()
    drawn = draws_of(subject.run(folder=folder))
    for name, state in generators().items():
        text = f"it draws from {name}, a global generator; use torch's default generator, which is seeded for each call"
        require(state == before[name], subject, rule, text)
    if subject.kind != "trick":
        return
    plain = draws_of(subject.without(folder))
    for key in sorted(plain.keys() & drawn.keys(), key=lambda key: key[1:]):
        same = plain[key].shape != drawn[key].shape or torch.equal(plain[key], drawn[key])
        require(same, subject, rule, f"it changes the {key[0]} {key[1]}")


def makes_one_pass_of_many(subject: Subject, folder: Path) -> None:
    """A network's method ``in_one_pass``, if it has one, equals a call for each part, random numbers and gradients included."""
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
    together = [result.mul_(1) for result in together]  # a trick may change them in place, which torch refuses for some views
    for result, expected in zip(_with_gradients(together, player), _with_gradients(alone, player), strict=True):
        same = result.shape == expected.shape and torch.allclose(result, expected, rtol=1e-9, atol=1e-12)
        require(
            same, subject, "makes_one_pass_of_many", "the results or gradients of its in_one_pass differ from those of a call for each part"
        )


def _with_gradients(results: list[Tensor], player: Player) -> list[Tensor]:
    """Results of several passes, and the gradients of the weights for a sum that weights each result differently."""
    total = sum((result.square().sum() * (number + 1) for number, result in enumerate(results)), start=torch.zeros(()))
    return [*results, *torch.autograd.grad(total, player.parameters, materialize_grads=True)]


def waits_for_no_device(subject: Subject, folder: Path) -> None:
    """Nothing in a turn copies a value to the CPU (``.item()``, ``if tensor:``), unless its class gives a reason in ``host_sync``."""
    if subject.kind in MEASURED:
        return  # they are not called within a turn
    run = subject.run(folder=folder)
    instances = subject.objects(run)
    if any(getattr(instance, "host_sync", "") for instance in instances):
        return
    waits = Waits(instances if subject.kind == "optimizer" else [])
    wrap(subject, run, waits.around)
    execute(run)
    calls = ", ".join(sorted(waits.seen))
    require(
        not waits.seen,
        subject,
        "waits_for_no_device",
        f"it waits for the device within a turn ({calls}); if it must, give the reason in `host_sync`",
    )


def works_in_every_precision(subject: Subject, folder: Path) -> None:
    """It trains in float64, in bfloat16 autocast, and on each available device, and the weights stay finite."""
    settings = [*([f"train.device={device}"] for device in devices()), ["train.dtype=float64"], ["train.autocast=bfloat16"]]
    for setting in settings:
        run = subject.run(folder=folder, extra=["train.steps=2", *setting])
        execute(run)
        finite = all(bool(p.isfinite().all()) for player in run.players.values() for p in player.parameters)
        require(finite, subject, "works_in_every_precision", f"with {setting[0]} the weights are not finite after two steps")
        if subject.kind in MEASURED:
            values = run.evaluations.final.values if run.evaluations.final else {}
            finite = bool(values) and all(math.isfinite(value) for value in values.values())
            require(finite, subject, "works_in_every_precision", f"with {setting[0]} its results are {values or 'missing'}")


def errors_name_it(subject: Subject, folder: Path) -> None:
    """If it raises an exception, the run's error names it: the exception is neither hidden nor blamed on something else."""
    run = subject.run(folder=folder)

    def failing(_function: Callable[..., Any]) -> Callable[..., Any]:
        def fail(*args: Any, **kwargs: Any) -> Any:
            raise ArithmeticError("raised by the conformance kit")

        return fail

    if not wrap(subject, run, failing):
        return
    if subject.kind in MEASURED:  # training continues without it, and announces that
        execute(run)
        naming = [
            text
            for text in run.info["announcements"]
            if f"{subject.kind} '{subject.name}'" in text and "raised by the conformance kit" in text
        ]
        require(bool(naming), subject, "errors_name_it", f"no announcement names it: {run.info['announcements']}")
        return
    try:
        execute(run)
    except PluginError as error:
        owner = {"network": subject.name, "optimizer": "optimizer"}.get(subject.kind, f"{subject.kind} '{subject.name}'")
        require(owner in error.message, subject, "errors_name_it", f"the error does not name it: {error.message}")
    else:
        require(False, subject, "errors_name_it", "an exception in it was hidden")


#: All rules by name, in the order of the checks.
RULES: dict[str, Callable[[Subject, Path], None]] = {
    check.__name__: check
    for check in (
        options_round_trip, works_in_every_precision, moves_no_other_randomness, makes_one_pass_of_many,
        waits_for_no_device, resumes_exactly, survives_veto_and_repeat, errors_name_it,
    )
}  # fmt: skip
