"""The rules that components and tricks keep, each as a check; :func:`conform` makes them all."""

from __future__ import annotations

import functools
import inspect
import json
import random
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ganlab.catalogue import Entry
from ganlab.engine.build import ROLES
from ganlab.engine.folder import find_run
from ganlab.engine.hooks import connect
from ganlab.engine.life import Place, execute
from ganlab.engine.reopen import reopen_run
from ganlab.engine.run import Run
from ganlab.engine.state import state_of
from ganlab.engine.turn import Turn
from ganlab.errors import PluginError
from ganlab.hookspecs import hookimpl
from ganlab.recipe import Choice, Recipe, load_recipe, to_toml
from ganlab.recipe.choices import Kind
from ganlab.testing.tiny import catalogue, prepare

STEPS, STOP, LANES, BATCH = 6, 3, 3, 8
#: Hooks that are called within a turn, where nobody waits for the device.
IN_A_TURN = ("may_play", "before_turn", "before_scores", "after_scores", "loss_terms", "before_update", "after_update", "play_again")
#: What a component's methods are called that run within a turn.
METHODS = {
    "network": ("forward",),
    "loss": ("real", "fake", "generator", "discriminator"), "noise": ("sample",), "dataset": ("fetch",), "optimizer": ("step",),
}  # fmt: skip
TABLE: dict[str, tuple[str, ...]] = {
    "network": ROLES,
    "optimizer": tuple(f"{role}.optimizer" for role in ROLES),
    "loss": ("loss",),
    "noise": ("noise",),
    "dataset": ("data",),
}


class BrokenRule(AssertionError):
    """A component or trick does not keep a rule.

    Attributes:
        rule: its name, one of ``RULES``.
    """

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(text)
        self.rule = rule


@dataclass(frozen=True)
class Subject:
    """What is checked, and the tiny recipe that uses it."""

    kind: Kind
    name: str
    options: dict[str, Any]
    plugins: tuple[object, ...]
    overrides: tuple[str, ...]
    entry: Entry

    def run(self, *tricks: object, folder: Path, extra: Iterable[str] = ()) -> Run:
        """A run that uses it, built and not begun."""
        return prepare(*tricks, steps=STEPS, overrides=[*self.overrides, *self.lines(), *extra], folder=folder, plugins=self.plugins)

    def without(self, folder: Path) -> Run:
        """The same run without it."""
        return prepare(steps=STEPS, overrides=[*self.overrides], folder=folder, plugins=self.plugins)

    def lines(self) -> list[str]:
        """The overrides that put it into a recipe."""
        given = [f"{name}={json.dumps(value)}" for name, value in self.options.items()]
        if self.kind == "trick":
            return [f"tricks.{self.name}={{{','.join([f'use={json.dumps(self.name)}', *given])}}}"]
        optimizer = ['optimizer={use="tiny"}'] if self.kind == "network" else []
        table = f"{{{','.join([f'use={json.dumps(self.name)}', *given, *optimizer])}}}"
        return [f"{where}={table}" for where in TABLE[self.kind]]

    def choices(self, recipe: Recipe) -> list[Choice]:
        """Where a recipe picks it."""
        players = [choice for player in (recipe.generator, recipe.discriminator) for choice in (player.network, player.optimizer)]
        every = [recipe.data, recipe.noise, *players, *recipe.losses.values(), *recipe.tricks]
        return [choice for choice in every if (choice.kind, choice.use) == (self.kind, self.name)]

    def objects(self, run: Run) -> list[Any]:
        """What its factory has made for the run."""
        if self.kind == "trick":
            return [trick.instance for trick in run.tricks if trick.name == self.name]
        if self.kind == "loss":
            return [run.losses[role].instance for role in ROLES]
        players = [run.players[role] for role in ROLES]
        found: dict[str, list[Any]] = {
            "network": [player.network for player in players], "optimizer": [player.optimizer for player in players],
            "noise": [run.noise], "dataset": [run.dataset],
        }  # fmt: skip
        return found[self.kind]


def conform(kind: Kind, name: str, *, plugins: Iterable[object] = (), overrides: Iterable[str] = (), **options: Any) -> None:
    """Check a component or trick against all rules, on the tiny problem: points in the plane, latents of shape (3,).

    Args:
        kind: ``"trick"``, ``"network"``, ``"loss"``, ``"dataset"``, ``"noise"`` or ``"optimizer"``.
        name: as it is registered.
        plugins: modules or objects with registration hooks, where the plugin is not installed.
        overrides: what else the recipe needs, as ``--set`` takes it: ``'data={use="digits"}'`` for a network of images.
        options: of the component or trick.

    Raises:
        BrokenRule: it does not keep a rule; says which, and what was seen.
        UsageError: an option is wrong, or its data are not here. PluginError: there is no such component.
    """
    found = catalogue()
    for number, plugin in enumerate(plugins):
        found.add(plugin, f"plugin{number}", "the test")
    entry = found.find(kind, name)
    if entry is None:
        raise PluginError(f"no plugin brings a {kind} '{name}'", f"there are: {', '.join(found.names(kind))}")
    subject = Subject(kind, name, options, tuple(plugins), tuple(overrides), entry)
    with tempfile.TemporaryDirectory() as folder:
        subject.run(folder=Path(folder))  # what cannot be built at all breaks no rule
    for rule, check in RULES.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                check(subject, Path(folder))
            except BrokenRule:
                raise
            except Exception as error:
                raise BrokenRule(rule, f"{kind} '{name}' breaks the rule {rule}: {type(error).__name__}: {error}") from error


def options_round_trip(subject: Subject, folder: Path) -> None:
    """Its options survive a resolved recipe: written to TOML and read again, they are the same."""
    run = subject.run(folder=folder)
    found = catalogue()
    for number, plugin in enumerate(subject.plugins):
        found.add(plugin, f"plugin{number}", "the test")
    again = load_recipe(run.path / "recipe.toml", found)
    _see(to_toml(again) == to_toml(run.recipe), subject, "options_round_trip", "its resolved recipe is another one when it is read again")
    for choice, same in zip(subject.choices(run.recipe), subject.choices(again), strict=True):
        _see(same.options == choice.options, subject, "options_round_trip", f"options {choice.options} come back as {same.options}")


def resumes_exactly(subject: Subject, folder: Path) -> None:
    """Stopped between two checkpoints and resumed, it ends as if it had never stopped: weights, state, metrics."""
    _compare_with_resumed(subject, folder, "resumes_exactly")


def survives_veto_and_repeat(subject: Subject, folder: Path) -> None:
    """Turns that other tricks veto or repeat do it no harm, and it resumes exactly also then."""
    _compare_with_resumed(subject, folder, "survives_veto_and_repeat", VetoAndRepeat)


def moves_no_other_randomness(subject: Subject, folder: Path) -> None:
    """What others draw is not changed by it: Python's, NumPy's and torch's default generators, latents and the order of the data."""
    rule = "moves_no_other_randomness"
    before = _generators()
    drawn = _drawn(subject.run(folder=folder))
    for name, same in _same_generators(before).items():
        _see(same, subject, rule, f"it draws from {name}, which belongs to nobody; torch's default generator is seeded for each call")
    if subject.kind != "trick":
        return
    plain = _drawn(subject.without(folder))
    for key in sorted(plain.keys() & drawn.keys(), key=lambda key: key[1:]):
        same = plain[key].shape != drawn[key].shape or torch.equal(plain[key], drawn[key])
        _see(same, subject, rule, f"with it, the {key[0]} of step {key[1]} is another one")


def waits_for_no_device(subject: Subject, folder: Path) -> None:
    """Nothing in a turn brings a value to the host (``.item()``, ``if tensor:``), unless its class says why in ``host_sync``."""
    run = subject.run(folder=folder)
    if subject.kind == "optimizer" or any(getattr(thing, "host_sync", "") for thing in subject.objects(run)):
        return  # torch's optimizers keep their step count on the host, and reading that waits for nobody
    watch = _Waits()  # type: ignore[no-untyped-call]
    watch.seen = set()
    _wrap(subject, run, lambda function: _within(watch, function))
    execute(run)
    text = "it waits for the device within a turn"
    _see(not watch.seen, subject, "waits_for_no_device", f"{text} ({', '.join(sorted(watch.seen))}); say why in `host_sync` if it must")


def reduces_over_the_batch_only(subject: Subject, folder: Path) -> None:
    """Of scores (batch, lanes) it makes what it makes of each lane alone: it reduces over dim 0, and nothing else."""
    rule = "reduces_over_the_batch_only"
    if subject.kind == "loss":
        _lanes_of_a_loss(subject, subject.run(folder=folder), rule)
    elif subject.kind == "trick":
        run = subject.run(folder=folder)
        for trick in run.tricks:
            if trick.name == subject.name and "after_scores" in trick.methods():
                _lanes_of_a_score_trick(subject, run, trick.methods()["after_scores"], rule)


def works_in_every_precision(subject: Subject, folder: Path) -> None:
    """It trains in float64, in bfloat16 autocast, and on each device that is there; what it leaves is finite."""
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else []), *(["mps"] if torch.backends.mps.is_available() else [])]
    ways = [*([f"train.device={device}"] for device in devices), ["train.dtype=float64"], ["train.autocast=bfloat16"]]
    for way in ways:
        run = subject.run(folder=folder, extra=["train.steps=2", *way])
        execute(run)
        finite = all(bool(p.isfinite().all()) for player in run.players.values() for p in player.parameters)
        _see(finite, subject, "works_in_every_precision", f"with {way[0]} the weights are not finite after two steps")


def errors_name_it(subject: Subject, folder: Path) -> None:
    """When it raises, the error says who it was: it lets no exception of its own pass as somebody else's, or pass unseen."""
    run = subject.run(folder=folder)

    def failing(_function: Callable[..., Any]) -> Callable[..., Any]:
        def fail(*given: Any, **named: Any) -> Any:
            raise ArithmeticError("made up by the conformance kit")

        return fail

    if not _wrap(subject, run, failing):
        return
    try:
        execute(run)
    except PluginError as error:
        owner = {"network": subject.name, "optimizer": "optimizer"}.get(subject.kind, f"{subject.kind} '{subject.name}'")
        _see(owner in error.message, subject, "errors_name_it", f"the error does not name it: {error.message}")
    else:
        _see(False, subject, "errors_name_it", "an exception in it went unseen")


#: All rules by name, in the order in which they are checked.
RULES: dict[str, Callable[[Subject, Path], None]] = {
    check.__name__: check
    for check in (
        options_round_trip, works_in_every_precision, reduces_over_the_batch_only, moves_no_other_randomness, waits_for_no_device,
        resumes_exactly, survives_veto_and_repeat, errors_name_it,
    )
}  # fmt: skip


def _see(kept: bool, subject: Subject, rule: str, text: str) -> None:
    if not kept:
        raise BrokenRule(rule, f"{subject.kind} '{subject.name}' breaks the rule {rule}: {text}")


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


def _compare_with_resumed(subject: Subject, folder: Path, rule: str, *others: type) -> None:
    extra = ["train.checkpoint_every=2", "train.log_every=2", "train.sample_every=100"]
    never = subject.run(*(other() for other in others), folder=folder / "never", extra=extra)
    execute(never)
    stopped = subject.run(*(other() for other in others), StopAt(STOP), folder=folder / "stopped", extra=extra)
    execute(stopped)
    found = catalogue()
    for number, plugin in enumerate(subject.plugins):
        found.add(plugin, f"plugin{number}", "the test")
    place = Place(stopped.path.parent, tell=lambda text: None, watchers=[other() for other in others])
    resumed = reopen_run(find_run(stopped.path.parent, stopped.id), found, place)
    execute(resumed)
    _see(_lines(never) == _lines(resumed), subject, rule, "the metrics of a run that was stopped and resumed are others")
    where = _difference(state_of(never), state_of(resumed))
    _see(not where, subject, rule, f"after a stop and a resume, {where} is not what it is without; is all of its state in state_dict?")


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


def _generators() -> dict[str, Any]:
    return {"Python's random": random.getstate(), "numpy.random": np.random.get_state(), "torch's default generator": torch.get_rng_state()}


def _same_generators(before: dict[str, Any]) -> dict[str, bool]:
    now = _generators()
    python, numpy, torch_ = before.values()
    return {
        "Python's random": python == now["Python's random"],
        "numpy.random": all(np.array_equal(one, other) for one, other in zip(numpy, now["numpy.random"], strict=True)),
        "torch's default generator": torch.equal(torch_, now["torch's default generator"]),
    }


def _drawn(run: Run) -> dict[tuple[str, int, int], Tensor]:
    """All latents of a run, by step and turn, and all real batches, by step and their number in it."""
    found: dict[tuple[str, int, int], Tensor] = {}
    latent, fetch = run.draws.latent, run.draws._fetch

    def latents(turn: Turn) -> Tensor:
        drawn = latent(turn)
        found["latent", turn.step, turn.index] = drawn.clone()
        return drawn

    def batches() -> Any:
        batch = fetch()
        number = sum(key[:2] == ("real batch", run.step) for key in found)
        found["real batch", run.step, number] = batch.images.clone()
        return batch

    run.draws.latent, run.draws._fetch = latents, batches  # type: ignore[method-assign]
    execute(run)
    return found


# -- what is called within a turn ------------------------------------------------------------------------------------------


class _Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes operations that bring a value to the host."""

    OPERATIONS: ClassVar = {"_local_scalar_dense": "item()", "is_nonzero": "if tensor:", "equal": "torch.equal"}
    seen: set[str]

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if name in self.OPERATIONS:
            self.seen.add(self.OPERATIONS[name])
        return function(*args, **(kwargs or {}))


def _within(mode: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*given: Any, **named: Any) -> Any:
        with mode:
            return function(*given, **named)

    return call


def _wrap(subject: Subject, run: Run, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> bool:
    """Put ``wrapper`` around all of the subject that is called within a turn. Whether there is anything."""
    wrapped = False
    if subject.kind == "trick":
        for trick in run.tricks:
            for hook, method in trick.methods().items() if trick.name == subject.name else ():
                if hook in IN_A_TURN:
                    object.__setattr__(trick.instance, hook, functools.wraps(method)(wrapper(method)))
                    wrapped = True
        run.hooks = connect(run.tricks, run.streams)
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


def _lanes_of_a_loss(subject: Subject, run: Run, rule: str) -> None:
    generator = torch.Generator().manual_seed(0)
    real, fake = _scores(generator), _scores(generator)
    for loss in subject.objects(run)[:1]:
        for name in METHODS["loss"]:
            if not callable(getattr(loss, name, None)):
                continue
            together = getattr(loss, name)(_turn(real, fake))
            alone = [getattr(loss, name)(_turn(real[:, lane], fake[:, lane])) for lane in range(LANES)]
            _see(together.shape == (LANES,), subject, rule, f"its {name} of scores {tuple(real.shape)} has shape {tuple(together.shape)}")
            same = torch.allclose(together, torch.stack(alone), rtol=1e-5, atol=1e-6)
            _see(same, subject, rule, f"its {name} of {LANES} lanes at once is not what it is of each alone")


def _lanes_of_a_score_trick(subject: Subject, run: Run, method: Callable[..., Any], rule: str) -> None:
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
        _see(same, subject, rule, f"the {side.replace('_', ' ')} of {LANES} lanes at once are not those of each alone")


def _turn(real: Tensor, fake: Tensor) -> Any:
    return SimpleNamespace(real_scores=real, fake_scores=fake, real_target=None, fake_target=None)
