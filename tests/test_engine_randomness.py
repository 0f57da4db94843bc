"""Named random streams: the same numbers for the same seed, whatever else is in the run."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import RICH, Capture, Plugin, StopAt, resumed, same, trick, weights
from torch import Tensor, nn

import ganlab
from ganlab.game.data_order import DataOrder
from ganlab.game.random_streams import Streams, derive, mix
from ganlab.runs.run import Run
from ganlab.runs.training import execute
from ganlab.testing import TinyLoss, play, prepare


class Noisy:
    """Draws from torch's default generator in every hook of a turn, and changes nothing."""

    def __init__(self) -> None:
        self.drawn: list[tuple[str, float]] = []

    def draw(self, where: str) -> None:
        self.drawn.append((where, torch.randn(3).sum().item()))

    @ganlab.hookimpl
    def before_run(self) -> None:
        self.draw("before_run")

    @ganlab.hookimpl
    def after_build(self, player: Any) -> None:
        torch.randn(3)

    @ganlab.hookimpl
    def before_turn(self, turn: ganlab.Turn) -> None:
        self.draw(f"before_turn {turn.step} {turn.role}")

    @ganlab.hookimpl
    def before_scores(self, turn: ganlab.Turn) -> None:
        self.draw(f"before_scores {turn.step} {turn.role}")

    @ganlab.hookimpl
    def after_scores(self, turn: ganlab.Turn) -> None:
        self.draw(f"after_scores {turn.step} {turn.role}")

    @ganlab.hookimpl
    def before_update(self, turn: ganlab.Turn) -> None:
        self.draw(f"before_update {turn.step} {turn.role}")

    @ganlab.hookimpl
    def after_step(self, step: int) -> None:
        self.draw(f"after_step {step}")


def test_two_runs_of_one_seed_are_equal_bit_for_bit_and_another_seed_is_not() -> None:
    first, second, other = (play(steps=8, overrides=[*RICH, f"train.seed={seed}"]) for seed in (3, 3, 4))
    assert same(weights(first), weights(second))
    assert not any(torch.equal(weights(first)[name], weights(other)[name]) for name in weights(first) if name.endswith("weight"))


def test_the_seed_reaches_the_init_the_data_their_order_and_the_noise() -> None:
    captures = [Capture(), Capture()]
    runs = [prepare(capture, steps=1, overrides=[f"train.seed={seed}"]) for seed, capture in enumerate(captures)]
    first, second = (weights(run) for run in runs)
    assert not any(torch.equal(first[name], second[name]) for name in first)
    for run in runs:
        execute(run)
    for name in ("real", "latent"):
        assert not captures[0].turns[0][name].equal(captures[1].turns[0][name])
    assert not runs[0].timetable.sampler.source.fixed_latent(4, "x").equal(runs[1].timetable.sampler.source.fixed_latent(4, "x"))


def test_a_trick_that_draws_moves_no_other_stream() -> None:
    options: dict[str, Any] = {"steps": 6, "overrides": [*RICH]}
    plain, noisy = Capture(), Capture()
    first, second = play(plain, **options), play(Noisy(), noisy, Noisy(), **options)
    assert same(weights(first), weights(second))
    for a, b in zip(plain.turns, noisy.turns, strict=True):
        assert a["latent"].equal(b["latent"])
        assert a["fake_scores"].equal(b["fake_scores"])  # dropout drew the same
    assert plain.metrics == noisy.metrics


def test_no_two_turns_have_the_same_noise() -> None:
    capture = Capture()
    play(capture, steps=6, overrides=["schedule.generator_steps=2"])
    assert len({turn["latent"].sum().item() for turn in capture.turns}) == 18


class Drawing(TinyLoss):
    """A loss that draws numbers of its own."""

    def generator(self, turn: ganlab.Turn) -> Tensor:
        return super().generator(turn) * torch.rand(())


class Shaky(torch.optim.SGD):
    """An optimizer that draws numbers of its own."""

    def step(self, closure: Any = None) -> None:
        super().step()
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data.add_(torch.randn_like(parameter), alpha=1e-3)


def test_losses_and_optimizers_that_draw_are_as_reproducible() -> None:
    plugin = Plugin(losses={"drawing": Drawing}, optimizers={"shaky": lambda parameters: Shaky(parameters, lr=0.1)})
    options: dict[str, Any] = {"overrides": ['loss={use="drawing"}', 'generator.optimizer={use="shaky"}'], "plugins": [plugin]}
    first, second, third = play(**options), play(Noisy(), **options), play(**options)
    assert same(weights(first), weights(second))
    assert same(weights(first), weights(third))
    losses = Capture()
    play(losses, **options)
    factors = [turn["loss"] for turn in losses.of("generator")]
    assert len(set(factors)) == 5


def test_what_a_trick_draws_is_new_each_time_and_the_same_in_each_run() -> None:
    first, second = Noisy(), Noisy()
    play(first, steps=4)
    play(second, steps=4)
    assert first.drawn == second.drawn
    assert len({value for _, value in first.drawn}) == len(first.drawn)


def test_two_instances_of_a_trick_have_streams_of_their_own() -> None:
    made: list[Noisy] = []

    def make() -> Noisy:
        made.append(Noisy())
        return made[-1]

    play(steps=2, overrides=[trick("noisy", "one"), trick("noisy", "two")], plugins=[Plugin(tricks={"noisy": make})])
    one, two = made
    assert [where for where, _ in one.drawn] == [where for where, _ in two.drawn]
    assert not {value for _, value in one.drawn} & {value for _, value in two.drawn}


def test_what_a_trick_draws_does_not_depend_on_where_the_run_was_resumed(tmp_path: Path) -> None:
    whole, before, after = Noisy(), Noisy(), Noisy()
    play(whole, steps=6)
    stopped = play(before, StopAt(3), steps=6, folder=tmp_path)
    resumed(stopped.path, after)
    assert after.drawn[0] == whole.drawn[0]
    assert before.drawn + after.drawn[1:] == whole.drawn


def test_everything_leaves_torchs_default_generator_as_it_found_it(tmp_path: Path) -> None:
    torch.manual_seed(77)
    before = torch.get_rng_state()
    run = prepare(Noisy(), steps=3, overrides=RICH, folder=tmp_path)
    assert before.equal(torch.get_rng_state())
    execute(run)
    assert before.equal(torch.get_rng_state())
    run.generate(torch.zeros(3, 3))
    assert before.equal(torch.get_rng_state())
    with pytest.raises(ganlab.GanlabError):
        play(Noisy(), steps=2, overrides=["train.init_from=nowhere"])
    assert before.equal(torch.get_rng_state())


def test_the_default_generators_state_has_no_say() -> None:
    torch.manual_seed(1)
    first = play(steps=4, overrides=RICH)
    torch.manual_seed(2)
    assert same(weights(first), weights(play(steps=4, overrides=RICH)))


def test_one_players_architecture_does_not_move_the_others_init() -> None:
    def judge(hidden: int) -> Tensor:
        wide = f'generator={{use="mlp",hidden=[{hidden}],optimizer={{use="adam"}}}}'
        return weights(prepare(overrides=[wide]))["discriminator.linear.weight"]

    assert judge(4).equal(judge(9))


def test_dropout_is_new_in_each_pass_of_each_turn() -> None:
    masks: list[tuple[Any, ...]] = []

    class Masks(nn.Module):
        def __init__(self, spec: ganlab.NetworkSpec) -> None:
            super().__init__()
            self.linear = nn.Linear(2, 1)

        def forward(self, x: Tensor) -> Tensor:
            masks.append(tuple(nn.functional.dropout(torch.ones(40), 0.5).tolist()))
            y: Tensor = self.linear(x)
            return y

    play(steps=4, overrides=['discriminator={use="masks",optimizer={use="sgd"}}'], plugins=[Plugin(networks={"masks": Masks})])
    assert len(masks) == 12
    assert len(set(masks)) == 12


def test_streams_are_unrelated() -> None:
    names = [derive(seed, name, number) for seed in range(3) for name in ("noise", "data", "noise/1") for number in range(5)]
    assert len(set(names)) == len(names)
    assert all(0 <= value < 2**63 for value in names)
    moments = [mix(derive(0, "noise"), moment) for moment in range(2000)]
    assert len(set(moments)) == 2000
    shared = [bin(a ^ b).count("1") for a, b in pairwise(moments)]
    assert 28 < sum(shared) / len(shared) < 35  # neighbours differ in half of 63 bits
    streams = Streams(0, torch.device("cpu"))
    a, b, again = (torch.rand(4, generator=streams.generator(name, moment)) for name, moment in (("a", 5), ("b", 5), ("a", 5)))
    assert a.equal(again)
    assert not a.equal(b)


def test_the_order_of_the_data_is_a_function_of_seed_and_epoch() -> None:
    def epochs(seed: int, count: int = 3) -> list[list[int]]:
        feed = DataOrder(23, 4, seed)
        return [[index for _ in range(feed.per_epoch) for index in feed.next().tolist()] for _ in range(count)]

    first, second, third = epochs(5)
    for epoch in (first, second, third):
        assert len(set(epoch)) == 20  # five full batches, nothing twice
    assert first != second
    assert epochs(5) == [first, second, third]
    assert epochs(6)[0] != first
    jumped = DataOrder(23, 4, 5)
    jumped.drawn = 11
    assert jumped.next().tolist() == third[4:8]
    assert (jumped.drawn, jumped.epoch) == (12, 2)
    assert jumped.peek().tolist() == jumped.peek().tolist() == third[8:12]


def test_every_sample_is_shown_in_the_long_run() -> None:
    feed = DataOrder(23, 4, 0)
    assert {index for _ in range(50) for index in feed.next().tolist()} == set(range(23))


def test_contiguous_batches_follow_each_other_from_a_start_drawn_anew() -> None:
    """T4: the start is uniform in 0 .. N - B - 1 inclusive: of 12 samples, batches of 4 begin at 0 to 7, and sample 11 is never shown."""
    feed = DataOrder(12, 4, 0, contiguous=True)
    drawn = [feed.next().tolist() for _ in range(4000)]
    assert all(batch == list(range(batch[0], batch[0] + 4)) for batch in drawn)
    starts = torch.bincount(torch.tensor([batch[0] for batch in drawn]))
    assert len(starts) == 8
    assert ((starts - 500).abs() < 5 * (4000 * 1 / 8 * 7 / 8) ** 0.5).all()  # five standard deviations
    assert (feed.per_epoch, feed.epoch) == (3, 1333)
    jumped = DataOrder(12, 4, 0, contiguous=True)
    jumped.drawn = 70
    assert jumped.peek().tolist() == jumped.next().tolist() == drawn[70]
    assert [DataOrder(12, 4, 1, contiguous=True).next().tolist() for _ in range(9)] != drawn[:9]


def test_sheets_are_of_noise_that_is_the_same_all_through(tmp_path: Path) -> None:
    class Still:
        @ganlab.hookimpl
        def before_update(self, turn: ganlab.Turn) -> None:
            turn.player.scale_gradients(0.0)

    run: Run = play(Still(), steps=6, overrides=["train.sample_every=3"], folder=tmp_path)
    sheets = [path.read_bytes() for path in sorted((run.path / "samples").iterdir())]
    assert len(sheets) == 3
    assert len(set(sheets)) == 1
    latent = torch.zeros(1500, 3)
    assert run.generate(latent).equal(run.generate(latent))
