"""``train.cuda_graphs``, on the CPU: in place of a GPU's graphs a recorder that does the work again, and spoils what nobody may look at."""

from __future__ import annotations

import math
import random
import re
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine_support import RICH, Plugin, StopAt, hooked, lines, reopened, same, trick, weights
from torch import Tensor, nn

import ganlab
from ganlab.errors import UsageError
from ganlab.recipe import shipped_recipes
from ganlab.runs.run import Run
from ganlab.runs.training import execute
from ganlab.speed import graphs, recorded_pass, recorders
from ganlab.speed.graphs import Graphs
from ganlab.speed.module_state import state_restored
from ganlab.speed.recorders import Replay, Work
from ganlab.testing import TinyNetwork, play, prepare

pytestmark = pytest.mark.usefixtures("one_by_one")  # what is compared with makes its passes so
GRAPHS = "train.cuda_graphs=true"
RECIPES = [name for name in shipped_recipes() if name != "defaults"]


class Repeater:
    """Does the recorded work again, on the same tensors, and writes its results to the same places.

    Before that it makes all results of all recordings NaN: on a GPU too they are gone as soon as something else is replayed.
    """

    made: list[Repeater] = []  # noqa: RUF012 - emptied for each test

    def __init__(self, device: torch.device) -> None:
        self.places: list[Tensor] = []
        self.recorded = self.replayed = 0
        self.made.append(self)

    def begin(self) -> None:
        pass

    def warm_up(self, work: Callable[[], object]) -> None:
        for _ in range(2):
            work()

    def record(self, work: Work) -> tuple[list[Tensor], Replay]:
        results = [result.detach().clone() for result in work()]
        self.places += results
        self.recorded += 1

        def replay() -> None:
            self.replayed += 1
            for place in self.places:
                place.fill_(math.nan if place.is_floating_point() else -7)
            with torch.set_grad_enabled(grad):
                found = [result.detach() for result in work()]
            for place, result in zip(results, found, strict=True):
                place.copy_(result)

        grad = torch.is_grad_enabled()
        return results, replay


@pytest.fixture(autouse=True)
def repeaters(monkeypatch: pytest.MonkeyPatch) -> list[Repeater]:
    monkeypatch.setitem(recorders.RECORDERS, "cpu", Repeater)
    monkeypatch.setattr(Repeater, "made", [])
    return Repeater.made


def plays(*tricks: object, **options: Any) -> tuple[Run, Run]:
    """The run as it is, and with replayed passes."""
    overrides = options.pop("overrides", [])
    return tuple(play(*tricks, overrides=[*overrides, *more], **options) for more in ([], [GRAPHS]))  # type: ignore[return-value]


def replays(run: Run) -> list[int]:
    """How many replays each player has had."""
    return [player.passes.recorder.replayed for player in run.players.values()]  # type: ignore[attr-defined]


def check(plain: Run, fast: Run, told: int = 0) -> None:
    assert len(fast.info["announcements"]) - len(plain.info["announcements"]) == told, fast.info["announcements"]
    assert same(weights(plain), weights(fast))
    assert all(value.isfinite().all() for value in weights(fast).values())


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_shipped_recipe_trains_to_the_same_bits(recipe: str) -> None:
    plain, fast = plays(recipe, steps=5)
    check(plain, fast)
    assert min(replays(fast)) >= 10


SCHEDULES: list[list[str]] = [
    ["schedule.discriminator_turn=one_pass"],
    ["schedule.discriminator_turn=two_updates", "schedule.first_side=fake"],
    ["schedule.order=simultaneous", "schedule.discriminator_mode=eval"],
    ["schedule.order=generator_first", "schedule.discriminator_steps=2", "schedule.generator_steps=2", "schedule.noise=per_step"],
    ["schedule.discriminator_statistics=false", "schedule.generator_mode=eval"],
    ["train.autocast=bfloat16"],
    ["train.dtype=float64", "train.discriminator_batch_size=6"],
    ["train.non_finite=skip"],
    [trick("packing")],
    # One pass uses each weight twice. With both passes in one update autograd would add up the four parts in another order than a replay.
    [trick("spectral_normalization"), "schedule.discriminator_turn=two_updates"],
    [trick("spectral_normalization", player="generator"), "train.autocast=bfloat16"],
    [trick("r1_penalty")],
    [trick("r1_penalty", every=2), trick("gradient_clipping"), trick("clamp"), trick("adaptive_generator_steps")],
    [trick("last_batch"), trick("discriminator_head_start", steps=2)],
    ['loss={use="relativistic_bce"}'],
]
BOTH_NORMALIZED = RICH[0], RICH[1].replace("hidden=[8]", 'hidden=[8],batch_norm="after_activation"')


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("more", SCHEDULES, ids=str)
def test_every_schedule_and_trick_trains_to_the_same_bits(more: list[str], fused: bool, tmp_path: Path) -> None:
    networks = [line.replace("hidden=[8]", f"hidden=[8],fast={str(fused).lower()}") for line in BOTH_NORMALIZED]
    loss = [] if any(line.startswith("loss") for line in more) else [RICH[2]]
    plain, fast = plays(steps=6, overrides=[*networks, *loss, *more], folder=tmp_path)
    check(plain, fast)
    assert lines(plain) == lines(fast)
    assert min(replays(fast)) >= 6


class Conditional(TinyNetwork):
    """Moves its result by a vector of the class."""

    def __init__(self, spec: ganlab.NetworkSpec) -> None:
        super().__init__(spec, batch_norm=True, dropout=True)
        self.embedding = nn.Embedding(spec.classes, math.prod(spec.output_shape))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:  # type: ignore[override]
        assert labels is not None
        y: Tensor = super().forward(x) + self.embedding(labels).view(-1, *self.output_shape)
        return y


class Weird(TinyNetwork):
    """What a test wants of a network."""

    doing: Callable[[Any, Tensor], Tensor]

    def __init__(self, spec: ganlab.NetworkSpec) -> None:
        super().__init__(spec)
        self.share: Any = 0.5
        self.calls, self.pair, self.last = 0, [1, 2], None
        self.deep: Any = {"a": ([1],)}
        self.names: dict[str, int] = defaultdict(int)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return type(self).doing(self, super().forward(x))


def weird(doing: Callable[[Any, Tensor], Tensor]) -> dict[str, Any]:
    """The options of a run whose discriminator does that with its scores."""
    kind = type("Mine", (Weird,), {"doing": doing})
    return {"plugins": [Plugin(networks={"weird": kind})], "overrides": ['discriminator={use="weird",optimizer={use="tiny"}}']}


def test_labels_are_replayed_too() -> None:
    networks = [f'{role}={{use="conditional",optimizer={{use="tiny"}}}}' for role in ("generator", "discriminator")]
    plain, fast = plays(steps=6, overrides=networks, plugins=[Plugin(networks={"conditional": Conditional})])
    check(plain, fast)
    assert min(replays(fast)) >= 10


def test_few_passes_are_recorded_however_long_the_run(repeaters: list[Repeater]) -> None:
    for steps in (3, 12):
        repeaters.clear()
        play(steps=steps, overrides=[*RICH, GRAPHS])
        # G with and without gradients, each there, and once back; D for real and fake together and in G's turn, there and back
        assert [repeater.recorded for repeater in repeaters[-2:]] == [3, 6]


def test_a_resumed_run_ends_as_one_that_was_never_stopped(tmp_path: Path) -> None:
    options: dict[str, Any] = {"steps": 9, "overrides": [*RICH, trick("spectral_normalization"), GRAPHS]}
    never = play(folder=tmp_path / "never", **options)
    run = reopened(play(StopAt(5), folder=tmp_path / "stopped", **options).path)
    execute(run)
    check(never, run)


def test_going_back_to_a_checkpoint(tmp_path: Path) -> None:
    left = [True]

    def spoil(turn: Any) -> None:
        if turn.step == 7 and left:
            left.clear()
            turn.loss_terms["fake"] = turn.loss_terms["fake"] * math.nan

    def once(**more: Any) -> Run:
        left[:] = [True]
        overrides = [*RICH, "train.non_finite=rollback", "train.checkpoint_every=3", *more["more"]]
        return play(hooked(loss_terms=spoil), steps=10, overrides=overrides, folder=tmp_path)

    plain, fast = once(more=[]), once(more=[GRAPHS])
    check(plain, fast)
    assert "went back to step 6" in fast.info["announcements"][0]


# -- what is kept of a pass ------------------------------------------------------------------------------------------------


def passes_of(**options: Any) -> tuple[Run, Graphs]:
    run = prepare(overrides=[*RICH, GRAPHS], **options)
    player = run.players["discriminator"]
    assert isinstance(player.passes, Graphs)
    player.network.double()
    player.refresh()
    player.mode(False)  # without dropout: passes are functions of their input
    return run, player.passes


def test_many_passes_may_be_under_way_and_go_back_in_any_order() -> None:
    run, _ = passes_of()
    player = run.players["discriminator"]
    batches = [torch.randn(8, 2, dtype=torch.float64) for _ in range(5)]
    for order in ([0, 1, 2, 3, 4], [3, 1, 4, 0, 2]):
        scores = [player(batch) for batch in batches]
        for number in order:
            found = torch.autograd.grad(scores[number].square().sum(), player.parameters)
            expected = torch.autograd.grad(player.network(batches[number]).square().sum(), player.parameters)
            assert all(map(torch.equal, found, expected))
    assert len(next(iter(player.passes.recorded.values()))) == 5  # type: ignore[attr-defined]


def test_a_pass_that_never_goes_back_is_free_again_once_it_is_forgotten() -> None:
    run, passes = passes_of()
    player, x = run.players["discriminator"], torch.ones(8, 2, dtype=torch.float64)
    for _ in range(4):
        scores = player(x)
        del scores
    (recorded_passes,) = passes.recorded.values()
    assert len(recorded_passes) == 1 and recorded_passes[0].free


def test_a_pass_may_go_back_twice_if_autograd_is_told_so() -> None:
    run, passes = passes_of()
    player, x = run.players["discriminator"], torch.ones(8, 2, dtype=torch.float64)
    scores = player(x)
    first = torch.autograd.grad(scores.sum(), player.parameters, retain_graph=True)
    (recorded_passes,) = passes.recorded.values()
    assert not recorded_passes[0].free
    other = player(x * 2)  # which must not take its place
    second = torch.autograd.grad(scores.sum(), player.parameters)
    assert all(map(torch.equal, first, second))
    assert recorded_passes[0].free and not recorded_passes[1].free
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(scores.sum(), player.parameters)
    del other
    assert recorded_passes[1].free


def test_gradients_add_up_and_are_nobody_elses() -> None:
    run, _ = passes_of()
    player, x = run.players["discriminator"], torch.randn(8, 2, dtype=torch.float64)
    for batch in (x, x * 2):
        player(batch).sum().backward()
    found = [parameter.grad for parameter in player.parameters]
    expected = [torch.zeros_like(parameter) for parameter in player.parameters]
    for batch in (x, x * 2):
        expected = [a + b for a, b in zip(expected, torch.autograd.grad(player.network(batch).sum(), player.parameters), strict=True)]
    assert all(gradient is not None and torch.equal(gradient, other) for gradient, other in zip(found, expected, strict=True))


def test_too_many_at_once_are_called_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "MOST_AT_ONCE", 2)
    run, _ = passes_of()
    player, x = run.players["discriminator"], torch.randn(8, 2, dtype=torch.float64)
    scores = [player(x * number) for number in range(4)]
    assert [score.grad_fn.name() == "ReplayedBackward" for score in scores] == [True, True, False, False]
    assert all(map(torch.equal, scores, (player.network(x * number) for number in range(4))))


def test_parameters_that_are_replaced_are_seen() -> None:
    run, _ = passes_of()
    player, x = run.players["discriminator"], torch.ones(8, 2, dtype=torch.float64)
    player(x)
    for parameter in player.parameters:
        parameter.data = parameter.data * 2
    assert player(x).equal(player.network(x))
    before = player.passes
    player.refresh()
    assert player.passes is not before and player(x).equal(player.network(x))


def test_a_pass_draws_what_it_would_draw_and_no_more() -> None:
    run, _ = passes_of()
    player, x = run.players["discriminator"], torch.randn(8, 2, dtype=torch.float64)
    player.mode(True)
    ways = []
    for way in (player, player, player.network):  # it is recorded in the first
        torch.manual_seed(5)
        ways.append([way(x).detach(), way(x).detach(), torch.rand(3)])
    assert all(map(torch.equal, ways[0], ways[2])) and all(map(torch.equal, ways[1], ways[2]))
    assert not ways[0][0].equal(ways[0][1])


def test_every_circumstance_is_a_variant_of_its_own() -> None:
    run, passes = passes_of()
    player, x = run.players["discriminator"], torch.randn(8, 2, dtype=torch.float64)
    frozen = player.parameters[0]

    def compare(needed: list[Tensor], x: Tensor = x) -> None:
        for way in (player, player.network):
            y = way(x)
            ways.append([y.detach(), *(torch.autograd.grad(y.square().sum(), needed) if needed else ())])
            assert y.requires_grad == bool(needed)
        first, second = ways[-2:]
        assert all(map(torch.equal, first, second))

    ways: list[list[Tensor]] = []
    with torch.no_grad():
        compare([])
    compare(player.parameters)
    frozen.requires_grad_(False)
    compare(player.parameters[1:])
    frozen.requires_grad_(True)
    compare([frozen])
    compare(player.parameters, torch.randn(4, 2, dtype=torch.float64))
    player.learn(False)
    compare([])
    leaf = x.clone().requires_grad_(True)
    compare([leaf], leaf)
    assert len(passes.recorded) == 6  # the frozen one alone, and all, are one: what autograd is asked for later is not known


# -- what is differentiated twice ------------------------------------------------------------------------------------------


def slope_of_parameters(turn: Any) -> None:
    """Dropout and batch normalization in a pass whose gradient is differentiated: it must be computed anew with the same numbers."""
    if turn.step > 2:
        slopes = torch.autograd.grad(
            turn.loss_terms["adversarial" if turn.role == "generator" else "fake"], turn.player.parameters, create_graph=True
        )
        turn.loss_terms["slope"] = 0.01 * sum(slope.square().sum() for slope in slopes)


def slope_of_fakes(turn: Any) -> None:
    if turn.role == "generator":
        (slope,) = torch.autograd.grad(turn.fake_scores.sum(), turn.fake, create_graph=True)
        turn.loss_terms["slope"] = slope.square().sum()


@pytest.mark.parametrize("penalty", [slope_of_parameters, slope_of_fakes])
@pytest.mark.parametrize("more", [[], ["schedule.discriminator_statistics=false"], ["train.autocast=bfloat16"]], ids=str)
def test_a_gradient_may_be_differentiated(penalty: Any, more: list[str]) -> None:
    wide = [] if "train.autocast=bfloat16" in more else ["train.dtype=float64"]
    networks = [re.sub("optimizer=.*", 'fast=false,activation="tanh",optimizer={use="sgd",lr=0.05}}', line) for line in BOTH_NORMALIZED]
    overrides = [*networks, RICH[2], *more, *wide]
    plain, fast = plays(hooked(loss_terms=penalty), steps=6, overrides=overrides)
    for name, value in weights(plain).items():  # sums have another order: a pass that was computed anew is a branch of its own
        torch.testing.assert_close(weights(fast)[name], value, rtol=1e-10 if wide else 2e-2, atol=1e-12 if wide else 1e-2)
    assert not fast.info["announcements"] and sum(replays(fast)) > 5
    assert not same(weights(fast), weights(play(steps=6, overrides=overrides)))


def test_a_pass_that_is_computed_anew_has_the_options_that_it_had() -> None:
    def change(turn: Any) -> None:
        turn.player.network.share = 3.0 if turn.player.network.share == 2.0 else 2.0

    def penalty(turn: Any) -> None:
        if turn.role == "discriminator" and turn.step > 1:
            change(turn)
            slopes = torch.autograd.grad(turn.loss_terms["fake"], turn.player.parameters, create_graph=True)
            turn.loss_terms["slope"] = 0.01 * sum(slope.square().sum() for slope in slopes)

    options = weird(lambda self, y: y * self.share)
    options["overrides"] = [*options["overrides"], "train.dtype=float64"]
    plain, fast = plays(hooked(loss_terms=penalty), steps=5, **options)
    for name, value in weights(plain).items():
        torch.testing.assert_close(weights(fast)[name], value, rtol=1e-10, atol=1e-12)
    assert not fast.info["announcements"]


def test_the_way_back_is_outside_of_mixed_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recorded_pass.TOLERANCES, torch.float32, 1e-6)

    def wide(self: Any, y: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return y.float() @ self.linear.weight[:, :1].float()

    check(*plays(steps=4, **(options := weird(wide)) | {"overrides": [*options["overrides"], "train.autocast=bfloat16"]}))


# -- what cannot be recorded -----------------------------------------------------------------------------------------------


def test_a_replay_that_gives_other_numbers_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    record = Repeater.record

    def wrong(self: Repeater, work: Work) -> tuple[list[Tensor], Replay]:
        results, replay = record(self, work)
        return results, lambda: (replay(), results[-1].mul_(1.01))[0]

    monkeypatch.setattr(Repeater, "record", wrong)
    plain, fast = plays(steps=4, overrides=RICH)
    check(plain, fast, told=2)
    owner = "the discriminator, network 'mlp' (plugin networks, ganlab"
    assert fast.info["announcements"][1].startswith(f"train.cuda_graphs: some passes of {owner}")
    assert fast.info["announcements"][1].endswith("call the network directly: a replay gave other numbers than the pass itself.")


def test_a_pass_that_cannot_be_recorded_goes_on_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(self: Repeater, work: Work) -> tuple[list[Tensor], Replay]:
        work()
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore of it")

    monkeypatch.setattr(Repeater, "record", cannot)
    plain, fast = plays(steps=4, overrides=BOTH_NORMALIZED)
    check(plain, fast, told=2)
    assert fast.info["announcements"][0].endswith(": RuntimeError: CUDA error: operation not permitted when stream is capturing.")


def counted(self: Any, y: Tensor) -> Tensor:
    self.calls += 1
    return y * (1 + 1 / self.calls)


def drawn_by_python(self: Any, y: Tensor) -> Tensor:
    return y * random.random()


def drawn_by_numpy(self: Any, y: Tensor) -> Tensor:
    return y * float(np.random.rand())


def replaced(self: Any, y: Tensor) -> Tensor:
    self.seen = self.seen + 1
    return y * self.seen


def listed(self: Any, y: Tensor) -> Tensor:
    self.pair.append(1)
    return y * (1 + 1 / len(self.pair))


def listed_deep(self: Any, y: Tensor) -> Tensor:
    self.deep["a"][0].append(1)
    return y * (1 + 1 / len(self.deep["a"][0]))


def counted_by_name(self: Any, y: Tensor) -> Tensor:
    self.names["y"] += 1
    return y * (1 + 1 / self.names["y"])


def new(self: Any, y: Tensor) -> Tensor:
    self.fresh = getattr(self, "fresh", 0) + 1
    return y * (1 + 1 / self.fresh)


def kept(self: Any, y: Tensor) -> Tensor:
    self.last = y  # for somebody to look at: a replay would leave it as it was
    return y


@pytest.mark.parametrize("doing", [counted, drawn_by_python, drawn_by_numpy, replaced, listed, listed_deep, counted_by_name, new, kept])
def test_what_is_no_function_of_tensors_goes_on_as_it_is(doing: Any) -> None:
    runs = []
    for more in ([], [GRAPHS]):
        random.seed(0)
        np.random.seed(0)
        options = weird(doing)
        runs.append(play(steps=4, **options | {"overrides": [*options["overrides"], *more]}))
    plain, fast = runs
    check(plain, fast, told=1)
    assert (
        "it draws random numbers on the CPU, or changes or keeps something in its modules that a replay would not"
        in fast.info["announcements"][0]
    )
    assert replays(fast)[0] and not replays(fast)[1]


def test_what_is_another_pass_each_time_is_not_tried_for_ever() -> None:
    run = play(steps=9, **(options := weird(counted)) | {"overrides": [*options["overrides"], GRAPHS]})
    passes = run.players["discriminator"].passes
    assert isinstance(passes, Graphs) and passes.failures == len(passes.not_recorded) == graphs.MOST_FAILURES


def test_an_option_that_changes_is_another_variant() -> None:
    def fade(run: Run, step: int) -> None:
        run.players["discriminator"].network.share = 1 / step  # 1/2 once more in the third

    options = weird(lambda self, y: y * self.share)
    plain, fast = plays(hooked(after_step=fade), steps=6, **options)
    check(plain, fast)
    assert len(fast.players["discriminator"].passes.recorded) == 10  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "value",
    [
        lambda step: np.float32(3.0 * step), lambda step: np.float64(3.0 * step), lambda step: [3.0 * step],
        lambda step: (3.0, {"b": step}), lambda step: {"a": [{3.0 * step}]}, lambda step: torch.tensor(3.0 * step),
    ],
)  # fmt: skip
def test_whatever_changes_in_a_module_is_another_variant(value: Callable[[int], Any]) -> None:
    values = [value(step) for step in (1, 2, 3, 2)]  # kept: another tensor may lie where one was

    def fade(run: Run, step: int) -> None:
        run.players["discriminator"].network.share = values[step - 1]

    run = play(hooked(after_step=fade), steps=4, **(options := weird(lambda self, y: y)) | {"overrides": [*options["overrides"], GRAPHS]})
    # in each player's turn, with 0.5 and with those of steps 1 to 3
    assert len(run.players["discriminator"].passes.recorded) == 2 * 4  # type: ignore[attr-defined]


def test_a_number_that_is_changed_in_place_is_another_variant() -> None:
    options = weird(lambda self, y: y)

    def begin(run: Run) -> None:
        run.players["discriminator"].network.share = torch.tensor(1.0)

    def fade(run: Run, step: int) -> None:
        run.players["discriminator"].network.share.mul_(0.5)

    run = play(hooked(before_run=begin, after_step=fade), steps=4, **options | {"overrides": [*options["overrides"], GRAPHS]})
    assert len(run.players["discriminator"].passes.recorded) == 2 * 4  # type: ignore[attr-defined]


def test_a_trial_pass_leaves_lists_and_dicts_as_they_were() -> None:
    network = nn.Module()
    network.pair, network.named, network.odd = [1, 2], {"a": 1}, {3}
    network.both = (network.pair, 5)
    network.many, network.itself = Many([1]), deque([{"a": [1]}])
    network.itself.append(network.itself)
    pair, many, generator = network.pair, network.many, torch.get_rng_state()
    with state_restored(network, torch.device("cpu")):
        network.pair.append(3)
        network.named["b"] = 2
        network.odd.clear()
        network.many.append(2)
        network.itself[0]["a"].clear()
        network.itself.popleft()
        network.fresh = torch.rand(3)
        network.pair, network.both = [7], ([], 6)
    assert (network.pair, network.named, network.odd, network.both) == ([1, 2], {"a": 1}, {3}, ([1, 2], 5))
    assert network.pair is pair is network.both[0]
    assert network.many is many and many == [1]
    assert network.itself[0] == {"a": [1]} and network.itself[1] is network.itself and len(network.itself) == 2
    assert not hasattr(network, "fresh") and torch.get_rng_state().equal(generator)


class Many(list[int]):
    """A list of a kind of its own."""


@pytest.mark.parametrize("share", [lambda: torch.eye(3).to_sparse(), lambda: (held := [1.0], held.append(held))[0]])
def test_odd_values_in_a_module_keep_nothing_from_being_recorded(share: Callable[[], Any]) -> None:
    def begin(run: Run) -> None:
        run.players["discriminator"].network.share = share()

    plain, fast = plays(hooked(before_run=begin), steps=3, **weird(lambda self, y: y))
    check(plain, fast)
    assert replays(fast)[1] > 3


def test_too_many_variants_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "MOST_VARIANTS", 1)
    plain, fast = plays(steps=5, overrides=RICH)
    check(plain, fast, told=2)
    assert fast.info["announcements"][0].endswith("they come in more than 1 variants of shapes, modes and options.")


def test_who_looks_on_at_layers_sees_them() -> None:
    seen: list[int] = []

    def begin(run: Run) -> None:
        run.players["discriminator"].network.layers[0].register_forward_hook(lambda *given: seen.append(1))

    plain, fast = plays(hooked(before_run=begin), steps=4, overrides=RICH)
    check(plain, fast, told=1)
    assert len(seen) == 2 * 12


def test_samples_are_made_without_it() -> None:
    run = play(steps=3, overrides=[*RICH, GRAPHS])
    before = replays(run)
    run.generate(torch.zeros(8, 3))
    assert replays(run) == before


def test_a_mistake_in_a_network_is_told_as_without_it() -> None:
    def wrong(self: Any, y: Tensor) -> Tensor:
        raise ValueError("no way")

    texts = []
    for more in ([], [GRAPHS]):
        options = weird(wrong)
        with pytest.raises(Exception, match="no way") as caught:
            play(**options | {"overrides": [*options["overrides"], *more]})
        texts.append(str(caught.value).splitlines()[0])
    assert texts[0] == texts[1]


def test_on_another_device_it_says_that_it_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(recorders.RECORDERS, "cpu")
    run = play(overrides=[GRAPHS])
    assert run.info["announcements"] == [
        "train.cuda_graphs = true has no effect on the device cpu: networks are called without CUDA graphs."
    ]


def test_it_does_not_go_with_the_compiler() -> None:
    with pytest.raises(UsageError, match=r"train\.cuda_graphs = true cannot go with compile = true"):
        play(overrides=[GRAPHS, "train.compile=true"])


def test_tensors_are_alike_but_for_roundings() -> None:
    one = torch.tensor([1.0, -3.0, math.inf])
    assert recorded_pass.nearly_equal([one], [one + 1e-3])
    assert not recorded_pass.nearly_equal([one], [one + 1e-2])
    assert not recorded_pass.nearly_equal([one], [torch.tensor([1.0, math.nan, math.inf])])
    assert recorded_pass.nearly_equal([one, torch.tensor([1e-9])], [one, torch.tensor([-1e-9])])  # what is rounding beside the others
    assert not recorded_pass.nearly_equal([torch.tensor([1])], [torch.tensor([2])])
    assert (
        not recorded_pass.nearly_equal([one], [one.double()])
        and not recorded_pass.nearly_equal([one], [])
        and recorded_pass.nearly_equal([], [])
    )
