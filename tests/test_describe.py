"""What `ganlab describe` says of a recipe: layers, shapes, and numbers of parameters."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from engine_support import Plugin, trick
from torch import nn

from ganlab.cli import main
from ganlab.recipe import shipped_recipes
from ganlab.screen.summary import layers_of
from ganlab.testing import prepare

DIGITS = ["--set", "data.use=digits"]


def describe(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    with pytest.raises(SystemExit) as left:
        main(["describe", *words])
    assert not left.value.code
    return capsys.readouterr().out.splitlines()


def test_the_keras_tutorials_networks_as_its_own_summary_counts_them(capsys: pytest.CaptureFixture[str]) -> None:
    lines = describe(capsys, "mnist_keras_batchnorm", *DIGITS)
    cells = [line.split() for line in lines]
    assert lines[0] == "generator: mlp, EpsilonHatAdam"
    assert cells[2] == ["input", "100"]
    assert cells[3] == ["layers.0", "Linear", "256", "25,856"]
    assert cells[5] == ["layers.2", "BiasedBatchNorm1d", "256", "1,024", "512"]
    assert cells[14] == ["output", "1", "x", "28", "x", "28"]
    assert lines[15] == "1,493,520 parameters in all: 1,489,936 trainable, 3,584 not trainable"
    assert "1,066,497 parameters in all: 1,066,497 trainable, 0 not trainable" in lines
    assert "step    discriminator on real and fake then generator on fake" in lines
    assert "noise   normal of shape (100,)" in lines
    assert any("32 real and 32 fake samples for D, 64 for G" in line for line in lines)


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_every_shipped_recipe_is_described_and_its_layers_add_up(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = describe(capsys, name, *(DIGITS if name != "ring" else []), "--set", "train.batch_size=8")
    run = prepare(recipe=name)
    for role, player in run.players.items():
        layers = layers_of(player, run.game)
        assert sum(layer.trainable for layer in layers) == sum(p.numel() for p in player.network.parameters())
        assert all(layer.shape is not None for layer in layers)
        start = next(i for i, line in enumerate(lines) if line.startswith(f"{role}: "))
        end = lines.index("", start)
        rows = [line.split() for line in lines[start + 3 : end - 2]]
        assert len(rows) == len(layers)
        total = sum(int(row[3].replace(",", "")) for row in rows)
        assert lines[end - 1].startswith(f"{total:,} parameters in all: ")


class Odd(nn.Module):
    """Parameters of its own beside a module, one shared, one frozen, and one module that is never called."""

    def __init__(self, spec: object) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.inner = nn.Linear(3, 2)
        self.twin = nn.Linear(3, 2)
        self.twin.weight = self.inner.weight
        self.twin.bias.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x * self.scale)


def test_layers_of_a_network_that_is_no_sequence() -> None:
    run = prepare(overrides=["generator.use=odd"], plugins=[Plugin(networks={"odd": Odd})])
    found = [(layer.name, layer.kind, layer.shape, layer.trainable, layer.fixed) for layer in layers_of(run.players["generator"], run.game)]
    assert found == [
        ("(itself)", "Odd", (2,), 3, 0),
        ("inner", "Linear", (2,), 8, 0),
        ("twin", "Linear", None, 0, 2),
    ]


def test_a_parametrized_weight_is_counted_as_its_layers_own(tmp_path: Path) -> None:
    run = prepare(overrides=[trick("spectral_normalization"), 'discriminator={use="mlp",hidden=[5],optimizer={use="sgd"}}'])
    first, _, last = layers_of(run.players["discriminator"], run.game)
    assert (first.kind, first.shape, first.trainable) == ("Linear", (5,), 15)
    assert (last.kind, last.shape, last.trainable) == ("Linear", (1,), 6)
    assert (first.fixed, last.fixed) == (5 + 2, 1 + 5)  # the vectors of the power iteration


def test_describing_changes_nothing_of_the_run() -> None:
    run = prepare(overrides=['generator={use="mlp",hidden=[5],batch_norm="before_activation",dropout=0.5,optimizer={use="sgd"}}'])
    player = run.players["generator"]
    before, state = {k: v.clone() for k, v in player.network.state_dict().items()}, torch.get_rng_state()
    layers_of(player, run.game)
    assert player.network.training
    assert all(v.equal(before[k]) for k, v in player.network.state_dict().items())
    assert torch.get_rng_state().equal(state)
    assert not any(module._forward_hooks for module in player.network.modules())
