"""What every first-party trick must bear: each schedule, both dtypes, autocast, and being stopped at any moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import StopAt, lines, resumed, same, trick, weights

from ganlab.registry.catalogue import Catalogue
from ganlab.testing import play

NAMES = [entry.name for entry in Catalogue.of_installed().entries(["trick"]) if entry.plugin != "mlflow"]  # it has tests of its own
OPTIONS: dict[str, dict[str, Any]] = {"discriminator_head_start": {"steps": 2}, "system_metrics": {"every_seconds": 0.01}}
GAME = [
    'generator={use="mlp",hidden=[6],batch_norm="before_activation",optimizer={use="adam",lr=0.01}}',
    'discriminator={use="mlp",hidden=[6],dropout=0.2,optimizer={use="adam",lr=0.01}}',
    'loss={use="bce"}',
]


def test_there_are_tricks_to_test() -> None:
    assert {"clamp", "r1_penalty", "packing", "spectral_normalization", "loss_plot"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_it_goes_with_every_schedule_and_type_of_numbers(name: str, tmp_path: Path) -> None:
    for more in (
        ["schedule.discriminator_turn=one_pass", "train.dtype=float64"],
        ["schedule.discriminator_turn=two_updates", "schedule.first_side=fake", "train.autocast=bfloat16"],
        ["schedule.order=simultaneous", "train.autocast=bfloat16"],
        ["schedule.order=generator_first", "schedule.discriminator_steps=2", "schedule.generator_steps=2", "schedule.noise=per_step"],
    ):
        run = play(steps=5, overrides=[*GAME, *more, trick(name, **OPTIONS.get(name, {}))], folder=tmp_path)
        assert run.info["status"] == "finished"
        assert all(value.isfinite().all() for value in weights(run).values())
        assert run.players["generator"].updates > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_run_with_it_may_be_stopped(name: str, tmp_path: Path) -> None:
    overrides = [*GAME, trick(name, **OPTIONS.get(name, {})), "train.log_every=4", "schedule.discriminator_turn=two_updates"]
    never = play(steps=9, overrides=overrides, folder=tmp_path / "never")
    stopped = play(StopAt(5), steps=9, overrides=overrides, folder=tmp_path / "stopped")
    run = resumed(stopped.path)
    assert same(weights(never), weights(run))
    assert lines(never) == lines(run)


@pytest.mark.parametrize("name", NAMES)
def test_it_moves_no_default_generator(name: str, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    play(steps=1, overrides=[*GAME, trick(name, **OPTIONS.get(name, {}))], folder=tmp_path)
    assert before.equal(torch.get_rng_state())
