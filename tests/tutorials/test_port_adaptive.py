"""T3's port against two steps worked out by hand, each of its branches, and torch's own modules and optimizer."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from port_adaptive import AdaptivePort
from tape import Tape, TapeError
from torch import Tensor, nn


def near(expected: object) -> object:
    """Equal to what a pocket calculator shows."""
    return pytest.approx(expected, rel=0, abs=2e-10)


def same(expected: object) -> object:
    """Equal but for rounding: Adam hides the gradient's factors from the parameters but for eps, by some 1e-12."""
    return pytest.approx(expected, rel=0, abs=2e-14)


def column(*values: float) -> Tensor:
    """Rows of one value."""
    return torch.tensor(values, dtype=torch.float64)[:, None]


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


def discriminate(d: list[float], x: float) -> tuple[float, float, float]:
    """D: x -> p -LeakyReLU-> a -> logit."""
    p = d[0] * x + d[1]
    a = p if p > 0 else 0.2 * p
    return p, a, d[2] * a + d[3]


def back_through_d(d: list[float], x: float, d_logit: float) -> tuple[list[float], float]:
    """The chain rule, from the derivative at the logit to D's four parameters and to the image."""
    p, a, _ = discriminate(d, x)
    d_p = d_logit * d[2] * (1 if p > 0 else 0.2)
    return [d_p * x, d_p, d_logit * a, d_logit], d_p * d[0]


def back_through_g(g: list[float], z: float, d_image: float) -> list[float]:
    """The chain rule, from the derivative at the image to G's six parameters."""
    h1, h2, image = generate(g, z)
    d_out = d_image * (1 - image**2)
    d_p2 = d_out * g[4] * (h2 > 0)
    d_p1 = d_p2 * g[2] * (h1 > 0)
    return [d_p1 * z, d_p1, d_p2 * h1, d_p2, d_out * h2, d_out]


def mean(rows: list[list[float]]) -> list[float]:
    return [sum(values) / len(values) for values in zip(*rows, strict=True)]


def length(gradient: list[float]) -> float:
    return math.sqrt(sum(g**2 for g in gradient))


def adam(w: list[float], *gradients: list[float]) -> list[float]:
    """Adam's step number t, after the t gradients seen so far, with lr 1e-4, 0.9, 0.999 and eps 1e-8 after the correction."""
    t = len(gradients)
    moved = []
    for place, value in enumerate(w):
        m = v = 0.0
        for gradient in gradients:
            m = 0.9 * m + 0.1 * gradient[place]
            v = 0.999 * v + 0.001 * gradient[place] ** 2
        moved.append(value - 1e-4 * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8))
    return moved


def test_two_steps_by_hand() -> None:
    """In the first, D's first gradient is clipped and G trains twice, its second gradient clipped; in the second, on two rows, G rests."""
    g0 = [0.5, 0.1, 0.8, 0.2, 0.6, -0.1]
    d0 = [2.0, -0.5, 4.0, -3.0]

    # Step 1, D on real: x = 0.8. -log s(x) has the derivative s(x) - 1.
    assert discriminate(d0, 0.8) == near([1.1, 1.1, 1.4])
    l_r1 = -math.log(sigmoid(discriminate(d0, 0.8)[2]))
    raw, _ = back_through_d(d0, 0.8, sigmoid(discriminate(d0, 0.8)[2]) - 1)
    assert [l_r1, *raw] == near([0.2204174099, -0.6330115566, -0.7912644458, -0.2175977226, -0.1978161114])
    assert length(raw) == near(1.0551222852)
    d_slope_1 = [g * 1.0 / length(raw) for g in raw]  # longer than 1: clipped
    d1 = adam(d0, d_slope_1)
    assert d_slope_1 == near([-0.5999414148, -0.7499267685, -0.2062298613, -0.1874816921])
    assert d1 == near([2.0001, -0.4999, 4.0001, -2.9999])

    # Step 1, D on fake: z = 1, through the D that has already stepped. -log(1 - s(x)) has s(x).
    assert generate(g0, 1.0) == near([0.6, 0.68, 0.2986165305])
    logit = discriminate(d1, generate(g0, 1.0)[2])[2]
    l_f1 = -math.log(1 - sigmoid(logit))
    d_slope_2, _ = back_through_d(d1, generate(g0, 1.0)[2], sigmoid(logit))
    assert [logit, l_f1, *d_slope_2] == near([-2.6104385728, 0.0709264814, 0.0817866928, 0.2738853493, 0.0066664029, 0.0684696256])
    assert length(d_slope_2) == near(0.2939979222)
    d2 = adam(d1, d_slope_1, d_slope_2)  # the second step of the same Adam
    assert d2 == near([2.0001563348, -0.4998626032, 4.0001645654, -2.9998626025])

    # Step 1, G's first update: l_r + l_f < 1.75; z = 0.4. log(1 - s(x)) has the derivative -s(x).
    assert l_r1 + l_f1 == near(0.2913438913)
    image = generate(g0, 0.4)[2]
    logit = discriminate(d2, image)[2]
    loss = math.log(1 - sigmoid(logit))
    _, d_image = back_through_d(d2, image, -sigmoid(logit))
    g_slope_1 = back_through_g(g0, 0.4, d_image)
    assert [image, logit, loss, d_image] == near([0.1625453332, -3.1396655741, -0.0423861548, -0.0664085946])
    assert g_slope_1 == near([-0.0124135707, -0.0310339267, -0.0116377225, -0.0387924084, -0.0284477662, -0.064654014])
    assert length(g_slope_1) == near(0.0880165088)
    g1 = adam(g0, g_slope_1)
    assert g1 == near([0.5000999999, 0.1001, 0.8000999999, 0.2001, 0.6001, -0.0999])

    # Step 1, G's second update, as |l| < 0.1: z = 1.4.
    image = generate(g1, 1.4)[2]
    logit = discriminate(d2, image)[2]
    l_g = math.log(1 - sigmoid(logit))
    _, d_image = back_through_d(d2, image, -sigmoid(logit))
    raw = back_through_g(g1, 1.4, d_image)
    assert [image, logit, l_g, d_image] == near([0.3837136491, -1.9293198299, -0.1356202972, -1.014728125])
    assert raw == near([-0.5816669724, -0.4154764088, -0.4155491081, -0.519280601, -0.7271936171, -0.8653234479])
    assert length(raw) == near(1.4936149916)
    g_slope_2 = [g * 1.0 / length(raw) for g in raw]
    g2 = adam(g1, g_slope_1, g_slope_2)
    assert g2 == near([0.5001765096, 0.100181381, 0.8001771476, 0.2001813818, 0.6001781936, -0.0998186171])
    assert 1 + 6 * abs(l_g) == near(1.8137217831)  # rest = 1

    # Step 2, D on real: x = 0.9 and 0.5; the mean over both.
    logits = [discriminate(d2, x)[2] for x in (0.9, 0.5)]
    l_r2 = (-math.log(sigmoid(logits[0])) - math.log(sigmoid(logits[1]))) / 2
    raw = mean([back_through_d(d2, x, sigmoid(logit) - 1)[0] for x, logit in zip((0.9, 0.5), logits, strict=True)])
    assert [*logits, l_r2] == near([2.2014637707, -0.9989180276, 0.7087041107])
    assert [*raw, length(raw)] == near([-0.9101976562, -1.6609981645, -0.2475565006, -0.4152324579, 1.9547575018])
    d_slope_3 = [g * 1.0 / length(raw) for g in raw]
    d3 = adam(d2, d_slope_1, d_slope_2, d_slope_3)
    assert d3 == near([2.0002298085, -0.4997962424, 4.0002405305, -2.9997962417])

    # Step 2, D on fake: z = -1, at which G's first ReLU is off, and 0.8. Then G rests, though l_r + l_f < 1.75.
    images = [generate(g2, z)[2] for z in (-1.0, 0.8)]
    logits = [discriminate(d3, image)[2] for image in images]
    l_f2 = (-math.log(1 - sigmoid(logits[0])) - math.log(1 - sigmoid(logits[1]))) / 2
    d_slope_4 = mean([back_through_d(d3, image, sigmoid(logit))[0] for image, logit in zip(images, logits, strict=True)])
    assert [*images, *logits, l_f2] == near([0.0203230844, 0.2548615501, -3.367134652, -2.9598521315, 0.0422175888])
    assert [*d_slope_4, length(d_slope_4)] == near([0.0253880952, 0.1118880037, -0.0012847175, 0.0413057299, 0.1219479174])
    d4 = adam(d3, d_slope_1, d_slope_2, d_slope_3, d_slope_4)
    assert d4 == near([2.0002880278, -0.4997476891, 4.0003030644, -2.999750583])
    assert l_r2 + l_f2 == near(0.7509216996)

    port = AdaptivePort(layers(*g0), layers(*d0))
    told = port.step(Tape([column(0.8)], [column(1.0), column(0.4), column(1.4)]))
    silent = {"waited": False, "capped": False, "clamped_real": 0, "clamped_fake": 0}
    losses = {"real_loss": l_r1, "fake_loss": l_f1, "generator_loss": l_g}
    assert told == same({**losses, "updates": 2, "rested": False, "rest": 1, "clipped": 2, **silent})
    assert scalars(port.discriminator) == same(d2)
    assert scalars(port.generator) == same(g2)
    told = port.step(Tape([column(0.9, 0.5)], [column(-1.0, 0.8)]))
    assert told.pop("generator_loss") is None
    losses = {"real_loss": l_r2, "fake_loss": l_f2}
    assert told == same({**losses, "updates": 0, "rested": True, "rest": 0, "clipped": 1, **silent})
    assert scalars(port.discriminator) == same(d4)
    assert scalars(port.generator) == same(g2)
    assert port.samples(column(0.3)).tolist() == [[same(generate(g2, 0.3)[2])]]
    assert port.logits(column(0.3, -0.4)).tolist() == same([discriminate(d4, x)[2] for x in (0.3, -0.4)])


# Networks of one layer, in which a logit can be ordered: G(z) = tanh(z) and D's logit is 10 x.
PLAIN_G, PLAIN_D = (1.0, 0.0), (10.0, 0.0)


def real_of(*logits: float) -> Tensor:
    """Images that PLAIN_D gives these logits."""
    return column(*(logit / 10 for logit in logits))


def latent_of(*logits: float) -> Tensor:
    """Latents from which PLAIN_G makes such images."""
    return column(*(math.atanh(logit / 10) for logit in logits))


def logit_of(loss: float) -> float:
    """Where -log(1 - s(x)) is ``loss``: s(x) = 1 - exp(-loss), so x = log(exp(loss) - 1)."""
    return math.log(math.expm1(loss))


def frozen(**settings: Any) -> AdaptivePort:
    """A port that decides but never changes a parameter."""
    return AdaptivePort(layers(*PLAIN_G), layers(*PLAIN_D), lr=0.0, **settings)


def step(port: AdaptivePort, real_loss: float, fake_loss: float, *generator_losses: float) -> dict[str, Any]:
    """One step in which D's losses and |l| of each of G's updates are these."""
    latents = [latent_of(logit_of(loss)) for loss in (fake_loss, *generator_losses)]
    return port.step(Tape([real_of(-logit_of(real_loss))], latents))


def test_the_clamps_are_dead_zones() -> None:
    """D(x) < 1e-3 and D(G(z)) > 0.999: both losses are log 1000 and D does not move; G is not trained."""
    port = AdaptivePort(layers(*PLAIN_G), layers(*PLAIN_D))
    told = port.step(Tape([real_of(-6.91, -9.0)], [latent_of(6.91, 9.0)]))
    assert [told["real_loss"], told["fake_loss"]] == same([math.log(1000)] * 2)
    assert [told["clamped_real"], told["clamped_fake"], told["waited"]] == [2, 2, True]
    assert scalars(port.discriminator) == [*PLAIN_D]


def test_only_the_wrong_side_is_clamped() -> None:
    """D(x) > 0.999 and D(G(z)) < 1e-3 are not touched: small losses, small gradients."""
    port = AdaptivePort(layers(*PLAIN_G), layers(*PLAIN_D), max_updates=0)
    told = port.step(Tape([real_of(9.0)], [latent_of(-8.0)]))
    assert told["real_loss"] == same(math.log1p(math.exp(-9.0)))
    slope_1 = [-sigmoid(-9.0) * 0.9, -sigmoid(-9.0)]
    d1 = adam([*PLAIN_D], slope_1)
    logit = d1[0] * -0.8 + d1[1]
    assert told["fake_loss"] == same(math.log1p(math.exp(logit)))
    assert scalars(port.discriminator) == same(adam(d1, slope_1, [sigmoid(logit) * -0.8, sigmoid(logit)]))
    assert [told["clamped_real"], told["clamped_fake"]] == [0, 0]


def test_a_row_in_the_dead_zone_counts_in_the_mean() -> None:
    """Log 999 = 6.90675...: of two real rows one is just past it and gives log 1000 but no gradient; the mean still halves the other's.

    Then the fakes: all within, one just. The gradient of the first pass is remembered by D's Adam.
    """
    port = AdaptivePort(layers(*PLAIN_G), layers(*PLAIN_D), max_norm=100.0)
    told = port.step(Tape([real_of(-6.907, -6.906)], [latent_of(6.9, -1.0)]))
    assert told["real_loss"] == same((math.log(1000) + math.log1p(math.exp(6.906))) / 2)
    d_logit = (sigmoid(-6.906) - 1) / 2
    slope_1 = [d_logit * -0.6906, d_logit]
    d1 = adam([*PLAIN_D], slope_1)
    logits = [d1[0] * x + d1[1] for x in (0.69, -0.1)]
    assert told["fake_loss"] == same((math.log1p(math.exp(logits[0])) + math.log1p(math.exp(logits[1]))) / 2)
    d_logits = [sigmoid(logit) / 2 for logit in logits]
    slope_2 = [d_logits[0] * 0.69 + d_logits[1] * -0.1, d_logits[0] + d_logits[1]]
    assert scalars(port.discriminator) == same(adam(d1, slope_1, slope_2))
    assert [told["clamped_real"], told["clamped_fake"]] == [1, 0]


def test_a_gradient_of_nothing_is_still_a_step_of_adam() -> None:
    """Real in the dead zone, the fake not: D moves by the second step of an Adam whose first gradient was 0."""
    port = AdaptivePort(layers(*PLAIN_G), layers(*PLAIN_D), max_norm=100.0)
    port.step(Tape([real_of(-8.0)], [latent_of(2.0)]))
    slope = [sigmoid(2.0) * 0.2, sigmoid(2.0)]
    assert scalars(port.discriminator) == same(adam([*PLAIN_D], [0.0, 0.0], slope))
    assert port.discriminator[1].item() == near(-0.0000744136)  # 1e-4 * (0.1 / 0.19) / sqrt(0.001 / 0.001999)


def test_generators_dead_zone() -> None:
    """D(G(z)) > 0.999 in G's own turn: l = log(1e-3), no gradient, and a long rest: int(1 + 6 * 6.9078) = 42."""
    port = AdaptivePort(layers(*PLAIN_G), layers(*PLAIN_D))
    told = port.step(Tape([real_of(2.0)], [latent_of(-2.0), latent_of(9.0)]))
    assert told["generator_loss"] == same(math.log(1e-3))
    assert [told["updates"], told["rest"], told["clamped_fake"]] == [1, 42, 0]  # clamped_fake is of D's turn
    assert scalars(port.generator) == [*PLAIN_G]


def test_clip_is_theta_over_the_norm_of_all_parameters() -> None:
    """No tensor's gradient is longer than theta, all together are: all are multiplied by theta / norm."""
    d0 = [1.0, 0.2, 0.8, -0.6]
    raw, _ = back_through_d(d0, 0.5, sigmoid(discriminate(d0, 0.5)[2]) - 1)
    assert [discriminate(d0, 0.5)[2], *raw] == near([-0.04, -0.2039994668, -0.4079989335, -0.3569990668, -0.5099986669])
    theta = 0.6
    assert max(map(abs, raw)) < theta < length(raw)
    assert length(raw) == near(0.7717680261)
    slope_1 = [g * theta / length(raw) for g in raw]
    d1 = adam(d0, slope_1)
    x = math.tanh(-2.0)
    slope_2, _ = back_through_d(d1, x, sigmoid(discriminate(d1, x)[2]))
    assert length(slope_2) < theta  # as it is: were it stretched to theta, it would weigh more against the first

    port = AdaptivePort(layers(*PLAIN_G), layers(*d0), max_norm=theta, max_updates=0)
    told = port.step(Tape([column(0.5)], [column(-2.0)]))
    assert scalars(port.discriminator) == same(adam(d1, slope_1, slope_2))
    assert told["clipped"] == 1


def test_clip_only_what_is_longer() -> None:
    """A logit of 0 everywhere: both of D's gradients are 0.5 and 0, as long as theta to the bit."""
    port = AdaptivePort(layers(*PLAIN_G), layers(0.0, 0.0), lr=0.0, max_norm=0.5, max_updates=0)
    assert port.step(Tape([column(0.0)], [column(0.0)]))["clipped"] == 0
    port = AdaptivePort(layers(*PLAIN_G), layers(0.0, 0.0), lr=0.0, max_norm=math.nextafter(0.5, 0), max_updates=0)
    assert port.step(Tape([column(0.0)], [column(0.0)]))["clipped"] == 2


def test_saturating_gradient_vanishes_where_d_is_sure() -> None:
    """At a logit of -20 G's gradient is -s(-20) = -2e-9, less than Adam's eps; the non-saturating loss's would be nearly -1."""
    port = AdaptivePort(layers(0.0, 0.0), layers(1.0, -20.0), max_updates=1)
    told = port.step(Tape([column(1000.0)], [column(0.0), column(0.0)]))
    bias = adam([1.0, -20.0], [0.0, 0.0], [0.0, sigmoid(-20.0)])[1]  # D's after the fakes, at which x = 0
    gradient = -sigmoid(bias)
    assert told["generator_loss"] == pytest.approx(math.log1p(-sigmoid(bias)), rel=1e-12, abs=0)
    assert gradient == pytest.approx(-2.06e-9, rel=1e-3)
    moved = port.generator[1].item()
    assert moved == pytest.approx(1e-4 * 2.061153e-9 / (2.061153e-9 + 1e-8), rel=1e-3)
    assert moved == same(adam([0.0], [gradient * port.discriminator[0].item()])[0])


def test_updates_repeat_while_the_loss_is_small() -> None:
    """|l| = 0.05, 0.0999, 0.15: three updates, and the rest follows from the last."""
    told = step(frozen(), 0.7, 0.7, 0.05, 0.0999, 0.15)
    assert [told["updates"], told["rest"], told["capped"]] == [3, 1, False]
    assert told["generator_loss"] == same(-0.15)


@pytest.mark.parametrize("first", [0.1000001, 0.3])
def test_one_update_when_the_first_loss_is_large(first: float) -> None:
    assert step(frozen(), 0.7, 0.7, first)["updates"] == 1
    with pytest.raises(TapeError, match="drew more"):
        step(frozen(), 0.7, 0.7, first, 0.3)


def test_bounds_are_strict() -> None:
    """l_r + l_f = 1.75 waits; |l| = 0.1 stops. A bound is set to the bits that the loss has."""
    loss = -frozen().step(Tape([real_of(1.0)], [latent_of(0.0), latent_of(-1.0)]))["generator_loss"]
    told = frozen(generator_loss_below=loss).step(Tape([real_of(1.0)], [latent_of(0.0), latent_of(-1.0)]))
    assert told["updates"] == 1
    told = frozen(generator_loss_below=math.nextafter(loss, 1)).step(Tape([real_of(1.0)], [latent_of(v) for v in (0.0, -1.0, 2.0)]))
    assert told["updates"] == 2
    total = told["real_loss"] + told["fake_loss"]
    told = frozen(discriminator_loss_below=total).step(Tape([real_of(1.0)], [latent_of(0.0)]))
    assert [told["updates"], told["waited"], told["rested"]] == [0, True, False]
    told = frozen(discriminator_loss_below=math.nextafter(total, 2)).step(Tape([real_of(1.0)], [latent_of(v) for v in (0.0, -1.0)]))
    assert [told["updates"], told["waited"], told["rested"]] == [1, False, False]


def test_waits_while_d_is_too_weak() -> None:
    """l_r + l_f past 1.75: G waits; below, it trains; the loss counts, not the step."""
    port = frozen()
    for _ in range(3):
        told = step(port, 1.0, 0.7500001)
        assert [told["updates"], told["waited"], told["rested"], told["rest"], told["capped"]] == [0, True, False, 0, False]
        assert told["generator_loss"] is None
    told = step(port, 1.0, 0.7499999, 0.3)
    assert [told["updates"], told["waited"], told["rested"], told["rest"]] == [1, False, False, 2]


@pytest.mark.parametrize(("loss", "rest"), [(0.1000001, 1), (0.1666666, 1), (0.1666667, 2), (0.4999999, 3), (0.5000001, 4), (1.2, 8)])
def test_rest_is_the_whole_part(loss: float, rest: int) -> None:
    """int(1 + 6 |l|)."""
    assert step(frozen(), 0.7, 0.7, loss)["rest"] == rest


def test_rests_exactly_four_steps() -> None:
    """After l = -0.5: four idle steps, then G trains again. A step past 1.75 is idle, too, and lowers the rest."""
    port = frozen()
    assert step(port, 0.7, 0.7, 0.5000001)["rest"] == 4
    for left, fake_loss in ((3, 0.7), (2, 1.7), (1, 0.7), (0, 0.7)):
        told = step(port, 0.7, fake_loss)
        assert [told["updates"], told["rested"], told["waited"], told["rest"]] == [0, True, False, left]
    told = step(port, 0.7, 0.7, 0.5000001)
    assert [told["updates"], told["rested"], told["waited"], told["rest"]] == [1, False, False, 4]


def test_the_cap_counts_as_hit_when_more_was_wanted() -> None:
    told = step(frozen(max_updates=3), 0.7, 0.7, 0.01, 0.02, 0.03)
    assert [told["updates"], told["capped"], told["rest"]] == [3, True, 1]
    told = step(frozen(max_updates=3), 0.7, 0.7, 0.01, 0.02, 0.2)  # as many updates, but no more were wanted
    assert [told["updates"], told["capped"], told["rest"]] == [3, False, 2]
    told = step(frozen(max_updates=3), 0.7, 0.7, 0.01, 0.2)
    assert [told["updates"], told["capped"], told["rest"]] == [2, False, 2]


def test_the_cap_is_fifty() -> None:
    told = step(frozen(), 0.7, 0.7, *[0.01] * 50)
    assert [told["updates"], told["capped"], told["rest"]] == [50, True, 1]


def test_latents_are_fresh_and_all_used() -> None:
    with pytest.raises(TapeError, match="one more latent"):
        step(frozen(), 0.7, 0.7, 0.05)  # a second update is wanted
    with pytest.raises(TapeError, match="drew more"):
        step(frozen(), 0.7, 1.7, 0.05)  # none is


def test_wider_networks_equal_torchs_modules() -> None:
    """Several units and rows, and losses from clamped probabilities, as the tutorial writes them."""
    torch.manual_seed(1)
    linear = [nn.Linear(*widths, dtype=torch.float64) for widths in ((3, 6), (6, 5), (5, 4), (4, 6), (6, 1))]
    generator = nn.Sequential(linear[0], nn.ReLU(), linear[1], nn.ReLU(), linear[2], nn.Tanh())
    discriminator = nn.Sequential(linear[3], nn.LeakyReLU(0.2), linear[4], nn.Sigmoid())
    with torch.no_grad():
        for parameter in itertools.chain(generator.parameters(), discriminator.parameters()):
            parameter *= 3  # so that D is sure enough to be clamped, and gradients are long enough to be clipped
        linear[4].bias += 2
    margin = 0.05  # not 1e-3, so that few steps show every branch
    port = AdaptivePort(list(generator.parameters()), list(discriminator.parameters()), lr=1e-2, clamp_margin=margin)
    d_optimizer, g_optimizer = (torch.optim.Adam(network.parameters(), lr=1e-2) for network in (discriminator, generator))

    def learn(loss: Tensor, network: nn.Module, optimizer: torch.optim.Optimizer) -> float:
        optimizer.zero_grad()
        loss.backward()
        norm = torch.cat([parameter.grad.flatten() for parameter in network.parameters()]).norm()
        if norm > 1:
            for parameter in network.parameters():
                parameter.grad /= norm
        optimizer.step()
        return loss.item()

    rest, seen = 0, {"updates": 0, "rested": 0, "waited": 0, "clipped": 0, "clamped_real": 0, "clamped_fake": 0, "repeated": 0}
    for _ in range(40):
        real = 1 + torch.randn(7, 4, dtype=torch.float64)
        latents = [torch.randn(7, 3, dtype=torch.float64)]
        l_r = learn(-discriminator(real).clamp(margin, 1).log().mean(), discriminator, d_optimizer)
        fake = generator(latents[0]).detach()
        l_f = learn(-(1 - discriminator(fake).clamp(0, 1 - margin)).log().mean(), discriminator, d_optimizer)
        loss = 0.0
        while l_r + l_f < 1.75 and rest <= 0 and abs(loss) < 0.1:
            latents.append(torch.randn(7, 3, dtype=torch.float64))
            loss = learn((1 - discriminator(generator(latents[-1])).clamp(0, 1 - margin)).log().mean(), generator, g_optimizer)
        rest = int(1 + 6 * abs(loss)) if len(latents) > 1 else max(rest - 1, 0)

        told = port.step(Tape([real], latents))
        assert [told["real_loss"], told["fake_loss"]] == pytest.approx([l_r, l_f], rel=0, abs=1e-12)
        assert [told["updates"], told["rest"], told["capped"]] == [len(latents) - 1, rest, False]
        if told["updates"]:
            assert told["generator_loss"] == pytest.approx(loss, rel=0, abs=1e-12)
        for name in seen:
            seen[name] += told["updates"] > 1 if name == "repeated" else int(told[name])
    assert all(seen.values()), seen  # every branch was there
    for ours, theirs in ((port.generator, generator), (port.discriminator, discriminator)):
        for a, b in zip(ours, theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    latent, image = torch.randn(7, 3, dtype=torch.float64), torch.randn(7, 4, dtype=torch.float64)
    torch.testing.assert_close(port.samples(latent), generator(latent), rtol=0, atol=1e-12)
    torch.testing.assert_close(port.logits(image), discriminator[:-1](image)[:, 0], rtol=0, atol=1e-12)
    torch.testing.assert_close(port.logits(image), discriminator[:-1](image)[:, 0], rtol=0, atol=1e-12)


def test_no_threshold_in_the_softplus() -> None:
    """softplus(25) is not 25: a margin of 1e-12 leaves 25 outside the dead zone (its edge is 27.6)."""
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    port = AdaptivePort([one, zero], [0 * one, zero + 25], lr=0.0, clamp_margin=1e-12)
    told = port.step(Tape([one], [one]))
    assert told["fake_loss"] - 25 == pytest.approx(math.exp(-25), rel=1e-3)
