"""Every optimizer, loss, network option and shipped recipe resumes exactly; tricks are in test_tricks_all.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_support import StopAt, lines, resumed, same, weights

from ganlab.recipe import shipped_recipes
from ganlab.registry.catalogue import Catalogue
from ganlab.runs.run import Run
from ganlab.storage import checkpoint
from ganlab.testing import play

OPTIMIZERS = [
    'use="adam"',
    'use="adam",amsgrad=true,weight_decay=0.01',
    'use="adam",epsilon_hat=true,decay=0.1',
    'use="adamw"',
    'use="adamw",amsgrad=true',
    'use="sgd"',
    'use="sgd",momentum=0.9',
    'use="sgd",momentum=0.9,nesterov=true,weight_decay=0.01',
    'use="sgd",momentum=0.9,dampening=0.5',
    'use="adagrad"',
    'use="adagrad",lr_decay=0.1',
    'use="rmsprop"',
    'use="rmsprop",momentum=0.5,centered=true',
]
NETWORKS = [
    "hidden=[]",
    "hidden=[6,5],dropout=0.3",
    'hidden=[6],batch_norm="before_activation"',
    'hidden=[6],batch_norm="after_activation",batch_norm_variance="biased",dropout=0.5',
    'hidden=[6],activation="gelu",init="orthogonal",bias_init="normal"',
]
LOSSES = ['use="bce"', 'use="bce",saturating=true', 'use="bce",derivative="matlab_published"', 'use="relativistic_bce"']


def exact(folder: Path, overrides: list[str], recipe: str = "", steps: int = 11) -> Run:
    """Plays once without and twice with a stop, and compares everything."""
    given = [*overrides, "train.log_every=4", "train.checkpoint_every=3"]
    never = play(recipe=recipe, steps=steps, overrides=given, folder=folder / "never")
    first = play(StopAt(4), recipe=recipe, steps=steps, overrides=given, folder=folder / "stopped")
    second = resumed(first.path, StopAt(8))
    run = resumed(second.path)
    assert run.step == steps
    assert same(weights(never), weights(run))
    assert lines(never) == lines(run)
    assert never.counters == run.counters
    ours, theirs = (checkpoint.load(one.checkpoints()[-1]) for one in (run, never))
    assert str(ours) == str(theirs)
    assert run.checkpoints()[-1].read_bytes() == never.checkpoints()[-1].read_bytes()
    return run


def test_every_optimizer_and_loss_is_here() -> None:
    catalogue = Catalogue.of_installed()
    for kind, tried in (("optimizer", OPTIMIZERS), ("loss", LOSSES)):
        assert {options.split('"')[1] for options in tried} == set(catalogue.names(kind))  # type: ignore[arg-type]


@pytest.mark.parametrize("options", OPTIMIZERS)
def test_every_optimizer_resumes_exactly(options: str, tmp_path: Path) -> None:
    exact(tmp_path, [f'{role}={{use="mlp",hidden=[5],optimizer={{{options},lr=0.01}}}}' for role in ("generator", "discriminator")])


@pytest.mark.parametrize("options", NETWORKS)
def test_every_network_option_with_a_state_resumes_exactly(options: str, tmp_path: Path) -> None:
    exact(tmp_path, [f'{role}={{use="mlp",{options},optimizer={{use="adam"}}}}' for role in ("generator", "discriminator")])


@pytest.mark.parametrize("options", LOSSES)
def test_every_loss_resumes_exactly(options: str, tmp_path: Path) -> None:
    exact(tmp_path, [f"loss={{{options}}}"])


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_every_shipped_recipe_resumes_exactly(name: str, tmp_path: Path) -> None:
    """On the tiny problem's points, with everything else as it is shipped but the sizes of its batches."""
    smaller = [
        'data={use="tiny"}',
        "train.batch_size=8",
        *(["train.discriminator_batch_size=4"] if name == "mnist_keras_batchnorm" else []),
    ]
    exact(tmp_path, smaller, name)
