"""T1's port against two steps worked out by hand for each optimizer, the published derivative's branches, and autograd."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from port_matlab import Array, MatlabPort, exact, published
from tape import Tape
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def near(expected: object) -> object:
    """Equal to what a pocket calculator shows."""
    return pytest.approx(expected, rel=0, abs=2e-10)


def same(expected: object) -> object:
    """Equal but for rounding."""
    return pytest.approx(expected, rel=0, abs=1e-14)


def rows(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def layers(*scalars: float) -> list[Array]:
    """Networks of one unit a layer: weight, bias, weight, bias ..."""
    return [np.full((1, 1) if i % 2 == 0 else (1,), value) for i, value in enumerate(scalars)]


def scalars(parameters: list[Array]) -> list[float]:
    return [parameter.item() for parameter in parameters]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def generate(g: list[float], z: float) -> tuple[float, float]:
    """G: z -> hidden -> image."""
    hidden = max(g[0] * z + g[1], 0)
    return hidden, sigmoid(g[2] * hidden + g[3])


def discriminate(d: list[float], x: float) -> tuple[float, float]:
    """D: x -> hidden -> logit."""
    hidden = max(d[0] * x + d[1], 0)
    return hidden, d[2] * hidden + d[3]


def back_through_d(d: list[float], x: float, d_logit: float) -> tuple[list[float], float]:
    """The chain rule, from the derivative at the logit to D's four parameters and to the image."""
    hidden, _ = discriminate(d, x)
    d_before = d_logit * d[2] * (hidden > 0)
    return [d_before * x, d_before, d_logit * hidden, d_logit], d_before * d[0]


def back_through_g(g: list[float], z: float, d_image: float) -> list[float]:
    """The chain rule, from the derivative at the image to G's four parameters."""
    hidden, image = generate(g, z)
    d_out = d_image * image * (1 - image)
    d_before = d_out * g[2] * (hidden > 0)
    return [d_before * z, d_before, d_out * hidden, d_out]


def total(*gradients: list[float]) -> list[float]:
    return [sum(parts) for parts in zip(*gradients, strict=True)]


def adam_first(w: list[float], gradient: list[float]) -> list[float]:
    """Adam at t = 1: m = 0.1 g, v = 0.001 g^2; lr_t = lr sqrt(1 - 0.999) / (1 - 0.9); eps is added to the uncorrected root."""
    m, v = [0.1 * g for g in gradient], [0.001 * g**2 for g in gradient]
    lr = 1e-3 * math.sqrt(0.001) / 0.1
    return [w - lr * m / (math.sqrt(v) + 1e-8) for w, m, v in zip(w, m, v, strict=True)]


def adam_second(w: list[float], first: list[float], second: list[float]) -> list[float]:
    """Adam at t = 2: 1 - 0.9^2 = 0.19 and 1 - 0.999^2 = 0.001999."""
    m = [0.9 * 0.1 * g1 + 0.1 * g2 for g1, g2 in zip(first, second, strict=True)]
    v = [0.999 * 0.001 * g1**2 + 0.001 * g2**2 for g1, g2 in zip(first, second, strict=True)]
    lr = 1e-3 * math.sqrt(0.001999) / 0.19
    return [w - lr * m / (math.sqrt(v) + 1e-8) for w, m, v in zip(w, m, v, strict=True)]


def test_two_adam_steps_by_hand() -> None:
    g0 = [0.5, 0.1, 1.0, -0.2]
    d0 = [0.8, 0.1, -0.7, 0.3]

    # Step 1, G's turn: z = 0.6.
    fake = generate(g0, 0.6)[1]
    logit = discriminate(d0, fake)[1]
    assert [*generate(g0, 0.6), *discriminate(d0, fake)] == near([0.4, 0.5498339973, 0.5398671978, -0.0779070385])
    g_loss_1 = -math.log(sigmoid(logit))
    _, d_image = back_through_d(d0, fake, sigmoid(logit) - 1)
    assert [g_loss_1, d_image] == near([0.7328591963, 0.2909014721])
    g_slope_1 = back_through_g(g0, 0.6, d_image)
    assert g_slope_1 == near([0.0432017612, 0.0720029354, 0.0288011741, 0.0720029354])
    g1 = adam_first(g0, g_slope_1)
    assert g1 == near([0.4990000073, 0.0990000044, 0.999000011, -0.2009999956])

    # Step 1, D's turn: the same z through the updated G, and x = 0.9; the mean is over the two rows.
    fake = generate(g1, 0.6)[1]
    fake_logit, real_logit = discriminate(d0, fake)[1], discriminate(d0, 0.9)[1]
    assert [fake, fake_logit, real_logit] == near([0.5490917376, -0.0774913731, -0.274])
    g_after_1 = -math.log(sigmoid(fake_logit))
    d_loss_1 = (-math.log(1 - sigmoid(fake_logit)) - math.log(sigmoid(real_logit))) / 2
    assert [g_after_1, d_loss_1] == near([0.7326432935, 0.7473271954])
    of_fake, _ = back_through_d(d0, fake, sigmoid(fake_logit) / 2)
    of_real, _ = back_through_d(d0, 0.9, (sigmoid(real_logit) - 1) / 2)
    assert of_fake == near([-0.0923698022, -0.1682228958, 0.1295973305, 0.2403184226])
    assert of_real == near([0.1789435098, 0.198826122, -0.2329106001, -0.2840373172])
    d_slope_1 = total(of_fake, of_real)
    d1 = adam_first(d0, d_slope_1)
    assert d1 == near([0.7990000037, 0.0990000103, -0.6990000031, 0.3009999928])

    # Step 2, G's turn: z = -0.5, at which G's ReLU is off.
    fake = generate(g1, -0.5)[1]
    logit = discriminate(d1, fake)[1]
    g_loss_2 = -math.log(sigmoid(logit))
    _, d_image = back_through_d(d1, fake, sigmoid(logit) - 1)
    assert [fake, logit, g_loss_2, d_image] == near([0.4499184996, -0.0194809489, 0.7029350927, 0.2819704489])
    g_slope_2 = back_through_g(g1, -0.5, d_image)
    assert g_slope_2 == near([0, 0, 0, 0.0697853862])
    g2 = adam_second(g1, g_slope_1, g_slope_2)
    assert g2 == near([0.498329954, 0.0983299491, 0.9983299601, -0.2019990549])

    # Step 2, D's turn: x = 0.3.
    fake = generate(g2, -0.5)[1]
    fake_logit, real_logit = discriminate(d1, fake)[1], discriminate(d1, 0.3)[1]
    assert [fake, fake_logit, real_logit] == near([0.4496712529, -0.0193428614, 0.0642486837])
    g_after_2 = -math.log(sigmoid(fake_logit))
    d_loss_2 = (-math.log(1 - sigmoid(fake_logit)) - math.log(sigmoid(real_logit))) / 2
    assert [g_after_2, d_loss_2] == near([0.7028653788, 0.672530627])
    d_slope_2 = total(
        back_through_d(d1, fake, sigmoid(fake_logit) / 2)[0],
        back_through_d(d1, 0.3, (sigmoid(real_logit) - 1) / 2)[0],
    )
    assert d_slope_2 == near([-0.0270786333, -0.0039217687, 0.0315079873, 0.0056105417])
    d2 = adam_second(d1, d_slope_1, d_slope_2)
    assert d2 == near([0.7985827683, 0.0984300317, -0.6985762886, 0.3015698246])

    port = MatlabPort(layers(*g0), layers(*d0))
    assert port.step(Tape([rows(0.9)], [rows(0.6)])) == same({"g_loss": g_loss_1, "g_loss_after": g_after_1, "d_loss": d_loss_1})
    assert scalars(port.generator) == same(g1)
    assert scalars(port.discriminator) == same(d1)
    assert port.step(Tape([rows(0.3)], [rows(-0.5)])) == same({"g_loss": g_loss_2, "g_loss_after": g_after_2, "d_loss": d_loss_2})
    assert scalars(port.generator) == same(g2)
    assert scalars(port.discriminator) == same(d2)
    assert port.samples(rows(0.4)).tolist() == [[same(generate(g2, 0.4)[1])]]
    assert port.logits(rows(0.4)).tolist() == [same(discriminate(d2, 0.4)[1])]


def test_two_sgd_steps_with_the_published_derivative_by_hand() -> None:
    """Two rows each: one logit above 0 and one below in each turn. w -= 0.01 dw."""
    g0 = [2.0, 0.5, 1.5, -1.0]
    d0 = [1.0, -0.5, 2.0, -0.3]

    # Step 1, G's turn: z = 1 and -0.2. D's ReLU is off for the second, whose logit is then the bias.
    fakes = [generate(g0, z)[1] for z in (1.0, -0.2)]
    up, down = (discriminate(d0, fake)[1] for fake in fakes)
    assert [*fakes, up, down] == near([0.9399133498, 0.2994328575, 0.5798266997, -0.3])
    g_loss_1 = (-math.log(sigmoid(up)) - math.log(sigmoid(down))) / 2  # what is logged is the true loss
    d_images = [
        back_through_d(d0, fakes[0], (2 - sigmoid(up) - 1) / 2)[1],  # above 0: 2 - s(x) - y
        back_through_d(d0, fakes[1], (sigmoid(down) - 1) / 2)[1],  # below: s(x) - y
    ]
    assert [g_loss_1, *d_images] == near([0.6495190603, 0.358972471, 0])
    g_slope = total(back_through_g(g0, 1.0, d_images[0]), back_through_g(g0, -0.2, d_images[1]))
    assert g_slope == near([0.0304101256, 0.0304101256, 0.0506835427, 0.0202734171])
    g1 = [w - 0.01 * dw for w, dw in zip(g0, g_slope, strict=True)]
    assert g1 == near([1.9996958987, 0.4996958987, 1.4994931646, -1.0002027342])

    # Step 1, D's turn: x = 0.8 and 0.1; the mean is over four rows.
    fakes = [generate(g1, z)[1] for z in (1.0, -0.2)]
    up, down = (discriminate(d0, fake)[1] for fake in fakes)
    real_up, real_down = (discriminate(d0, x)[1] for x in (0.8, 0.1))
    assert [*fakes, up, down, real_up, real_down] == near([0.9397786926, 0.2993031887, 0.5795573853, -0.3, 0.3, -0.3])
    g_after_1 = (-math.log(sigmoid(up)) - math.log(sigmoid(down))) / 2
    on_fake, on_real = -math.log(1 - sigmoid(up)) - math.log(1 - sigmoid(down)), -math.log(sigmoid(real_up)) - math.log(sigmoid(real_down))
    d_loss_1 = (on_fake + on_real) / 4
    assert [g_after_1, d_loss_1] == near([0.6495674027, 0.7468506699])
    d_slope = total(
        back_through_d(d0, fakes[0], (2 - sigmoid(up)) / 4)[0],
        back_through_d(d0, fakes[1], sigmoid(down) / 4)[0],
        back_through_d(d0, 0.8, (2 - sigmoid(real_up) - 1) / 4)[0],
        back_through_d(d0, 0.1, (sigmoid(real_down) - 1) / 4)[0],
    )
    assert d_slope == near([0.8088188006, 0.8922959644, 0.1813354092, 0.4089267238])
    d1 = [w - 0.01 * dw for w, dw in zip(d0, d_slope, strict=True)]
    assert d1 == near([0.991911812, -0.5089229596, 1.9981866459, -0.3040892672])

    # Step 2, G's turn: z = -0.4 (G's ReLU is off) and 0.9.
    fakes = [generate(g1, z)[1] for z in (-0.4, 0.9)]
    down, up = (discriminate(d1, fake)[1] for fake in fakes)
    assert [*fakes, down, up] == near([0.2689015633, 0.9203978668, -0.3040892672, 0.5032391946])
    g_loss_2 = (-math.log(sigmoid(up)) - math.log(sigmoid(down))) / 2
    d_images = [
        back_through_d(d1, fakes[0], (sigmoid(down) - 1) / 2)[1],
        back_through_d(d1, fakes[1], (2 - sigmoid(up) - 1) / 2)[1],
    ]
    g_slope = total(back_through_g(g1, -0.4, d_images[0]), back_through_g(g1, 0.9, d_images[1]))
    g2 = [w - 0.01 * dw for w, dw in zip(g1, g_slope, strict=True)]
    assert g2 == near([1.9993267053, 0.4992856838, 1.4988641138, -1.0004763032])

    # Step 2, D's turn: x = 0.2 and 1.
    fakes = [generate(g2, z)[1] for z in (-0.4, 0.9)]
    down, up = (discriminate(d1, fake)[1] for fake in fakes)
    real_down, real_up = (discriminate(d1, x)[1] for x in (0.2, 1.0))
    assert [*fakes, down, up, real_down, real_up] == near(
        [0.2688477848, 0.9201900643, -0.3040892672, 0.5028273249, -0.3040892672, 0.6610126077]
    )
    d_slope = total(
        back_through_d(d1, fakes[0], sigmoid(down) / 4)[0],
        back_through_d(d1, fakes[1], (2 - sigmoid(up)) / 4)[0],
        back_through_d(d1, 0.2, (sigmoid(real_down) - 1) / 4)[0],
        back_through_d(d1, 1.0, (2 - sigmoid(real_up) - 1) / 4)[0],
    )
    d2 = [w - 0.01 * dw for w, dw in zip(d1, d_slope, strict=True)]
    assert d2 == near([0.9838815983, -0.5175021173, 1.996385446, -0.3080055295])

    port = MatlabPort(layers(*g0), layers(*d0), optimizer="sgd", derivative="published")
    told = port.step(Tape([rows(0.8, 0.1)], [rows(1.0, -0.2)]))
    assert told == same({"g_loss": g_loss_1, "g_loss_after": g_after_1, "d_loss": d_loss_1})
    assert scalars(port.generator) == same(g1)
    assert scalars(port.discriminator) == same(d1)
    assert port.step(Tape([rows(0.2, 1.0)], [rows(-0.4, 0.9)]))["g_loss"] == same(g_loss_2)
    assert scalars(port.generator) == same(g2)
    assert scalars(port.discriminator) == same(d2)


def test_branches_of_the_published_derivative() -> None:
    """s(ln 3) = 3/4 and s(-ln 3) = 1/4."""
    x = np.array([math.log(3), 0.0, -math.log(3)])
    assert published(x, np.ones(3)).tolist() == [same(2 - 0.75 - 1), -1, same(0.25 - 1)]
    assert published(x, np.zeros(3)).tolist() == [same(2 - 0.75), 0, same(0.25)]
    assert exact(x, np.ones(3)).tolist() == [same(0.75 - 1), -0.5, same(0.25 - 1)]
    assert exact(x, np.zeros(3)).tolist() == [same(0.75), 0.5, same(0.25)]


def test_at_logits_of_zero_only_the_real_row_moves_d() -> None:
    """Fake: -y = 0, real: -y = -1, so the bias's slope is -1/2, and 0.01 of it is taken. Exactly, 1/2 - 1/2 = 0."""
    for derivative, bias in (("published", 0.005), ("exact", 0.0)):
        port = MatlabPort(layers(1.0, 0.0), layers(0.0, 0.0), optimizer="sgd", derivative=derivative)
        told = port.step(Tape([rows(0.0)], [rows(1.0)]))
        assert told == same(dict.fromkeys(("g_loss", "g_loss_after", "d_loss"), math.log(2)))
        assert scalars(port.discriminator)[1] == same(bias)


def test_large_logits_overflow_nothing() -> None:
    port = MatlabPort(layers(1.0, 0.0), layers(0.0, 1000.0), optimizer="sgd")
    assert port.step(Tape([rows(0.5)], [rows(-1000.0)])) == {"g_loss": 0.0, "g_loss_after": 0.0, "d_loss": 500.0}
    assert scalars(port.discriminator)[1] == same(1000 - 0.01 / 2)


def test_backpropagation_equals_autograd() -> None:
    """Several units and rows; at a learning rate of 1 a step is the gradient. D's is of the summed loss / 2."""
    torch.manual_seed(0)
    sizes = [(5, 3), (5,), (6, 5), (6,), (4, 6), (4,)], [(5, 4), (5,), (5, 5), (5,), (1, 5), (1,)]
    g, d = ([torch.randn(size, dtype=torch.float64, requires_grad=True) for size in player] for player in sizes)
    real, z = torch.rand(7, 4, dtype=torch.float64), torch.rand(7, 3, dtype=torch.float64)
    ones, zeros = (torch.full((7, 1), value, dtype=torch.float64) for value in (1, 0))

    def network(p: list[Tensor], values: Tensor) -> Tensor:
        return torch.relu(torch.relu(values @ p[0].T + p[1]) @ p[2].T + p[3]) @ p[4].T + p[5]

    port = MatlabPort([p.detach().numpy() for p in g], [p.detach().numpy() for p in d], optimizer="sgd", lr=1.0)
    told = port.step(Tape([real], [z]))
    g_loss = binary_cross_entropy_with_logits(network(d, torch.sigmoid(network(g, z))), ones)
    g1 = [p - slope for p, slope in zip(g, torch.autograd.grad(g_loss, g), strict=True)]
    fake = torch.sigmoid(network(g1, z)).detach()
    d_loss = (binary_cross_entropy_with_logits(network(d, fake), zeros) + binary_cross_entropy_with_logits(network(d, real), ones)) / 2
    d1 = [p - slope for p, slope in zip(d, torch.autograd.grad(d_loss, d), strict=True)]
    assert [told["g_loss"], told["d_loss"]] == same([g_loss.item(), d_loss.item()])
    for ours, theirs in zip([*port.generator, *port.discriminator], [*g1, *d1], strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=0, atol=1e-13)
