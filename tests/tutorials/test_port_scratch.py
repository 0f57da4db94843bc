"""T2's port against two steps worked out by hand for each of its recipes, and against torch's own modules."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from port_scratch import ScratchPort
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


def leaky(x: float) -> float:
    return x if x > 0 else 0.2 * x


def slope(x: float) -> float:
    return 1 if x > 0 else 0.2


def before_output(g: list[float], z: float) -> float:
    """G up to its last activation."""
    return g[2] * leaky(g[0] * z + g[1]) + g[3]


def discriminate(d: list[float], x: float, mask: float = 1) -> float:
    """D's logit."""
    return d[2] * mask * leaky(d[0] * x + d[1]) + d[3]


def back_through_d(d: list[float], x: float, d_logit: float, mask: float = 1) -> tuple[list[float], float]:
    """The chain rule, from the derivative at the logit to D's four parameters and to the image."""
    before = d[0] * x + d[1]
    d_before = d_logit * d[2] * mask * slope(before)
    return [d_before * x, d_before, d_logit * mask * leaky(before), d_logit], d_before * d[0]


def back_through_g(g: list[float], z: float, d_out: float) -> list[float]:
    """The chain rule, from the derivative before the last activation to G's four parameters."""
    before = g[0] * z + g[1]
    d_before = d_out * g[2] * slope(before)
    return [d_before * z, d_before, d_out * leaky(before), d_out]


def total(first: list[float], second: list[float]) -> list[float]:
    return [a + b for a, b in zip(first, second, strict=True)]


def adam_first(w: list[float], gradient: list[float]) -> list[float]:
    """Adam at t = 1: m = 0.1 g, v = 0.001 g^2, corrected by 1 - 0.9 and 1 - 0.999; then eps is added."""
    m, v = [0.1 * g for g in gradient], [0.001 * g**2 for g in gradient]
    return [w - 2e-4 * (m / 0.1) / (math.sqrt(v / 0.001) + 1e-8) for w, m, v in zip(w, m, v, strict=True)]


def adam_second(w: list[float], first: list[float], second: list[float]) -> list[float]:
    """Adam at t = 2: 1 - 0.9^2 = 0.19 and 1 - 0.999^2 = 0.001999."""
    m = [0.9 * 0.1 * g1 + 0.1 * g2 for g1, g2 in zip(first, second, strict=True)]
    v = [0.999 * 0.001 * g1**2 + 0.001 * g2**2 for g1, g2 in zip(first, second, strict=True)]
    return [w - 2e-4 * (m / 0.19) / (math.sqrt(v / 0.001999) + 1e-8) for w, m, v in zip(w, m, v, strict=True)]


def test_two_steps_of_the_code_by_hand() -> None:
    """Labels 1 and 0, sigmoid, no dropout: mnist_large_batch and mnist_one_class."""
    g0 = [0.5, -0.1, 0.8, 0.2]
    d0 = [0.9, -0.5, 0.7, -0.1]

    # Step 1, D's turn: x = 0.9, z = 1.
    fake = sigmoid(before_output(g0, 1.0))
    on_real, on_fake = discriminate(d0, 0.9), discriminate(d0, fake)
    assert [fake, on_real, on_fake] == near([0.6271477663, 0.117, -0.0548969072])
    d_loss_1 = -math.log(sigmoid(on_real)) - math.log(1 - sigmoid(on_fake))
    assert d_loss_1 == near(1.3024327189)
    d_slope_1 = total(back_through_d(d0, 0.9, sigmoid(on_real) - 1)[0], back_through_d(d0, fake, sigmoid(on_fake))[0])
    assert d_slope_1 == near([-0.0831152443, 0.0108471283, -0.1146104057, 0.0154958975])
    d1 = adam_first(d0, d_slope_1)
    assert d1 == near([0.9002, -0.5001999998, 0.7002, -0.1001999999])

    # Step 1, G's turn: z = -0.6; s' = s (1 - s).
    image = sigmoid(before_output(g0, -0.6))
    logit = discriminate(d1, image)
    g_loss_1 = -math.log(sigmoid(logit))
    d_image = back_through_d(d1, image, sigmoid(logit) - 1)[1]
    assert [image, logit, g_loss_1, d_image] == near([0.5339476914, -0.1029364218, 0.7459392955, -0.0662732869])
    g_slope_1 = back_through_g(g0, -0.6, d_image * image * (1 - image))
    assert g_slope_1 == near([0.0015832268, -0.0026387113, 0.0013193556, -0.0164919454])
    g1 = adam_first(g0, g_slope_1)
    assert g1 == near([0.4998000013, -0.0998000008, 0.7998000015, 0.2001999999])

    # Step 2, D's turn: x = 0.4, z = -0.5.
    fake = sigmoid(before_output(g1, -0.5))
    on_real, on_fake = discriminate(d1, 0.4), discriminate(d1, fake)
    d_loss_2 = -math.log(sigmoid(on_real)) - math.log(1 - sigmoid(on_fake))
    assert [fake, on_real, on_fake, d_loss_2] == near([0.5360030786, -0.1198224046, -0.1026773115, 1.3979777615])
    d_slope_2 = total(back_through_d(d1, 0.4, sigmoid(on_real) - 1)[0], back_through_d(d1, fake, sigmoid(on_fake))[0])
    assert d_slope_2 == near([0.0059218506, -0.0077815483, 0.0131722085, -0.0555666119])
    d2 = adam_second(d1, d_slope_1, d_slope_2)
    assert d2 == near([0.9003230902, -0.5002220906, 0.700316133, -0.100092619])

    # Step 2, G's turn: z = 0.8.
    image = sigmoid(before_output(g1, 0.8))
    logit = discriminate(d2, image)
    g_loss_2 = -math.log(sigmoid(logit))
    d_image = back_through_d(d2, image, sigmoid(logit) - 1)[1]
    assert [image, logit, g_loss_2, d_image] == near([0.6083000124, -0.0668665009, 0.727139218, -0.3257914796])
    g2 = adam_second(g1, g_slope_1, back_through_g(g1, 0.8, d_image * image * (1 - image)))
    assert g2 == near([0.4999444857, -0.0996456199, 0.7999410155, 0.2003734174])

    port = ScratchPort(layers(*g0), layers(*d0))
    told = port.step(Tape([one(0.9)], [one(1.0), one(-0.6)]))
    assert told == same({"d_loss": d_loss_1, "g_loss": g_loss_1, "real_accuracy": 1, "fake_accuracy": 1})
    assert scalars(port.discriminator) == same(d1)
    assert scalars(port.generator) == same(g1)
    told = port.step(Tape([one(0.4)], [one(-0.5), one(0.8)]))
    assert told == same({"d_loss": d_loss_2, "g_loss": g_loss_2, "real_accuracy": 0, "fake_accuracy": 1})
    assert scalars(port.discriminator) == same(d2)
    assert scalars(port.generator) == same(g2)
    assert port.samples(one(-0.3)).tolist() == [[same(sigmoid(before_output(g2, -0.3)))]]
    assert port.logits(one(-0.3)).tolist() == [same(discriminate(d2, -0.3))]


def test_two_steps_of_the_best_practices_by_hand() -> None:
    """Labels 0.98 and 0.02, tanh, dropout in each of D's passes: mnist_best_practices.

    -y log s(x) - (1 - y) log(1 - s(x)) has the derivative s(x) - y.
    """
    g0 = [-0.4, 0.3, 1.2, -0.1]
    d0 = [0.6, 0.2, -0.8, 0.4]

    # Step 1, D's turn: x = -0.7, kept (2); z = 0.5, dropped (0).
    fake = math.tanh(before_output(g0, 0.5))
    on_real, on_fake = discriminate(d0, -0.7, mask=2), discriminate(d0, fake, mask=0)
    assert [fake, on_real, on_fake] == near([0.0199973338, 0.4704, 0.4])
    of_real = -0.98 * math.log(sigmoid(on_real)) - 0.02 * math.log(1 - sigmoid(on_real))
    of_fake = -0.02 * math.log(sigmoid(on_fake)) - 0.98 * math.log(1 - sigmoid(on_fake))
    d_loss_1 = of_real + of_fake
    assert [of_real, of_fake] == near([0.4947633841, 0.9050152524])
    d_slope_1 = total(
        back_through_d(d0, -0.7, sigmoid(on_real) - 0.98, mask=2)[0],
        back_through_d(d0, fake, sigmoid(on_fake) - 0.02, mask=0)[0],
    )
    assert d_slope_1 == near([-0.0816528324, 0.1166469035, 0.0320778985, 0.2141660868])
    d1 = adam_first(d0, d_slope_1)
    assert d1 == near([0.6002, 0.1998, -0.8001999999, 0.3998])

    # Step 1, G's turn: z = -0.2, kept; G's target stays 1; tanh' = 1 - tanh^2.
    image = math.tanh(before_output(g0, -0.2))
    logit = discriminate(d1, image, mask=2)
    g_loss_1 = -math.log(sigmoid(logit))
    d_image = back_through_d(d1, image, sigmoid(logit) - 1, mask=2)[1]
    assert [image, logit, g_loss_1, d_image] == near([0.341685872, -0.2481697285, 0.8249108965, 0.5395715306])
    g_slope_1 = back_through_g(g0, -0.2, d_image * (1 - image**2))
    assert g_slope_1 == near([-0.1143784721, 0.5718923606, 0.1810992475, 0.4765769672])
    g1 = adam_first(g0, g_slope_1)
    assert g1 == near([-0.3998, 0.2998, 1.1998, -0.1002])

    # Step 2, D's turn: x = 0.8, dropped; z = 1.5, kept.
    fake = math.tanh(before_output(g1, 1.5))
    on_real, on_fake = discriminate(d1, 0.8, mask=0), discriminate(d1, fake, mask=2)
    of_real = -0.98 * math.log(sigmoid(on_real)) - 0.02 * math.log(1 - sigmoid(on_real))
    of_fake = -0.02 * math.log(sigmoid(on_fake)) - 0.98 * math.log(1 - sigmoid(on_fake))
    d_loss_2 = of_real + of_fake
    assert [fake, on_real, on_fake, of_real, of_fake] == near([-0.1704829265, 0.3998, 0.2437991735, 0.5210915197, 0.8175822106])
    d_slope_2 = total(
        back_through_d(d1, 0.8, sigmoid(on_real) - 0.98, mask=0)[0],
        back_through_d(d1, fake, sigmoid(on_fake) - 0.02, mask=2)[0],
    )
    assert d_slope_2 == near([0.1475113327, -0.8652557516, 0.1054008964, 0.1592892894])
    d2 = adam_second(d1, d_slope_1, d_slope_2)
    assert d2 == near([0.6001346506, 0.1999295988, -0.8003813859, 0.3996036411])

    # Step 2, G's turn: z = 0.9, kept.
    image = math.tanh(before_output(g1, 0.9))
    logit = discriminate(d2, image, mask=2)
    g_loss_2 = -math.log(sigmoid(logit))
    d_image = back_through_d(d2, image, sigmoid(logit) - 1, mask=2)[1]
    assert [image, logit, g_loss_2, d_image] == near([-0.1141033028, 0.1891797682, 0.6030242643, 0.4350366426])
    g2 = adam_second(g1, g_slope_1, back_through_g(g1, 0.9, d_image * (1 - image**2)))
    assert g2 == near([-0.3997896756, 0.299641713, 1.1996702788, -0.1003991865])

    port = ScratchPort(layers(*g0), layers(*d0), real_label=0.98, fake_label=0.02, output="tanh", dropout=True)
    told = port.step(Tape([one(-0.7)], [one(0.5), one(-0.2)], [one(2.0), one(0.0), one(2.0)]))
    assert told == same({"d_loss": d_loss_1, "g_loss": g_loss_1, "real_accuracy": 1, "fake_accuracy": 0})
    assert scalars(port.discriminator) == same(d1)
    assert scalars(port.generator) == same(g1)
    told = port.step(Tape([one(0.8)], [one(1.5), one(0.9)], [one(0.0), one(2.0), one(2.0)]))
    assert told == same({"d_loss": d_loss_2, "g_loss": g_loss_2, "real_accuracy": 1, "fake_accuracy": 0})
    assert scalars(port.discriminator) == same(d2)
    assert scalars(port.generator) == same(g2)
    assert port.samples(one(0.7)).tolist() == [[same(math.tanh(before_output(g2, 0.7)))]]
    assert port.logits(one(0.7)).tolist() == [same(discriminate(d2, 0.7))]


def test_without_dropout_masks_are_left_over() -> None:
    port = ScratchPort(layers(1.0, 0.0, 1.0, 0.0), layers(1.0, 0.0, 1.0, 0.0))
    with pytest.raises(TapeError, match="dropout mask"):
        port.step(Tape([one(0.5)], [one(0.1), one(0.2)], [one(2.0)] * 3))


def test_wider_networks_equal_torchs_modules() -> None:
    """Several units, layers and rows, where the order of a product and the mean matter; and labels that are not 0 or 1."""
    torch.manual_seed(0)

    def network(*widths: int) -> list[nn.Module]:
        pairs = itertools.pairwise(widths)
        return [module for pair in pairs for module in (nn.Linear(*pair, dtype=torch.float64), nn.LeakyReLU(0.2))][:-1]

    generator, discriminator = nn.Sequential(*network(3, 5, 5, 4), nn.Tanh()), nn.Sequential(*network(4, 5, 5, 1))
    port = ScratchPort(
        list(generator.parameters()), list(discriminator.parameters()), real_label=0.98, fake_label=0.02, output="tanh", dropout=True
    )
    d_optimizer, g_optimizer = (torch.optim.Adam(network.parameters(), lr=2e-4) for network in (discriminator, generator))
    bce, ones = nn.BCEWithLogitsLoss(), torch.ones(7, 1, dtype=torch.float64)
    for _ in range(20):
        real, z1, z2 = (torch.randn(7, width, dtype=torch.float64) for width in (4, 3, 3))
        d_optimizer.zero_grad()
        (bce(discriminator(real), 0.98 * ones) + bce(discriminator(generator(z1)), 0.02 * ones)).backward()
        d_optimizer.step()
        g_optimizer.zero_grad()
        bce(discriminator(generator(z2)), ones).backward()
        g_optimizer.step()
        port.step(Tape([real], [z1, z2], [torch.ones(7, 5, dtype=torch.float64)] * 6))
    for ours, theirs in ((port.generator, generator), (port.discriminator, discriminator)):
        for a, b in zip(ours, theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b.detach(), rtol=0, atol=1e-14)
