"""Spectral normalization: norms, when the estimate moves, gradients, checkpoints and the exported generator."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import Capture, Plugin, StopAt, lines, resumed, same, trick, weights
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils import parametrize

import ganlab
from ganlab.errors import UsageError
from ganlab.runs.training import execute
from ganlab.testing import play, prepare
from ganlab_stability.spectral import UnitSpectralNorm

DEEP = 'discriminator={use="mlp",hidden=[16,8],optimizer={use="adam",lr=0.01}}'
SPECTRAL = trick("spectral_normalization")


def norms(network: nn.Module) -> list[float]:
    """The true spectral norm of each layer's weight as the layer uses it."""
    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    return [torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item() for layer in layers]


def estimates(network: nn.Module) -> list[Tensor]:
    found = [m for m in network.modules() if isinstance(m, UnitSpectralNorm)]
    return [vector.clone() for one in found for vector in (one.u, one.v)]


def test_every_layer_has_spectral_norm_one() -> None:
    run = prepare(steps=20, overrides=[DEEP, trick("spectral_normalization", iterations=30)])
    assert norms(run.players["discriminator"].network) == pytest.approx([1.0] * 3, rel=0.05)  # 15 iterations from a random start
    execute(run)
    assert norms(run.players["discriminator"].network) == pytest.approx([1.0] * 3, rel=1e-4)
    assert max(norms(run.players["generator"].network)) != pytest.approx(1.0, rel=0.01)


class Convolutions(nn.Module):
    def __init__(self, spec: ganlab.NetworkSpec) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


def test_convolutions_are_matrices_of_their_outputs() -> None:
    plugin = Plugin(networks={"conv": Convolutions}, datasets={"squares": lambda spec: ganlab.ResidentDataset(torch.rand(16, 1, 4, 4))})
    players = ['generator={use="mlp",optimizer={use="sgd"}}', 'discriminator={use="conv",optimizer={use="sgd"}}']
    overrides = ['data={use="squares"}', *players, trick("spectral_normalization", iterations=30)]
    run = play(steps=10, overrides=overrides, plugins=[plugin])
    assert norms(run.players["discriminator"].network) == pytest.approx([1.0, 1.0], rel=1e-4)


def test_the_estimate_moves_once_for_each_of_the_players_own_updates_and_never_else() -> None:
    seen: list[tuple[str, list[Tensor]]] = []

    class Watch:
        @ganlab.hookimpl
        def before_turn(self, run: Any, turn: Any) -> None:
            seen.append((f"before {turn.role}", estimates(run.players["discriminator"].network)))

        @ganlab.hookimpl
        def before_update(self, run: Any, turn: Any) -> None:
            seen.append((f"scored {turn.role}", estimates(run.players["discriminator"].network)))

    run = play(Watch(), steps=2, overrides=[DEEP, SPECTRAL])
    moved = [not all(a.equal(b) for a, b in zip(first, second, strict=True)) for (_, first), (_, second) in pairwise(seen)]
    #                scoring, D's update, scoring, G's update: twice, the last update is past the list
    assert moved == [False, True, False, False, False, True, False]
    before = estimates(run.players["discriminator"].network)
    run.generate(torch.zeros(4, 3))
    with run.players["discriminator"].evaluating():
        run.players["discriminator"](torch.zeros(4, 2))
    assert all(a.equal(b) for a, b in zip(before, estimates(run.players["discriminator"].network), strict=True))


@pytest.mark.parametrize("iterations", [1, 3])
def test_each_update_makes_so_many_power_iterations(iterations: int) -> None:
    run = prepare(steps=1, overrides=["train.dtype=float64", trick("spectral_normalization", iterations=iterations)])
    layer: Any = run.players["discriminator"].network.linear
    u = layer.parametrizations.weight[0].u.clone()
    execute(run)
    for _ in range(iterations):
        v = normalize(layer.parametrizations.weight.original.T @ u, dim=0)
        u = normalize(layer.parametrizations.weight.original @ v, dim=0)
    torch.testing.assert_close(layer.parametrizations.weight[0].u, u.detach(), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(layer.parametrizations.weight[0].v, v.detach(), rtol=1e-12, atol=1e-14)


def test_its_gradient_is_that_of_pytorchs_own() -> None:
    torch.manual_seed(1)
    ours, theirs = nn.Linear(6, 4).double(), nn.Linear(6, 4).double()
    theirs.load_state_dict(ours.state_dict())
    nn.utils.parametrizations.spectral_norm(theirs).eval()
    parametrize.register_parametrization(ours, "weight", UnitSpectralNorm(ours.weight))
    own: Any = ours.parametrizations
    other: Any = theirs.parametrizations
    own.weight[0].u.copy_(other.weight[0]._u)
    own.weight[0].v.copy_(other.weight[0]._v)
    x = torch.randn(5, 6).double()
    gradients = [
        torch.autograd.grad(layer(x).square().sum(), params.weight.original)[0] for layer, params in ((ours, own), (theirs, other))
    ]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-12, atol=1e-14)


def test_the_optimizer_has_the_weights_that_are_trained() -> None:
    run = prepare(overrides=[DEEP, SPECTRAL])
    player = run.players["discriminator"]
    assert {id(p) for p in player.optimizer.param_groups[0]["params"]} == {id(p) for p in player.network.parameters()}
    assert len(player.parameters) == 6


def test_its_estimates_survive_a_checkpoint(tmp_path: Path) -> None:
    options: dict[str, Any] = {"steps": 7, "overrides": [DEEP, SPECTRAL, "train.log_every=3"]}
    never = play(folder=tmp_path / "never", **options)
    stopped = play(StopAt(4), folder=tmp_path / "stopped", **options)
    run = resumed(stopped.path)
    assert any(name.endswith("parametrizations.weight.0.u") for name in weights(run))
    assert same(weights(never), weights(run))
    assert lines(never) == lines(run)


def test_the_generators_layers_and_its_export_without_the_trick(tmp_path: Path) -> None:
    generator = 'generator={use="mlp",hidden=[8],output_activation="tanh",optimizer={use="adam"}}'
    noise = 'noise={use="normal",dimension=3}'
    run = play(steps=4, overrides=[generator, noise, trick("spectral_normalization", player="generator", iterations=20)], folder=tmp_path)
    assert norms(run.players["generator"].network) == pytest.approx([1.0, 1.0], rel=1e-3)
    loaded = ganlab.load_generator(run.path)
    latent = torch.randn(9, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(loaded(latent).detach(), run.generate(latent))
    assert not any(parametrize.is_parametrized(module) for module in loaded.modules())
    assert parametrize.is_parametrized(run.players["generator"].network.layers[0])  # type: ignore[index]


def test_a_network_without_such_layers_is_refused() -> None:
    class Bare(nn.Module):
        def __init__(self, spec: ganlab.NetworkSpec) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight

    with pytest.raises(UsageError) as caught:
        prepare(overrides=['discriminator={use="bare",optimizer={use="sgd"}}', SPECTRAL], plugins=[Plugin(networks={"bare": Bare})])
    expected = "spectral_normalization finds no linear or convolution layer in the discriminator\nremove it, or set its player"
    assert str(caught.value) == expected
    capture = Capture()
    overrides = ['discriminator={use="bare",optimizer={use="sgd"}}', trick("spectral_normalization", player="generator")]
    play(capture, steps=1, overrides=overrides, plugins=[Plugin(networks={"bare": Bare})])
    assert capture.turns[0]["real_scores"].shape == (8,)
