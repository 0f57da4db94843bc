"""T4's port against two steps worked out by hand, each of Keras' conventions, and torch's own modules."""

from __future__ import annotations

import math

import pytest
import torch
from port_keras import KerasPort
from tape import Tape, TapeError
from torch import Tensor, nn


def near(expected: object) -> object:
    """Equal to what a pocket calculator shows."""
    return pytest.approx(expected, rel=0, abs=2e-10)


def same(expected: object) -> object:
    """Equal but for rounding: the decay of lr moves a second step by 8e-8 of 2e-4, some 1e-11."""
    return pytest.approx(expected, rel=0, abs=2e-14)


def column(*values: float) -> Tensor:
    """Rows of one value."""
    return torch.tensor(values, dtype=torch.float64)[:, None]


def discriminator_of(*scalars: float) -> list[Tensor]:
    """D of one unit a layer: weight, bias, weight, bias ..."""
    return [torch.tensor(value, dtype=torch.float64).reshape((1, 1) if i % 2 == 0 else (1,)) for i, value in enumerate(scalars)]


def generator_of(*scalars: float) -> list[Tensor]:
    """G of one unit: weight, bias, gamma, beta; weight, bias."""
    return [torch.tensor(value, dtype=torch.float64).reshape((1, 1) if i in (0, 4) else (1,)) for i, value in enumerate(scalars)]


def scalars(parameters: list[Tensor]) -> list[float]:
    return [parameter.item() for parameter in parameters]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def leaky(x: float) -> float:
    return x if x > 0 else 0.2 * x


def slope(x: float) -> float:
    return 1 if x > 0 else 0.2


def infer(g: list[float], z: float, mean: float, variance: float) -> float:
    """G in inference mode: what it makes of z with these moving statistics, eps 1e-3 beside the variance."""
    normalized = (leaky(g[0] * z + g[1]) - mean) / math.sqrt(variance + 1e-3)
    return math.tanh(g[4] * (g[2] * normalized + g[3]) + g[5])


def discriminate(d: list[float], x: float) -> float:
    """D's logit."""
    return d[2] * leaky(d[0] * x + d[1]) + d[3]


def back_through_d(d: list[float], x: float, d_logit: float) -> tuple[list[float], float]:
    """The chain rule, from the derivative at the logit to D's four parameters and to the image."""
    p = d[0] * x + d[1]
    d_p = d_logit * d[2] * slope(p)
    return [d_p * x, d_p, d_logit * leaky(p), d_logit], d_p * d[0]


def total(first: list[float], second: list[float]) -> list[float]:
    return [a + b for a, b in zip(first, second, strict=True)]


def train_g(g: list[float], d: list[float], z1: float, z2: float) -> tuple[list[float], dict[str, float]]:
    """G's turn on two rows: its six slopes, and what is passed on the way.

    Of two rows with the activations a1 and a2, the mean is (a1 + a2) / 2 and, with half = (a1 - a2) / 2, the variance half^2.
    So they are normalized to n and -n, n = half / r with r = sqrt(half^2 + eps), and dn/dhalf = 1/r - half^2/r^3 = eps / r^3.
    """
    p1, p2 = g[0] * z1 + g[1], g[0] * z2 + g[1]
    a1, a2 = leaky(p1), leaky(p2)
    mean, half = (a1 + a2) / 2, (a1 - a2) / 2
    r = math.sqrt(half**2 + 1e-3)
    n = half / r
    o1, o2 = g[2] * n + g[3], -g[2] * n + g[3]  # of the normalization
    x1, x2 = math.tanh(g[4] * o1 + g[5]), math.tanh(g[4] * o2 + g[5])
    l1, l2 = discriminate(d, x1), discriminate(d, x2)
    loss = (-math.log(sigmoid(l1)) - math.log(sigmoid(l2))) / 2

    d_x1 = back_through_d(d, x1, (sigmoid(l1) - 1) / 2)[1]
    d_x2 = back_through_d(d, x2, (sigmoid(l2) - 1) / 2)[1]
    d_t1, d_t2 = d_x1 * (1 - x1**2), d_x2 * (1 - x2**2)  # before tanh
    d_o1, d_o2 = d_t1 * g[4], d_t2 * g[4]
    d_half = (d_o1 * g[2] - d_o2 * g[2]) * 1e-3 / r**3
    d_p1, d_p2 = d_half / 2 * slope(p1), -d_half / 2 * slope(p2)  # a1 = mean + half, a2 = mean - half; the mean itself changes nothing
    slopes = [d_p1 * z1 + d_p2 * z2, d_p1 + d_p2, d_o1 * n - d_o2 * n, d_o1 + d_o2, d_t1 * o1 + d_t2 * o2, d_t1 + d_t2]
    return slopes, {"mean": mean, "variance": half**2, "n": n, "x1": x1, "x2": x2, "l1": l1, "l2": l2, "loss": loss, "d_half": d_half}


def adam_first(w: list[float], gradient: list[float]) -> list[float]:
    """Keras' Adam at t = 1: m = 0.5 g, v = 0.001 g^2, lr * sqrt(1 - 0.999) / (1 - 0.5); eps beside the uncorrected root."""
    rate = 2e-4 * math.sqrt(0.001) / 0.5
    return [w - rate * 0.5 * g / (math.sqrt(0.001 * g**2) + 1e-7) for w, g in zip(w, gradient, strict=True)]


def adam_second(w: list[float], first: list[float], second: list[float]) -> list[float]:
    """Keras' Adam at t = 2: 1 - 0.999^2 = 0.001999 and 1 - 0.5^2 = 0.75; one step was taken, so lr / (1 + 8e-8)."""
    rate = 2e-4 / (1 + 8e-8 * 1) * math.sqrt(0.001999) / 0.75
    m = [0.5 * 0.5 * g1 + 0.5 * g2 for g1, g2 in zip(first, second, strict=True)]
    v = [0.999 * 0.001 * g1**2 + 0.001 * g2**2 for g1, g2 in zip(first, second, strict=True)]
    return [w - rate * m / (math.sqrt(v) + 1e-7) for w, m, v in zip(w, m, v, strict=True)]


def test_two_steps_by_hand() -> None:
    """One real row and one fake in D's turn, two rows in G's: one on each side of LeakyReLU's corner."""
    g0 = [0.1, 0.02, 0.9, 0.1, 0.7, -0.2]
    d0 = [1.5, -0.4, 0.8, 0.3]

    # Step 1, D's turn: x = 0.6; z = -0.5 through G with the moving mean 0 and variance 1.
    # Its one loss is the mean over both rows: -log s(x) has the derivative s(x) - 1, -log(1 - s(x)) has s(x), each halved.
    fake = infer(g0, -0.5, 0.0, 1.0)
    on_real, on_fake = discriminate(d0, 0.6), discriminate(d0, fake)
    assert [fake, on_real, on_fake] == near([-0.1329857263, 0.7, 0.2040834257])
    d_loss_1 = (-math.log(sigmoid(on_real)) - math.log(1 - sigmoid(on_fake))) / 2
    assert d_loss_1 == near(0.6017860939)
    of_real, _ = back_through_d(d0, 0.6, (sigmoid(on_real) - 1) / 2)
    of_fake, _ = back_through_d(d0, fake, sigmoid(on_fake) / 2)
    assert of_real == near([-0.0796349347, -0.1327248911, -0.082953057, -0.1659061139])
    assert of_fake == near([-0.0058603565, 0.0440675605, -0.0330219487, 0.2754222529])
    d_slope_1 = total(of_real, of_fake)
    d1 = adam_first(d0, d_slope_1)
    assert d1 == near([1.5001999926, -0.3998000071, 0.8001999945, 0.2998000058])

    # Step 1, G's turn: z = 0.7 and -0.9, normalized by their own mean and variance, through the updated D.
    g_slope_1, passed = train_g(g0, d1, 0.7, -0.9)
    g_loss_1 = passed["loss"]
    assert [passed["mean"], passed["variance"], passed["n"], passed["d_half"]] == near([0.038, 0.002704, 0.8544130139, -0.4519049953])
    assert [passed["x1"], passed["x2"], passed["l1"], passed["l2"], g_loss_1] == near(
        [0.3870114411, -0.583847462, 0.4444718069, 0.0956389052, 0.5709378423]
    )
    assert g_slope_1 == near([-0.1988381979, -0.1807619981, -0.0967116859, -0.1659316948, -0.148048124, -0.2370452783])
    g1 = adam_first(g0, g_slope_1)
    assert g1 == near([0.1001999968, 0.0201999965, 0.9001999935, 0.1001999962, 0.7001999957, -0.1998000027])

    # The moving statistics go a fifth of the way; the variance that they are fed is the biased one.
    mean_1, variance_1 = 0.8 * 0 + 0.2 * passed["mean"], 0.8 * 1 + 0.2 * passed["variance"]
    assert [mean_1, variance_1] == near([0.0076, 0.8005408])

    # Step 2, D's turn: x = -0.3; z = 0.8 through G with these.
    fake = infer(g1, 0.8, mean_1, variance_1)
    on_real, on_fake = discriminate(d1, -0.3), discriminate(d1, fake)
    d_loss_2 = (-math.log(sigmoid(on_real)) - math.log(1 - sigmoid(on_fake))) / 2
    assert [fake, on_real, on_fake, d_loss_2] == near([-0.0642444695, 0.1637884115, 0.2203914296, 0.7120023793])
    of_real, _ = back_through_d(d1, -0.3, (sigmoid(on_real) - 1) / 2)
    of_fake, _ = back_through_d(d1, fake, sigmoid(on_fake) / 2)
    d_slope_2 = total(of_real, of_fake)
    assert d_slope_2 == near([0.0081696857, 0.0076604525, 0.0114890197, 0.0478658621])
    d2 = adam_second(d1, d_slope_1, d_slope_2)
    assert d2 == near([1.5002759251, -0.3997222921, 0.8002752438, 0.2996380764])

    # Step 2, G's turn: z = -1.2 and 0.4.
    g_slope_2, passed = train_g(g1, d2, -1.2, 0.4)
    g_loss_2 = passed["loss"]
    assert [passed["mean"], passed["variance"], passed["n"], passed["d_half"]] == near(
        [0.0201359976, 0.0016115405, -0.7855471036, 0.8120735167]
    )
    assert [passed["x1"], passed["x2"], passed["l1"], passed["l2"], g_loss_2] == near(
        [-0.5544515554, 0.3500547154, 0.102521863, 0.4000377035, 0.5780998187]
    )
    assert g_slope_2 == near([-0.2598635253, -0.3248294067, -0.0945744299, -0.1756354131, -0.1467217503, -0.2508360671])
    g2 = adam_second(g1, g_slope_1, g_slope_2)
    assert g2 == near([0.1004070263, 0.0204105799, 0.9003992326, 0.1004018032, 0.7003996911, -0.1995982035])
    mean_2, variance_2 = 0.8 * mean_1 + 0.2 * passed["mean"], 0.8 * variance_1 + 0.2 * passed["variance"]
    assert [mean_2, variance_2] == near([0.0101071995, 0.6407549481])

    port = KerasPort(generator_of(*g0), discriminator_of(*d0))
    told = port.step(Tape([column(0.6)], [column(-0.5), column(0.7, -0.9)]))
    assert told == same({"discriminator_loss": d_loss_1, "generator_loss": g_loss_1, "accuracy": 0.5})
    assert scalars(port.discriminator) == same(d1)
    assert scalars(port.generator) == same(g1)
    assert scalars([*port.moving[0]]) == same([mean_1, variance_1])
    assert port.samples(column(0.3, -2.0)).flatten().tolist() == same([infer(g1, z, mean_1, variance_1) for z in (0.3, -2.0)])
    told = port.step(Tape([column(-0.3)], [column(0.8), column(-1.2, 0.4)]))
    assert told == same({"discriminator_loss": d_loss_2, "generator_loss": g_loss_2, "accuracy": 0.5})
    assert scalars(port.discriminator) == same(d2)
    assert scalars(port.generator) == same(g2)
    assert scalars([*port.moving[0]]) == same([mean_2, variance_2])
    assert port.samples(column(0.3, -2.0)).flatten().tolist() == same([infer(g2, z, mean_2, variance_2) for z in (0.3, -2.0)])
    assert port.logits(column(0.3, -0.4)).tolist() == same([discriminate(d2, x) for x in (0.3, -0.4)])


def test_a_decayed_rate_falls_with_the_steps_already_taken() -> None:
    """The rate is lr / (1 + decay * taken): whole in the first step. A decay of 1 halves the second step and leaves a third of the third.

    D's logit is its bias, 100: the gradient is (0 + 1) / 2 in each step, which Adam makes a step of lr.
    """
    port = KerasPort(generator_of(1.0, 0.0, 1.0, 0.0, 1.0, 0.0), discriminator_of(0.0, 100.0), decay=1.0, eps=1e-30)
    for bias in (100 - 2e-4, 100 - 2e-4 * (1 + 1 / 2), 100 - 2e-4 * (1 + 1 / 2 + 1 / 3)):
        port.step(Tape([column(0.0)], [column(0.0), column(1.0, 2.0)]))
        assert port.discriminator[1].item() == pytest.approx(bias, rel=0, abs=1e-13)


def test_epsilon_stands_beside_the_uncorrected_root() -> None:
    """G's first gradient at a logit of 13 is -2.26e-6, and the root of v 7.15e-8: it moves by 7.15 / (7.15 + 10) lr.

    With eps beside the corrected root it would move by 226 / (226 + 10) lr.
    """
    port = KerasPort(generator_of(1.0, 0.0, 1.0, 0.0, 0.0, 0.0), discriminator_of(1.0, 13.0))
    port.step(Tape([column(0.0)], [column(0.0), column(-1.0, 1.0)]))
    bias = adam_first([13.0], [(sigmoid(13.0) - 1) / 2 + sigmoid(13.0) / 2])[0]  # D's, with x = 0 in both rows
    gradient = sigmoid(bias) - 1
    assert gradient == pytest.approx(-2.2608e-6, rel=1e-4)
    assert math.sqrt(0.001 * gradient**2) == pytest.approx(7.149e-8, rel=1e-3)
    assert port.generator[5].item() == pytest.approx(2e-4 * 7.149 / (7.149 + 10), rel=1e-3)
    assert port.generator[5].item() == same(adam_first([0.0], [gradient])[0])


def test_labels_and_the_mean_over_all_rows() -> None:
    """Three real rows and two fakes: the sum over five rows, over five; a real logit above 0 and a fake below are right."""
    port = KerasPort(generator_of(1.0, 0.0, 1.0, 0.0, 1.0, 0.0), discriminator_of(1.0, 0.0))
    fakes = [infer([1.0, 0.0, 1.0, 0.0, 1.0, 0.0], z, 0.0, 1.0) for z in (0.4, 2.0)]
    told = port.step(Tape([column(2.0, 1.0, -3.0)], [column(0.4, 2.0), column(1.0, 2.0)]))
    real = [math.log1p(math.exp(-x)) for x in (2.0, 1.0, -3.0)]
    fake = [math.log1p(math.exp(x)) for x in fakes]
    assert told["discriminator_loss"] == same(sum(real + fake) / 5)
    assert told["accuracy"] == 2 / 5


def test_only_generators_turn_feeds_the_moving_statistics() -> None:
    """Whatever D's fakes are made of, and however often samples are drawn."""
    for latent in (-3.0, 5.0):
        port = KerasPort(generator_of(1.0, 0.5, 1.0, 0.0, 1.0, 0.0), discriminator_of(1.0, 0.2))
        port.samples(column(latent, 9.0))
        port.step(Tape([column(0.0)], [column(latent), column(0.5, 1.5)]))
        port.samples(column(latent, 9.0))
        assert scalars([*port.moving[0]]) == same([0.2 * 1.5, 0.8 + 0.2 * 0.25])  # activations 1 and 2


def test_moving_variance_is_fed_the_biased_one() -> None:
    """Activations 1, 2 and 6: the mean is 3 and the squares 4, 1 and 9 add up to 14: 14/3, where PyTorch would take 7."""
    port = KerasPort(generator_of(1.0, 0.0, 1.0, 0.0, 1.0, 0.0), discriminator_of(1.0, 0.0))
    port.step(Tape([column(0.0)], [column(0.0), column(1.0, 2.0, 6.0)]))
    assert scalars([*port.moving[0]]) == same([0.6, 0.8 + 0.2 * 14 / 3])


def test_large_logits_keep_their_gradient() -> None:
    """A logit of -1000 where both labels are 1: G's loss is 1000, and its last bias moves by a whole first step."""
    port = KerasPort(generator_of(1.0, 0.0, 1.0, 0.0, 0.0, 0.0), discriminator_of(1.0, -1000.0), eps=1e-30)
    told = port.step(Tape([column(0.0)], [column(0.0), column(1.0, -1.0)]))
    assert told["generator_loss"] == pytest.approx(1000, rel=0, abs=1e-3)
    assert port.generator[5].item() == pytest.approx(2e-4, rel=0, abs=1e-13)


def test_losses_are_exact_at_logits_where_softplus_gives_up() -> None:
    """torch's softplus(x) is x from 20 on: at 21 it would lack exp(-21) = 7.6e-10, in either turn."""
    port = KerasPort(generator_of(1.0, 0.0, 1.0, 0.0, 0.0, 0.0), discriminator_of(0.0, -21.0), lr=0.0)
    told = port.step(Tape([column(0.0)], [column(0.0), column(1.0, -1.0)]))
    assert math.log1p(math.exp(21.0)) - 21 == pytest.approx(7.5826e-10, rel=1e-4)
    assert told["generator_loss"] == same(math.log1p(math.exp(21.0)))
    assert told["discriminator_loss"] == same((math.log1p(math.exp(21.0)) + math.log1p(math.exp(-21.0))) / 2)


def test_every_draw_is_used() -> None:
    port = KerasPort(generator_of(1.0, 0.0, 1.0, 0.0, 1.0, 0.0), discriminator_of(1.0, 0.0))
    with pytest.raises(TapeError):
        port.step(Tape([column(0.5)], [column(0.1)]))  # one latent for both turns
    with pytest.raises(TapeError):
        port.step(Tape([column(0.5)], [column(0.1), column(0.2, 0.3)], [column(2.0)]))  # a mask, but no dropout


def test_wider_networks_equal_torchs_modules() -> None:
    """Several units, layers and rows: half as many real ones and fakes as G has latents, as in the tutorial.

    torch's BatchNorm1d feeds its moving variance the unbiased one, so here it is set by hand from a hook's view of the batch;
    torch's Adam has its eps beside the corrected root, so it is given eps / sqrt(1 - b2^t) before each step, and the decayed lr.
    """
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    try:
        norms = [nn.BatchNorm1d(width, eps=1e-3, momentum=0.2) for width in (5, 6)]
        generator = nn.Sequential(
            nn.Linear(3, 5), nn.LeakyReLU(0.2), norms[0], nn.Linear(5, 6), nn.LeakyReLU(0.2), norms[1], nn.Linear(6, 4), nn.Tanh()
        )
        discriminator = nn.Sequential(nn.Linear(4, 6), nn.LeakyReLU(0.2), nn.Linear(6, 5), nn.LeakyReLU(0.2), nn.Linear(5, 1))
    finally:
        torch.set_default_dtype(torch.float32)
    moving = [(torch.zeros_like(norm.weight), torch.ones_like(norm.weight)) for norm in norms]

    def feed(place: int, norm: nn.BatchNorm1d, batch: Tensor) -> None:
        if norm.training:
            mean, variance = moving[place]
            mean.lerp_(batch.detach().mean(0), 0.2)
            variance.lerp_(batch.detach().var(0, correction=0), 0.2)
            unbiased.append(batch.detach().var(0))

    for place, norm in enumerate(norms):
        norm.register_forward_pre_hook(lambda module, inputs, place=place: feed(place, module, inputs[0]))
    unbiased: list[Tensor] = []

    def learn(loss: Tensor, optimizer: torch.optim.Optimizer, taken: int) -> None:
        optimizer.zero_grad()
        loss.backward()
        (group,) = optimizer.param_groups
        group["lr"], group["eps"] = 5e-3 / (1 + 0.01 * taken), 1e-7 / math.sqrt(1 - 0.999 ** (taken + 1))
        optimizer.step()

    with torch.no_grad():
        for norm in norms:  # not 1 and 0, so that their order tells
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
    port = KerasPort(list(generator.parameters()), list(discriminator.parameters()), lr=5e-3, decay=0.01)
    d_optimizer, g_optimizer = (torch.optim.Adam(network.parameters(), betas=(0.5, 0.999)) for network in (discriminator, generator))
    bce = nn.BCEWithLogitsLoss()
    labels = torch.cat([torch.ones(4, 1), torch.zeros(4, 1)]).double()
    for taken in range(30):
        real, z1, z2 = (torch.randn(*shape, dtype=torch.float64) for shape in ((4, 4), (4, 3), (8, 3)))
        generator.eval()
        with torch.no_grad():
            fake = generator(z1)
        logits = discriminator(torch.cat([real, fake]))
        d_loss = bce(logits, labels)
        learn(d_loss, d_optimizer, taken)
        generator.train()
        g_loss = bce(discriminator(generator(z2)), torch.ones(8, 1, dtype=torch.float64))
        learn(g_loss, g_optimizer, taken)
        with torch.no_grad():
            for norm, (mean, variance) in zip(norms, moving, strict=True):
                torch.testing.assert_close(norm.running_mean, mean, rtol=0, atol=1e-13)
                norm.running_var.copy_(variance)

        told = port.step(Tape([real], [z1, z2]))
        assert [told["discriminator_loss"], told["generator_loss"]] == pytest.approx([d_loss.item(), g_loss.item()], rel=0, abs=1e-12)
        assert told["accuracy"] == ((logits > 0) == (labels > 0)).double().mean().item()
    for ours, theirs in ((port.generator, generator), (port.discriminator, discriminator)):
        for a, b in zip(ours, theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    for (mean, variance), norm in zip(port.moving, norms, strict=True):
        torch.testing.assert_close(mean, norm.running_mean, rtol=0, atol=1e-12)
        torch.testing.assert_close(variance, norm.running_var, rtol=0, atol=1e-12)
    latent, image = torch.randn(7, 3, dtype=torch.float64), torch.randn(7, 4, dtype=torch.float64)
    torch.testing.assert_close(port.samples(latent), generator.eval()(latent), rtol=0, atol=1e-12)
    torch.testing.assert_close(port.logits(image), discriminator(image)[:, 0], rtol=0, atol=1e-12)


def test_accuracy_counts_a_half_as_fake() -> None:
    """Keras guesses 1 where the probability is above 0.5; a logit of 0 is not. Real 4 and -4, fake 0 and 0: three of four right."""
    port = KerasPort(generator_of(1.0, 0.0, 1.0, 0.0, 0.0, 0.0), discriminator_of(4.0, 0.0))
    assert port.step(Tape([column(1.0, -1.0)], [column(1.0, -1.0), column(1.0, -1.0)]))["accuracy"] == 0.75
