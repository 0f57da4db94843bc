"""T0's port against two steps worked out by hand, and against the tutorial's own torch modules."""

from __future__ import annotations

import math

import pytest
import torch
from port_pytorch import PyTorchPort
from tape import Tape, TapeError
from torch import Tensor, nn


def near(expected: object) -> object:
    """Equal to what a pocket calculator shows."""
    return pytest.approx(expected, rel=0, abs=2e-10)


def same(expected: object) -> object:
    """Equal but for rounding: Adam hides the loss's factors from the parameters but for eps, by some 1e-11."""
    return pytest.approx(expected, rel=0, abs=1e-14)


def one(value: float) -> Tensor:
    return torch.tensor([[value]], dtype=torch.float64)


def layers(*scalars: float) -> list[Tensor]:
    """Networks of one unit a layer: weight, bias, weight, bias ..."""
    return [torch.tensor(value, dtype=torch.float64).reshape((1, 1) if i % 2 == 0 else (1,)) for i, value in enumerate(scalars)]


def scalars(parameters: list[Tensor]) -> list[float]:
    return [parameter.item() for parameter in parameters]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def generate(g: list[float], z: float) -> tuple[float, float, float]:
    """G: z -> h1 -> h2 -> image."""
    h1 = max(g[0] * z + g[1], 0)
    h2 = max(g[2] * h1 + g[3], 0)
    return h1, h2, math.tanh(g[4] * h2 + g[5])


def discriminate(d: list[float], x: float, masks: tuple[float, float]) -> tuple[float, float, float, float, float]:
    """D: x -> p1 -LeakyReLU, dropout-> a1 -> p2 -> a2 -> logit."""
    p1 = d[0] * x + d[1]
    a1 = masks[0] * (p1 if p1 > 0 else 0.2 * p1)
    p2 = d[2] * a1 + d[3]
    a2 = masks[1] * (p2 if p2 > 0 else 0.2 * p2)
    return p1, a1, p2, a2, d[4] * a2 + d[5]


def back_through_d(d: list[float], x: float, masks: tuple[float, float], d_logit: float) -> tuple[list[float], float]:
    """The chain rule, from the derivative at the logit to D's six parameters and to the image."""
    p1, a1, p2, a2, _ = discriminate(d, x, masks)
    d_a2 = d_logit * d[4]
    d_p2 = d_a2 * masks[1] * (1 if p2 > 0 else 0.2)
    d_a1 = d_p2 * d[2]
    d_p1 = d_a1 * masks[0] * (1 if p1 > 0 else 0.2)
    return [d_p1 * x, d_p1, d_p2 * a1, d_p2, d_logit * a2, d_logit], d_p1 * d[0]


def back_through_g(g: list[float], z: float, d_image: float) -> list[float]:
    """The chain rule, from the derivative at the image to G's six parameters."""
    h1, h2, image = generate(g, z)
    d_out = d_image * (1 - image**2)
    d_p2 = d_out * g[4] * (h2 > 0)
    d_p1 = d_p2 * g[2] * (h1 > 0)
    return [d_p1 * z, d_p1, d_p2 * h1, d_p2, d_out * h2, d_out]


def adam_first(w: list[float], gradient: list[float]) -> list[float]:
    """Adam at t = 1: m = 0.1 g, v = 0.001 g^2, corrected by 1 - 0.9 and 1 - 0.999: that is g and g^2."""
    m, v = [0.1 * g for g in gradient], [0.001 * g**2 for g in gradient]
    return [w - 2e-4 * (m / 0.1) / (math.sqrt(v / 0.001) + 1e-8) for w, m, v in zip(w, m, v, strict=True)]


def adam_second(w: list[float], first: list[float], second: list[float]) -> list[float]:
    """Adam at t = 2: 1 - 0.9^2 = 0.19 and 1 - 0.999^2 = 0.001999."""
    m = [0.9 * 0.1 * g1 + 0.1 * g2 for g1, g2 in zip(first, second, strict=True)]
    v = [0.999 * 0.001 * g1**2 + 0.001 * g2**2 for g1, g2 in zip(first, second, strict=True)]
    return [w - 2e-4 * (m / 0.19) / (math.sqrt(v / 0.001999) + 1e-8) for w, m, v in zip(w, m, v, strict=True)]


def test_two_steps_by_hand() -> None:
    g0 = [0.5, 0.1, 0.8, 0.2, 0.6, -0.1]
    d0 = [0.5, -0.2, -0.6, 0.1, 0.7, 0.2]
    kept, no_second, no_first = (2.0, 2.0), (2.0, 0.0), (0.0, 2.0)  # masks for p = 0.5: (first hidden layer's, second's)

    # Step 1, D's turn: x = 0.8, all kept; z = 1, the second layer's unit dropped.
    fake = generate(g0, 1.0)[-1]
    real_logit, fake_logit = discriminate(d0, 0.8, kept)[-1], discriminate(d0, fake, no_second)[-1]
    assert generate(g0, 1.0) == near([0.6, 0.68, 0.2986165305])
    assert discriminate(d0, 0.8, kept) == near([0.2, 0.4, -0.14, -0.056, 0.1608])
    assert discriminate(d0, fake, no_second) == near([-0.0506917347, -0.0202766939, 0.1121660163, 0, 0.2])
    d_loss_1 = -math.log(sigmoid(real_logit)) - math.log(1 - sigmoid(fake_logit))
    assert d_loss_1 == near(1.4141146538)
    of_real, _ = back_through_d(d0, 0.8, kept, sigmoid(real_logit) - 1)  # -log s(x) has the derivative s(x) - 1
    of_fake, _ = back_through_d(d0, fake, no_second, sigmoid(fake_logit))  # -log(1 - s(x)) has s(x)
    assert of_real == near([0.1236174633, 0.1545218292, -0.0515072764, -0.128768191, 0.0257536382, -0.4598863964])
    assert of_fake == near([0, 0, 0, 0, 0, 0.5498339973])
    d_slope_1 = [a + b for a, b in zip(of_real, of_fake, strict=True)]
    d1 = adam_first(d0, d_slope_1)
    assert d1 == near([0.4998, -0.2002, -0.5998, 0.1002, 0.6998000001, 0.1998])
    scores_1 = sigmoid(real_logit), sigmoid(fake_logit)
    assert scores_1 == near([0.5401136036, 0.5498339973])

    # Step 1, G's turn: z = 0.4 through the updated D.
    image = generate(g0, 0.4)[-1]
    logit = discriminate(d1, image, kept)[-1]
    assert [image, logit] == near([0.1625453332, 0.3799856872])
    g_loss_1 = -math.log(sigmoid(logit))
    _, d_image = back_through_d(d1, image, kept, sigmoid(logit) - 1)
    assert [g_loss_1, d_image] == near([0.5210954267, 0.0681603925])
    g_slope_1 = back_through_g(g0, 0.4, d_image)
    assert g_slope_1 == near([0.0127410293, 0.0318525733, 0.011944715, 0.0398157167, 0.0291981922, 0.0663595278])
    g1 = adam_first(g0, g_slope_1)
    assert g1 == near([0.4998000002, 0.0998000001, 0.7998000002, 0.1998000001, 0.5998000001, -0.1002])

    # Step 2, D's turn: x = -0.5, the first layer's unit dropped; z = 0.2, all kept.
    fake = generate(g1, 0.2)[-1]
    real_logit, fake_logit = discriminate(d1, -0.5, no_first)[-1], discriminate(d1, fake, kept)[-1]
    assert [fake, real_logit, fake_logit] == near([0.1149584525, 0.34003992, 0.3879721391])
    d_loss_2 = -math.log(sigmoid(real_logit)) - math.log(1 - sigmoid(fake_logit))
    assert d_loss_2 == near(1.4433432259)
    of_real, _ = back_through_d(d1, -0.5, no_first, sigmoid(real_logit) - 1)
    of_fake, _ = back_through_d(d1, fake, kept, sigmoid(fake_logit))
    d_slope_2 = [a + b for a, b in zip(of_real, of_fake, strict=True)]
    assert d_slope_2 == near([-0.0229989358, -0.200063025, -0.0476121199, 0.2519205232, 0.076879374, 0.1799946578])
    d2 = adam_second(d1, d_slope_1, d_slope_2)
    assert d2 == near([0.4996954867, -0.2001640839, -0.5996005638, 0.1001284364, 0.6996163249, 0.1996069754])

    # Step 2, G's turn: z = -0.6, at which G's first ReLU is off.
    image = generate(g1, -0.6)[-1]
    logit = discriminate(d2, image, kept)[-1]
    g_loss_2 = -math.log(sigmoid(logit))
    _, d_image = back_through_d(d2, image, kept, sigmoid(logit) - 1)
    assert [image, logit, g_loss_2, d_image] == near([0.0196375152, 0.4035903806, 0.5115759366, 0.0671530434])
    g_slope_2 = back_through_g(g1, -0.6, d_image)
    assert g_slope_2 == near([0, 0, 0, 0.0402628628, 0.013412004, 0.067127147])
    g2 = adam_second(g1, g_slope_1, g_slope_2)
    assert g2 == near([0.4996659887, 0.0996659885, 0.7996659887, 0.199599945, 0.599616084, -0.1004000566])

    port = PyTorchPort(layers(*g0), layers(*d0))
    told = port.step(Tape([one(0.8)], [one(1.0), one(0.4)], [one(mask) for mask in (*kept, *no_second, *kept)]))
    assert told == same({"d_loss": d_loss_1, "g_loss": g_loss_1, "real_score": scores_1[0], "fake_score": scores_1[1]})
    assert scalars(port.discriminator) == same(d1)
    assert scalars(port.generator) == same(g1)
    told = port.step(Tape([one(-0.5)], [one(0.2), one(-0.6)], [one(mask) for mask in (*no_first, *kept, *kept)]))
    scores_2 = sigmoid(real_logit), sigmoid(fake_logit)
    assert told == same({"d_loss": d_loss_2, "g_loss": g_loss_2, "real_score": scores_2[0], "fake_score": scores_2[1]})
    assert scalars(port.discriminator) == same(d2)
    assert scalars(port.generator) == same(g2)
    assert port.samples(one(0.3)).tolist() == [[same(generate(g2, 0.3)[-1])]]
    assert port.logits(one(0.3)).tolist() == [same(discriminate(d2, 0.3, (1.0, 1.0))[-1])]


def test_large_logits_keep_their_gradient() -> None:
    """A logit of 1000 where D should say 0: the loss is 1000, and the bias still moves by a whole first step."""
    port = PyTorchPort(layers(0.0, 0.0), layers(0.0, 1000.0))
    told = port.step(Tape([one(0.0)], [one(0.0), one(0.0)]))
    assert told["d_loss"] == 1000.0
    assert port.discriminator[1].item() == pytest.approx(1000 - 2e-4, rel=0, abs=1e-10)


def test_every_draw_is_used() -> None:
    port = PyTorchPort(layers(1.0, 0.0), layers(1.0, 0.0))
    with pytest.raises(TapeError):
        port.step(Tape([one(0.5)], [one(0.1)]))  # one latent for both turns
    with pytest.raises(TapeError):
        port.step(Tape([one(0.5)], [one(0.1), one(0.2)], [one(2.0)]))  # a mask, but no hidden layer


def test_wider_networks_equal_the_tutorials_own_modules() -> None:
    """Several units and rows, where the order of a product and the mean matter; dropout keeps all and scales by 1."""
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 4), nn.Tanh()).double()
    discriminator = nn.Sequential(
        nn.Linear(4, 5), nn.LeakyReLU(0.2), nn.Linear(5, 5), nn.LeakyReLU(0.2), nn.Linear(5, 1), nn.Sigmoid()
    ).double()
    port = PyTorchPort(list(generator.parameters()), list(discriminator.parameters()))
    d_optimizer, g_optimizer = (torch.optim.Adam(network.parameters(), lr=2e-4) for network in (discriminator, generator))
    bce, ones, zeros = nn.BCELoss(), torch.ones(7, 1).double(), torch.zeros(7, 1).double()
    for _ in range(20):
        real, z1, z2 = (torch.randn(7, width).double() for width in (4, 3, 3))
        d_optimizer.zero_grad()
        (bce(discriminator(real), ones) + bce(discriminator(generator(z1)), zeros)).backward()
        d_optimizer.step()
        g_optimizer.zero_grad()
        bce(discriminator(generator(z2)), ones).backward()
        g_optimizer.step()
        port.step(Tape([real], [z1, z2], [torch.ones(7, 5).double()] * 6))
    for ours, theirs in ((port.generator, generator), (port.discriminator, discriminator)):
        for a, b in zip(ours, theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-14)
