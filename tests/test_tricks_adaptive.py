"""T3's rule: the generator trains, repeats, rests and is capped exactly when the tutorial says."""

from __future__ import annotations

import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import Capture, Plugin, StopAt, lines, resumed, same, trick, weights

import ganlab
from ganlab.errors import UsageError
from ganlab.game.turn import Turn
from ganlab.testing import play, prepare

MODES = ["schedule.generator_mode=eval", "schedule.discriminator_mode=eval", "train.dtype=float64"]
T3 = ["schedule.discriminator_turn=two_updates", *MODES]
BCE = 'loss={use="bce",saturating=true}'
LOW, HIGH = 0.01, 0.6  # |l| below and above generator_loss_below


def adaptive(**options: Any) -> str:
    return trick("adaptive_generator_steps", "rule", **options)


def logit(loss: float) -> float:
    """The fake score whose -log(1 - D(G(z))) is ``loss``."""
    return math.log(math.expm1(loss))


class Script:
    """A discriminator that says what it is told: ``losses[step]`` is (l_r, l_f, [|l| of the generator's first update, second ...])."""

    def __init__(self, losses: list[tuple[float, float, list[float]]]) -> None:
        self.losses = losses
        self.updates: Counter[int] = Counter()

    @ganlab.hookimpl
    def after_scores(self, turn: Turn) -> None:
        real, fake, generator = self.losses[turn.step - 1]
        if turn.real_scores is not None:
            turn.real_scores = turn.real_scores * 0 - logit(real)
        if turn.fake_scores is not None:
            if turn.role == "generator":
                fake = generator[min(self.updates[turn.step], len(generator) - 1)]
            turn.fake_scores = turn.fake_scores * 0 + logit(fake)

    @ganlab.hookimpl
    def after_update(self, turn: Turn) -> None:
        self.updates[turn.step] += turn.role == "generator"


def scripted(
    losses: list[tuple[float, float, list[float]]], *overrides: str, turn: str = "two_updates", **options: Any
) -> tuple[list[int], dict[str, float]]:
    """How often the generator was updated in each step, and the sums of what the rule counts."""
    script, capture = Script(losses), Capture()
    given = [*MODES, f"schedule.discriminator_turn={turn}", BCE, trick("script"), *overrides, adaptive(**options)]
    given += [f"train.log_every={len(losses)}"]
    play(capture, steps=len(losses), overrides=given, plugins=[Plugin(tricks={"script": lambda: script})])
    ((_, metrics),) = capture.metrics
    counts = {name.partition("/")[2]: value for name, value in metrics.items() if name.startswith("adaptive/")}
    return [script.updates[step] for step in range(1, len(losses) + 1)], counts


def tutorial(losses: list[tuple[float, float, list[float]]], most: int = 50) -> tuple[list[int], dict[str, float]]:
    """The tutorial's while loop, in plain Python, with our reading of what its excerpt leaves out, and the cap."""
    rest, updates, counts = 0, [], Counter(updates=0, trained=0, rested=0, waited=0, capped=0)
    for l_r, l_f, generator in losses:
        loss, taken = 0.0, 0
        resting = rest > 0
        while l_r + l_f < 1.75 and rest <= 0 and abs(loss) < 0.1:
            if taken == most:
                counts["capped"] += 1
                break
            loss = -generator[min(taken, len(generator) - 1)]
            taken += 1
        if taken:
            rest = int(1 + 6 * abs(loss))
        elif resting:
            rest -= 1
        counts["updates"] += taken
        counts["trained" if taken else "rested" if resting else "waited"] += 1
        updates.append(taken)
    return updates, dict(counts)


def test_it_rests_as_long_as_its_loss_says() -> None:
    for loss, idle in ((0.5 + 1e-9, 4), (0.1 + 1e-9, 1), (0.4, 3), (1.0 + 1e-9, 7), (3.0, 19)):
        updates, counts = scripted([(0.5, 0.5, [loss])] * (2 * idle + 3))
        assert updates == [1, *[0] * idle, 1, *[0] * idle, 1]
        assert counts == {"updates": 3, "trained": 3, "rested": 2 * idle, "waited": 0, "capped": 0}


def test_it_waits_while_the_discriminator_is_too_weak_to_teach() -> None:
    weak, strong = (1.0, 0.76, [HIGH]), (1.0, 0.74, [HIGH])
    updates, counts = scripted([weak, weak, strong, *[weak] * 4, strong])
    assert updates == [0, 0, 1, 0, 0, 0, 0, 1]  # it rests 4 steps after the third, though D is too weak in them as well
    assert counts == {"updates": 2, "trained": 2, "rested": 4, "waited": 2, "capped": 0}


def test_both_sides_of_the_discriminators_loss_count() -> None:
    updates, _ = scripted([(1.74, 0.02, [HIGH]), (0.02, 1.74, [HIGH]), (1.74, 0.005, [HIGH])])
    assert updates == [0, 0, 1]


def test_it_trains_on_while_its_loss_is_small() -> None:
    updates, counts = scripted([(0.5, 0.5, [LOW, LOW, LOW, HIGH]), (0.5, 0.5, [LOW])])
    assert updates == [4, 0]
    assert counts == {"updates": 4, "trained": 1, "rested": 1, "waited": 0, "capped": 0}


def test_the_cap_ends_what_would_never_end() -> None:
    updates, counts = scripted([(0.5, 0.5, [LOW])] * 3)
    assert updates == [50, 0, 50]
    assert counts == {"updates": 100, "trained": 2, "rested": 1, "waited": 0, "capped": 2}


def test_the_cap_counts_as_hit_only_when_the_rule_still_wants_more() -> None:
    updates, counts = scripted([(0.5, 0.5, [LOW, LOW, HIGH]), *[(9.0, 9.0, [LOW])] * 4, (0.5, 0.5, [LOW])], max_updates=3)
    assert updates == [3, 0, 0, 0, 0, 3]
    assert counts["capped"] == 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("turn", ["two_updates", "two_passes"])
def test_it_is_the_tutorials_loop_on_any_sequence_of_losses(seed: int, turn: str) -> None:
    dice = random.Random(seed)

    def generator() -> float:
        return dice.uniform(0.001, 0.105) if dice.random() < 0.85 else dice.expovariate(2)

    losses = [(dice.uniform(0.3, 1.2), dice.uniform(0.3, 1.2), [generator() for _ in range(8)]) for _ in range(150)]
    updates, counts = scripted(losses, turn=turn, max_updates=7)
    assert (updates, counts) == tutorial(losses, most=7)
    assert all(counts[name] for name in ("trained", "rested", "waited", "capped"))
    assert max(updates) == 7


def test_every_option_moves_its_threshold() -> None:
    step = (0.5, 0.5, [0.05, 0.05, 0.05, 0.5 + 1e-9])
    assert scripted([step] * 6)[0] == [4, 0, 0, 0, 0, 4]
    assert scripted([step] * 6, discriminator_loss_below=1.0)[0] == [0] * 6
    assert scripted([step] * 6, generator_loss_below=0.04)[0] == [1, 0, 1, 0, 1, 0]
    assert scripted([step] * 6, rest_per_loss=0.0)[0] == [4, 0, 4, 0, 4, 0]
    assert scripted([step] * 6, rest_per_loss=2.1)[0] == [4, 0, 0, 4, 0, 0]
    assert scripted([step] * 6, max_updates=2)[0] == [2, 0, 2, 0, 2, 0]


def test_its_own_losses_are_those_that_tricks_before_it_leave() -> None:
    """With the clamp, |l| is of clamped scores, as T3 writes it."""
    clamp = trick("clamp", margin=0.3)  # log(1 - clamp(D)) >= log 0.3 = -1.2
    given = [(0.5, 0.5, [5.0])] * 10
    assert scripted(given)[0] == [1, *[0] * 9]  # 5.0: 31 steps of rest
    with_clamp, counts = scripted(given, clamp)
    assert with_clamp == [1, *[0] * 8, 1]  # 1.2: 8 steps
    assert counts["rested"] == 8


def test_several_generator_steps_keep_to_the_rule_and_its_cap() -> None:
    calm, eager = (0.5, 0.5, [HIGH]), (0.5, 0.5, [LOW])
    assert scripted([calm] * 6, "schedule.generator_steps=3")[0] == [1, 0, 0, 0, 0, 1]
    assert scripted([eager] * 2, "schedule.generator_steps=3", max_updates=5)[0] == [5, 0]


def test_where_the_generator_plays_first_the_last_steps_loss_decides() -> None:
    strong, weak = (0.5, 0.5, [HIGH]), (2.0, 2.0, [HIGH])
    updates, counts = scripted([strong, strong, strong, strong, weak, strong, strong, weak], "schedule.order=generator_first")
    assert updates == [1, 0, 0, 0, 0, 0, 1, 0]  # with no loss yet D can teach; in step 6 the weak D of step 5 decides
    assert (counts["rested"], counts["waited"]) == (5, 1)


def test_a_repeat_sees_fresh_noise_and_the_same_discriminator() -> None:
    script, capture = Script([(0.5, 0.5, [LOW, LOW, HIGH])]), Capture()
    play(script, capture, steps=1, overrides=[*T3, BCE, adaptive()])
    turns = capture.of("generator")
    assert [turn["repeat"] for turn in turns] == [0, 1, 2]
    assert len({turn["latent"].sum().item() for turn in turns}) == 3
    assert turns[0]["weights"]["discriminator.linear.weight"].equal(turns[2]["weights"]["discriminator.linear.weight"])


@pytest.mark.parametrize("stop", [1, 2, 3, 5, 6, 9])
def test_what_it_remembers_survives_a_checkpoint(stop: int, tmp_path: Path) -> None:
    losses = [(0.5, 0.5, [LOW, HIGH]), *[(0.6, 0.6, [0.3])] * 4, (2.0, 2.0, [0.3]), *[(0.5, 0.5, [0.2])] * 6]
    options: dict[str, Any] = {"steps": len(losses), "overrides": [*T3, BCE, adaptive(), "train.log_every=4"]}
    whole, parts = Script(losses), Script(losses)
    never = play(whole, folder=tmp_path / "never", **options)
    stopped = play(parts, StopAt(stop), folder=tmp_path / "stopped", **options)
    assert (stopped.step, stopped.info["status"]) == (stop, "interrupted")
    run = resumed(stopped.path, parts)
    assert whole.updates == parts.updates
    assert same(weights(never), weights(run))
    assert lines(never) == lines(run)


def test_it_is_refused_where_scores_are_no_logits() -> None:
    with pytest.raises(UsageError) as caught:
        prepare(overrides=[adaptive(), 'loss={use="relativistic_bce"}'])
    assert str(caught.value) == (
        f"adaptive_generator_steps needs scores that are logits, and those of loss 'relativistic_bce' (plugin losses, "
        f"ganlab {ganlab.__version__}) are not\nuse the loss bce, or remove adaptive_generator_steps"
    )


def test_the_headline_recipe_has_the_tutorials_numbers() -> None:
    run = prepare(recipe="mnist_adaptive")
    (rule,) = [trick.instance for trick in run.tricks if trick.name == "adaptive_generator_steps"]
    numbers = (rule.discriminator_loss_below, rule.generator_loss_below, rule.rest_per_loss, rule.max_updates, rule.rest)  # type: ignore[attr-defined]
    assert numbers == (1.75, 0.1, 6.0, 50, 0)
    assert [(part.player, part.sides) for group in run.groups for part in group] == [
        ("discriminator", ("real",)),
        ("discriminator", ("fake",)),
        ("generator", ("fake",)),
    ]
    assert run.losses["generator"].instance.saturating
    assert torch.get_default_dtype() == torch.float32
