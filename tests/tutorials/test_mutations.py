"""The comparison with the ports can fail: a recipe that is changed in any way that changes the numbers no longer agrees with its port.

The table says what each change does to each recipe: it is *noticed*; or it is *harmless*, because for this recipe it is the same
mathematics (which is tested too); or it is *refused* when the recipe is loaded; or it is *absent*, because there is nothing to change.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from beside import NARROW, PORTS, beside, distances
from engine_support import Plugin
from tape import TapeError
from test_recipes_equal_ports import DOUBLE, Hot

import ganlab
from ganlab.errors import PluginError, RecipeError

#: T3 from a start where, within 8 steps, probabilities are clamped on both sides, gradients clipped, and G's turn repeated.
HOT = Hot(400.0, 5.0)
HOT_STEPS = 8
AGREEMENT = 1e-10


class TorchsClipping:
    """``clip_grad_norm_``: divides by norm + 1e-6, where the tutorial divides by the norm."""

    @ganlab.hookimpl
    def before_update(self, turn: Any) -> None:
        torch.nn.utils.clip_grad_norm_(turn.player.parameters, 1.0)


@dataclass(frozen=True)
class Noticed:
    """The numbers change."""

    overrides: tuple[str, ...]
    start: Hot | None = None
    steps: int = 6


@dataclass(frozen=True)
class Harmless:
    """The same mathematics, for the reason given."""

    overrides: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Refused:
    """An impossible recipe; ``why`` is a part of what is said."""

    overrides: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Absent:
    """Nothing there to change."""

    why: str


Effect = Noticed | Harmless | Refused | Absent


def noticed(*overrides: str, steps: int = 6) -> Noticed:
    return Noticed(overrides, steps=steps)


def noticed_when_hot(*overrides: str) -> Noticed:
    return Noticed(overrides, HOT, HOT_STEPS)


def both(option: str) -> tuple[str, str]:
    """An option of both players' optimizers."""
    return f"generator.optimizer.{option}", f"discriminator.optimizer.{option}"


MLP, ADAM, SGD, PUBLISHED, LARGE, BEST, ONE, ADAPTIVE, KERAS = PORTS
MATLAB, SCRATCH = (ADAM, SGD, PUBLISHED), (LARGE, BEST, ONE)
TWO_PASSES = (MLP, *SCRATCH)

NO_DROPOUT = "without dropout or batch normalization both modes are the same"
SUM = "the sum of two passes is the same in either order"
ROWS = "rows of one batch do not see each other, and a mean has no order"
NOT_CLIPPED, NOT_CLAMPED = Absent("gradients are not clipped"), Absent("probabilities are not clamped")
NO_NORM = Absent("there is no batch normalization")
NO_DECAY = "decay belongs to epsilon_hat = true"
SIDES = "each update has one side's loss alone"


def of(names: tuple[str, ...], effect: Effect) -> dict[str, Effect]:
    return dict.fromkeys(names, effect)


TABLE: dict[str, dict[str, Effect]] = {
    "update order": {
        **of((*TWO_PASSES, ADAPTIVE, KERAS), noticed("schedule.order=generator_first")),
        **of(MATLAB, noticed("schedule.order=discriminator_first")),
    },
    "simultaneous updates": {
        **of((*TWO_PASSES, *MATLAB, KERAS), noticed("schedule.order=simultaneous")),
        ADAPTIVE: Refused(("schedule.order=simultaneous",), "the second update would see the first"),
    },
    "summed against averaged D loss": {
        **of(TWO_PASSES, noticed("schedule.discriminator_loss=mean")),
        **of((*MATLAB, KERAS), noticed("schedule.discriminator_loss=sum")),
        ADAPTIVE: Refused(("schedule.discriminator_loss=mean",), SIDES),
    },
    "fresh against reused noise": {
        **of((*TWO_PASSES, ADAPTIVE), noticed("schedule.noise=per_step")),
        **of(MATLAB, noticed("schedule.noise=fresh")),
        KERAS: Refused(("schedule.noise=per_step",), "both players use the same latents"),
    },
    "mode of G when it makes fakes for D": {
        **of((*TWO_PASSES, *MATLAB), Harmless(("schedule.generator_mode=eval",), NO_DROPOUT)),
        ADAPTIVE: Harmless(("schedule.generator_mode=train",), NO_DROPOUT),
        KERAS: noticed("schedule.generator_mode=train"),
    },
    "mode of D in G's turn": {
        **of((MLP, BEST), noticed("schedule.discriminator_mode=eval")),
        **of((LARGE, ONE, *MATLAB, KERAS), Harmless(("schedule.discriminator_mode=eval",), NO_DROPOUT)),
        ADAPTIVE: Harmless(("schedule.discriminator_mode=train",), NO_DROPOUT),
    },
    "eps placement": {
        **of((*TWO_PASSES, ADAPTIVE), noticed(*both("epsilon_hat=true"))),
        **of((ADAM, PUBLISHED), noticed(*both("epsilon_hat=false"))),
        SGD: Absent("plain gradient descent has no eps"),
        KERAS: noticed(*both("epsilon_hat=false"), *both("decay=0.0")),  # its decay alone changes far less: see below
    },
    "lr decay": {
        **of((*TWO_PASSES, ADAPTIVE), Refused(both("decay=8e-8"), NO_DECAY)),
        **of((ADAM, PUBLISHED), noticed(*both("decay=8e-8"))),
        SGD: Absent("plain gradient descent has no decay"),
        KERAS: noticed(*both("decay=0.0")),
    },
    "clip rule": {
        **of((*TWO_PASSES, *MATLAB, KERAS), NOT_CLIPPED),
        ADAPTIVE: noticed_when_hot("tricks.gradient_clipping.enabled=false", 'tricks.other={use="torchs_clipping"}'),
    },
    "clip bound": {
        **of((*TWO_PASSES, *MATLAB, KERAS), NOT_CLIPPED),
        ADAPTIVE: noticed_when_hot("tricks.gradient_clipping.max_norm=0.9"),
    },
    "clamp bounds": {
        **of((*TWO_PASSES, *MATLAB, KERAS), NOT_CLAMPED),
        ADAPTIVE: noticed_when_hot("tricks.clamp.margin=1.1e-3"),
    },
    "clamp at both ends": {
        **of((*TWO_PASSES, *MATLAB, KERAS), NOT_CLAMPED),
        ADAPTIVE: noticed_when_hot("tricks.clamp.both_ends=true"),
    },
    "label value, real": {
        **of((MLP, LARGE, ONE, *MATLAB, ADAPTIVE, KERAS), noticed("loss.real_label=0.99")),
        BEST: noticed("loss.real_label=1.0"),
    },
    "label value, fake": {
        **of((MLP, LARGE, ONE, *MATLAB, ADAPTIVE, KERAS), noticed("loss.fake_label=0.01")),
        BEST: noticed("loss.fake_label=0.0"),
    },
    "label value, G": {
        **of((*TWO_PASSES, *MATLAB, KERAS), noticed("loss.generator_label=0.99")),
        ADAPTIVE: Refused(("loss.generator_label=0.99",), "generator_label has no effect when saturating = true"),
    },
    "saturating loss": {
        **of((*TWO_PASSES, ADAM, SGD, KERAS), noticed("loss.saturating=true")),
        PUBLISHED: Refused(("loss.saturating=true",), "is that of the non-saturating loss"),
        ADAPTIVE: noticed("loss.saturating=false"),
    },
    "derivative of the loss": {
        **of((*TWO_PASSES, ADAM, KERAS), noticed("loss.derivative=matlab_published")),
        SGD: noticed("loss.derivative=matlab_published", steps=20),  # its logits are below 0 at first, where both are right
        PUBLISHED: noticed("loss.derivative=exact"),
        ADAPTIVE: Refused(("loss.derivative=matlab_published",), "is that of the non-saturating loss"),
    },
    "which side comes first": {
        **of((MLP, BEST), noticed("schedule.first_side=fake")),  # each pass draws its own dropout
        **of((LARGE, ONE), Harmless(("schedule.first_side=fake",), SUM)),
        **of(MATLAB, Harmless(("schedule.first_side=real",), ROWS)),
        KERAS: Harmless(("schedule.first_side=fake",), ROWS),
        ADAPTIVE: noticed("schedule.first_side=fake"),
    },
    "passes of D": {
        **of((MLP, BEST), noticed("schedule.discriminator_turn=one_pass")),  # dropout is drawn for both sides at once
        **of((LARGE, ONE), Harmless(("schedule.discriminator_turn=one_pass",), ROWS)),
        **of((*MATLAB, KERAS), Harmless(("schedule.discriminator_turn=two_passes",), ROWS)),
        ADAPTIVE: noticed("schedule.discriminator_turn=two_passes"),
    },
    "D's updates in a step": of(tuple(PORTS), noticed("schedule.discriminator_steps=2")),
    "G's updates in a step": {
        **of((*TWO_PASSES, *MATLAB, KERAS), noticed("schedule.generator_steps=2")),
        ADAPTIVE: Harmless(("schedule.generator_steps=2",), "the rule alone decides: after its updates it vetoes the second turn"),
    },
    "learning rate": of(tuple(PORTS), noticed("generator.optimizer.lr=0.0003")),
    "moving variance": {
        **of((*TWO_PASSES, *MATLAB, ADAPTIVE), NO_NORM),
        KERAS: noticed("generator.batch_norm_variance=unbiased"),
    },
    "eps of batch normalization": {
        **of((*TWO_PASSES, *MATLAB, ADAPTIVE), NO_NORM),
        KERAS: noticed("generator.batch_norm_eps=1e-5"),
    },
    "momentum of batch normalization": {
        **of((*TWO_PASSES, *MATLAB, ADAPTIVE), NO_NORM),
        KERAS: noticed("generator.batch_norm_momentum=0.1"),
    },
}
CASES = [(mutation, name) for mutation in TABLE for name in PORTS if not isinstance(TABLE[mutation][name], Absent)]


def apart(name: str, data: Path, effect: Noticed | Harmless) -> float:
    """How far the changed recipe's run is from the port, at most; infinite where they do not even draw the same things."""
    tricks = [effect.start] if isinstance(effect, Noticed) and effect.start else []
    steps = effect.steps if isinstance(effect, Noticed) else 6
    plugin = Plugin(tricks={"torchs_clipping": TorchsClipping})
    try:
        run, replay = beside(name, data, DOUBLE, *NARROW[name], *effect.overrides, steps=steps, tricks=tricks, plugins=[plugin])
    except PluginError as error:  # the recording is a trick, and so is blamed for what its port raises
        mismatched = isinstance(error.__cause__, TapeError) or "size" in str(error.__cause__)  # or dropout masks of other sizes
        if not mismatched:
            raise
        return float("inf")
    return max(distances(run, replay.port).values())


def test_the_table_is_complete() -> None:
    for mutation, effects in TABLE.items():
        assert set(effects) == set(PORTS), mutation
        assert any(isinstance(effect, Noticed) for effect in effects.values()), mutation


@pytest.mark.parametrize(("mutation", "name"), CASES, ids=[f"{mutation}-{name}" for mutation, name in CASES])
def test_a_changed_recipe_disagrees_with_its_port(mutation: str, name: str, mnist_root: Path) -> None:
    effect = TABLE[mutation][name]
    if isinstance(effect, Refused):
        with pytest.raises(RecipeError) as caught:
            beside(name, mnist_root, *effect.overrides, steps=1)
        assert effect.why in str(caught.value)
    elif isinstance(effect, Harmless):
        assert apart(name, mnist_root, effect) < AGREEMENT
    else:
        assert apart(name, mnist_root, effect) > AGREEMENT


def test_keras_eps_placement_is_noticed_beyond_what_its_decay_does(mnist_root: Path) -> None:
    placed, decayed = (apart(KERAS, mnist_root, effect) for effect in (TABLE["eps placement"][KERAS], TABLE["lr decay"][KERAS]))  # type: ignore[arg-type]
    assert placed > 100 * decayed


def test_the_clips_and_clamps_that_are_changed_do_occur(mnist_root: Path) -> None:
    """Or the table would say nothing about them."""
    _, replay = beside(ADAPTIVE, mnist_root, DOUBLE, *NARROW[ADAPTIVE], steps=HOT_STEPS, tricks=[HOT])
    for what in ("clipped", "clamped_real", "clamped_fake"):
        assert sum(step[what] for step in replay.told) > 0
    assert max(step["updates"] for step in replay.told) > 1
