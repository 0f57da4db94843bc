"""On an accelerator nobody waits for the device inside a turn: every shipped recipe and trick, watched on the CPU in its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import trick
from torch.utils._python_dispatch import _disable_current_modes

from ganlab.game import guard, loop
from ganlab.game.data_order import DataOrder
from ganlab.recipe import shipped_recipes
from ganlab.registry.catalogue import Catalogue
from ganlab.runs.run import Run
from ganlab.runs.training import execute
from ganlab.testing import prepare
from ganlab.testing.waits import Waits
from ganlab_optimizers import EpsilonHatAdam

RECIPES = [name for name in shipped_recipes() if name != "defaults"]
TRICKS = [entry.name for entry in Catalogue.of_installed().entries(["trick"]) if entry.plugin != "mlflow"]
OPTIONS: dict[str, dict[str, Any]] = {"discriminator_head_start": {"steps": 2}, "system_metrics": {"every_seconds": 0.01}}
GAME = [
    'generator={use="mlp",hidden=[6],batch_norm="before_activation",optimizer={use="adam",lr=0.01}}',
    'discriminator={use="mlp",hidden=[6],dropout=0.2,optimizer={use="adam",lr=0.01,epsilon_hat=true}}',
    'loss={use="bce"}',
]


@pytest.fixture(autouse=True)
def accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is on the host but what torch keeps there also with an accelerator."""
    made = guard.Guard.__init__

    def init(self: guard.Guard, *given: Any) -> None:
        made(self, *given)
        self.on_cpu = False

    monkeypatch.setattr(guard.Guard, "__init__", init)
    monkeypatch.setattr(EpsilonHatAdam, "counts_on_host", False)
    peek = DataOrder.peek

    def unseen(self: DataOrder) -> torch.Tensor:
        with _disable_current_modes():
            return peek(self)

    monkeypatch.setattr(DataOrder, "peek", unseen)  # which sample is next is drawn on the host


def waits(run: Run, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What waits for the device within the run's turns, but for a player's first, in which its optimizer makes its state."""
    on_host = [p.optimizer for p in run.players.values() if not p.optimizer.defaults.get("fused")]  # their counts of steps are
    seen = Waits(on_host)
    plan, compute, apply = loop.plan, loop.compute, loop.apply

    def watched(run: Run, step: int) -> Iterator[list[Any]]:
        groups = plan(run, step)
        while (group := seen.around(next)(groups, None)) is not None:
            yield group

    monkeypatch.setattr(loop, "plan", watched)
    for name, move in (("compute", compute), ("apply", apply)):
        monkeypatch.setattr(loop, name, lambda run, turn, move=move: (seen.around(move) if turn.player.updates else move)(run, turn))
    execute(run)
    return seen.seen


def declared(run: Run) -> set[str]:
    """Which of its tricks say why they must wait."""
    return {one.name for one in run.tricks if getattr(one.instance, "host_sync", "")}


@pytest.mark.parametrize("name", RECIPES)
def test_no_turn_of_a_shipped_recipe_waits(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = prepare(name, steps=4, folder=tmp_path, overrides=["train.log_every=2"])
    may = declared(run)
    assert may == ({"adaptive_generator_steps"} if name == "mnist_adaptive" else set())
    assert waits(run, monkeypatch) == ({"item()"} if may else set())


@pytest.mark.parametrize("name", TRICKS)
@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_no_turn_with_a_shipped_trick_waits(name: str, policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = [f"train.non_finite={policy}", trick(name, **OPTIONS.get(name, {}))]
    run = prepare(steps=5, folder=tmp_path, overrides=[*GAME, *more])
    assert waits(run, monkeypatch) == ({"item()"} if declared(run) else set())


def test_metrics_that_are_added_up_within_a_turn_wait_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganlab.game.metrics.FOLD_AT", 2)
    assert waits(prepare(steps=5, folder=tmp_path, overrides=[*GAME, "train.log_every=100"]), monkeypatch) == set()


@pytest.mark.parametrize("option", ["discriminator_turn=one_pass", "discriminator_turn=two_updates", "order=simultaneous",
                                    "real_batches=contiguous", "discriminator_statistics=false"])  # fmt: skip
def test_no_schedule_waits(option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits(prepare(steps=4, folder=tmp_path, overrides=[*GAME, f"schedule.{option}"]), monkeypatch) == set()
