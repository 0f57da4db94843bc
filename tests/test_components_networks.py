"""The multi-layer perceptron: its layers, its initial laws, its sizes, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import Plugin, same, weights
from torch import nn

import ganlab
from ganlab.components import NetworkSpec
from ganlab.errors import RecipeError
from ganlab.testing import play, prepare
from ganlab_networks import MLP


def generator(**options: Any) -> MLP:
    return MLP(NetworkSpec("generator", (5,), (1, 2, 3)), **options)


def layers(network: MLP) -> list[str]:
    return [type(layer).__name__ for layer in network.layers]


def linears(network: MLP) -> list[nn.Linear]:
    return [layer for layer in network.layers if isinstance(layer, nn.Linear)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"hidden": []}, ["Linear"]),
        ({"hidden": [4]}, ["Linear", "LeakyReLU", "Linear"]),
        ({"hidden": [4, 3], "activation": "relu"}, ["Linear", "ReLU", "Linear", "ReLU", "Linear"]),
        ({"hidden": [4], "activation": "none"}, ["Linear", "Linear"]),
        ({"hidden": [4], "output_activation": "tanh"}, ["Linear", "LeakyReLU", "Linear", "Tanh"]),
        ({"hidden": [4], "activation": "elu", "output_activation": "sigmoid"}, ["Linear", "ELU", "Linear", "Sigmoid"]),
        ({"hidden": [4], "dropout": 0.5}, ["Linear", "LeakyReLU", "PackedDropout", "Linear"]),
        ({"hidden": [4], "batch_norm": "before_activation"}, ["Linear", "BatchNorm1d", "LeakyReLU", "Linear"]),
        ({"hidden": [4], "batch_norm": "after_activation"}, ["Linear", "LeakyReLU", "BatchNorm1d", "Linear"]),
        (
            {"hidden": [4, 3], "activation": "silu", "batch_norm": "after_activation", "dropout": 0.1, "output_activation": "gelu"},
            ["Linear", "SiLU", "BatchNorm1d", "PackedDropout", "Linear", "SiLU", "BatchNorm1d", "PackedDropout", "Linear", "GELU"],
        ),
    ],
)
def test_layers_stand_in_their_order(options: dict[str, Any], expected: list[str]) -> None:
    assert layers(generator(**options)) == expected


def test_widths_and_shapes_are_what_the_spec_asks_for() -> None:
    network = generator(hidden=[4, 7])
    assert [(layer.in_features, layer.out_features) for layer in linears(network)] == [(5, 4), (4, 7), (7, 6)]
    assert network(torch.zeros(9, 5)).shape == (9, 1, 2, 3)
    assert MLP(NetworkSpec("discriminator", (1, 2, 3), (1,)))(torch.zeros(9, 1, 2, 3)).shape == (9, 1)


def test_options_reach_their_layers() -> None:
    network = generator(
        hidden=[4], negative_slope=0.3, dropout=0.25, batch_norm="before_activation", batch_norm_momentum=0.2, batch_norm_eps=1e-3
    )
    _, norm, activation, dropout, _ = network.layers
    assert (norm.momentum, norm.eps) == (0.2, 1e-3)
    assert activation(torch.tensor(-1.0)).item() == pytest.approx(-0.3)
    assert dropout.p == 0.25


BIG = NetworkSpec("generator", (400,), (300,))
RELU_GAIN, LEAKY_GAIN = math.sqrt(2), math.sqrt(2 / (1 + 0.2**2))


@pytest.mark.parametrize(
    ("options", "deviation", "bound"),
    [
        ({}, 1 / math.sqrt(3 * 400), 1 / math.sqrt(400)),  # torch.nn.Linear's own
        ({"init": "normal"}, 0.02, math.inf),
        ({"init": "normal", "init_std": 0.5}, 0.5, math.inf),
        ({"init": "xavier_uniform"}, math.sqrt(2 / 700), math.sqrt(6 / 700)),
        ({"init": "xavier_normal"}, math.sqrt(2 / 700), math.inf),
        ({"init": "kaiming_uniform"}, LEAKY_GAIN / math.sqrt(400), LEAKY_GAIN * math.sqrt(3 / 400)),
        ({"init": "kaiming_normal"}, LEAKY_GAIN / math.sqrt(400), math.inf),
        ({"init": "kaiming_normal", "activation": "relu"}, RELU_GAIN / math.sqrt(400), math.inf),
        ({"init": "orthogonal"}, 1 / math.sqrt(400), 1.0),
    ],
)
def test_the_initial_law_of_the_weights(options: dict[str, Any], deviation: float, bound: float) -> None:
    torch.manual_seed(3)
    (layer,) = linears(MLP(BIG, hidden=[], **options))
    weight = layer.weight.detach()
    assert weight.mean().abs() < 4 * deviation / math.sqrt(weight.numel())
    assert weight.std().item() == pytest.approx(deviation, rel=0.01)
    assert weight.abs().max() <= bound
    if math.isfinite(bound) and options.get("init") != "orthogonal":
        assert weight.abs().max() > 0.999 * bound
    elif options.get("init") == "orthogonal":
        torch.testing.assert_close(weight @ weight.T, torch.eye(300), atol=1e-5, rtol=0)
    else:
        assert weight.abs().max() > 3.5 * deviation  # it has a normal law's tails


@pytest.mark.parametrize(("law", "deviation"), [("zeros", 0.0), ("normal", 0.3), ("pytorch", 1 / math.sqrt(3 * 400))])
def test_the_initial_law_of_the_biases(law: str, deviation: float) -> None:
    torch.manual_seed(3)
    network = MLP(NetworkSpec("generator", (400,), (3000,)), hidden=[], init_std=0.3, bias_init=law)
    assert linears(network)[0].bias.std().item() == pytest.approx(deviation, rel=0.05)


def test_the_keras_tutorials_networks_have_its_numbers_of_parameters() -> None:
    """T4 of the tutorials, as `model.summary()` prints them there."""
    hidden = {"hidden": [256, 512, 1024], "batch_norm": "after_activation"}
    made = MLP(NetworkSpec("generator", (100,), (1, 28, 28)), **hidden, output_activation="tanh")
    trainable = sum(p.numel() for p in made.parameters())
    moving = sum(value.numel() for name, value in made.named_buffers() if "running" in name)
    assert (trainable, moving, trainable + moving) == (1_489_936, 3_584, 1_493_520)
    judge = MLP(NetworkSpec("discriminator", (1, 28, 28), (1,)), hidden=[1024, 256])
    assert sum(p.numel() for p in judge.parameters()) == 1_066_497


def test_the_other_tutorials_networks_have_the_sizes_that_they_say() -> None:
    def count(role: Any, inputs: tuple[int, ...], outputs: tuple[int, ...], hidden: list[int]) -> int:
        return sum(p.numel() for p in MLP(NetworkSpec(role, inputs, outputs), hidden=hidden).parameters())

    assert count("generator", (64,), (1, 28, 28), [256, 256]) == 64 * 256 + 256 + 256 * 256 + 256 + 256 * 784 + 784
    assert count("generator", (100,), (1, 28, 28), [512]) == 100 * 512 + 512 + 512 * 784 + 784
    assert count("discriminator", (1, 28, 28), (1,), [512]) == 784 * 512 + 512 + 512 + 1


@pytest.mark.parametrize(("activation", "expected"), [("tanh", (-1.0, 1.0)), ("sigmoid", (0.0, 1.0)), ("none", None), ("relu", None)])
def test_it_tells_the_range_of_its_output(activation: str, expected: tuple[float, float] | None) -> None:
    network = generator(output_activation=activation)
    assert network.output_range == expected
    if expected:
        made = network(50 * torch.randn(200, 5))
        assert made.min() >= expected[0]
        assert made.max() <= expected[1]
        assert made.max() - made.min() > 0.9 * (expected[1] - expected[0])


def test_a_discriminator_with_an_output_activation_is_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        prepare(overrides=['discriminator={use="mlp",output_activation="sigmoid",optimizer={use="adam"}}'])
    (mistake,) = caught.value.mistakes
    assert mistake.endswith(
        'network \'mlp\': a discriminator gives logits: output_activation = "sigmoid" must be "none" (the losses apply the sigmoid)'
    )


def test_a_generator_whose_range_is_not_the_datas_is_announced() -> None:
    mixed = prepare(overrides=['generator={use="mlp",output_activation="tanh",optimizer={use="adam"}}'])
    assert mixed.info["announcements"] == []  # the tiny data are unbounded

    def bounded(spec: ganlab.DatasetSpec) -> ganlab.ResidentDataset:
        return ganlab.ResidentDataset(torch.rand(16, 2), range=(0.0, 1.0))

    for activation, announcements in (("sigmoid", 0), ("none", 0), ("tanh", 1)):
        overrides = ['data={use="bounded"}', f'generator={{use="mlp",output_activation="{activation}",optimizer={{use="adam"}}}}']
        told = prepare(overrides=overrides, plugins=[Plugin(datasets={"bounded": bounded})]).info["announcements"]
        assert len(told) == announcements
    assert told == [
        "The generator's output lies in [-1.0, 1.0], but the data in [0.0, 1.0]: it cannot match them. "
        "Give the generator another output_activation (tanh for [-1, 1], sigmoid for [0, 1]) or the data another range."
    ]


@pytest.mark.parametrize(
    "options",
    [
        "hidden=[0]",
        "hidden=[4,-1]",
        "dropout=1.0",
        "dropout=-0.1",
        "negative_slope=-1.0",
        "init_std=0.0",
        'activation="rleu"',
        'init="xavier"',
    ],
)
def test_values_out_of_range_are_refused(options: str) -> None:
    with pytest.raises(RecipeError):
        prepare(overrides=[f'generator={{use="mlp",{options},optimizer={{use="adam"}}}}'])


def test_the_running_variance_may_be_fed_the_biased_one_as_keras_does() -> None:
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3 + 1
    made = {}
    for variance in ("unbiased", "biased"):
        network = generator(hidden=[4], batch_norm="before_activation", batch_norm_momentum=0.2, batch_norm_variance=variance).double()
        norm = network.layers[1]
        norm.running_mean.fill_(0.5), norm.running_var.fill_(2.0)
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([1.0, 2.0, -1.0, 0.5]))
            norm.bias.copy_(torch.tensor([0.0, 1.0, -1.0, 3.0]))
        inputs = x.clone().requires_grad_(True)
        output = norm(inputs)
        output.square().sum().backward()
        made[variance] = (
            output.detach(),
            inputs.grad,
            norm.weight.grad,
            norm.bias.grad,
            norm.running_mean.clone(),
            norm.num_batches_tracked,
        )
        by_hand = (x - x.mean(0)).square().sum(0) / (6 if variance == "biased" else 5)
        torch.testing.assert_close(norm.running_var, 0.8 * 2.0 + 0.2 * by_hand, rtol=1e-14, atol=0)
        torch.testing.assert_close(norm.running_mean, 0.8 * 0.5 + 0.2 * x.mean(0), rtol=1e-14, atol=0)
        before = norm.running_var.clone()
        expected = (x - norm.running_mean) / (before + 1e-5).sqrt() * norm.weight + norm.bias
        torch.testing.assert_close(norm.eval()(x), expected, rtol=1e-13, atol=1e-14)
        assert norm.running_var.equal(before)
    for ours, torchs in zip(made["biased"], made["unbiased"], strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-12, atol=1e-12)


def test_the_biased_running_variance_goes_with_fixed_statistics_and_half_precision(tmp_path: Path) -> None:
    judge = 'discriminator={use="mlp",hidden=[6],batch_norm="after_activation",batch_norm_variance="biased",optimizer={use="sgd",lr=0.1}}'
    still, moving = (
        play(steps=1, overrides=[judge, f"schedule.discriminator_statistics={flag}"]).players["discriminator"].network.layers[2]
        for flag in ("false", "true")
    )
    assert (still.num_batches_tracked.item(), moving.num_batches_tracked.item()) == (2, 3)
    assert not still.running_var.equal(moving.running_var)
    run = play(steps=3, overrides=[judge, "train.autocast=bfloat16"])
    assert run.players["discriminator"].network.layers[2].running_var.dtype == torch.float32
    maker = judge.replace("discriminator=", "generator=")
    made = play(steps=3, overrides=[maker, 'noise={use="normal",dimension=3}'], folder=tmp_path)
    loaded = ganlab.load_generator(made.path).network.state_dict()
    assert same({f"generator.{name}": value for name, value in loaded.items()}, {k: v for k, v in weights(made).items() if k[0] == "g"})
