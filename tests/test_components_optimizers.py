"""The optimizers against PyTorch's own and against the printed formulas; the laws of noise against theirs."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

from ganlab.errors import RecipeError
from ganlab.testing import play, prepare
from ganlab_noises import Normal, Uniform
from ganlab_optimizers import EpsilonHatAdam, adagrad, adam, adamw, rmsprop, sgd

Maker = Callable[[Any], optim.Optimizer]


def path_of(make: Maker, steps: int = 12) -> list[Tensor]:
    """The parameters of a small regression after each of its steps, float64."""
    torch.manual_seed(5)
    network = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)).double()
    inputs, targets = torch.randn(16, 4).double(), torch.randn(16, 2).double()
    optimizer, path = make(network.parameters()), []
    for _ in range(steps):
        optimizer.zero_grad()
        (network(inputs) - targets).square().mean().backward()
        optimizer.step()
        path.append(torch.cat([p.detach().flatten().clone() for p in network.parameters()]))
    return path


PAIRS: list[tuple[Maker, Maker]] = [
    (adam, lambda p: optim.Adam(p)),
    (lambda p: adam(p, lr=0.02, betas=(0.5, 0.9), eps=1e-4), lambda p: optim.Adam(p, lr=0.02, betas=(0.5, 0.9), eps=1e-4)),
    (lambda p: adam(p, weight_decay=0.1, amsgrad=True), lambda p: optim.Adam(p, weight_decay=0.1, amsgrad=True)),
    (adamw, lambda p: optim.AdamW(p)),
    (
        lambda p: adamw(p, lr=0.03, betas=(0.7, 0.8), eps=1e-3, weight_decay=0.2, amsgrad=True),
        lambda p: optim.AdamW(p, lr=0.03, betas=(0.7, 0.8), eps=1e-3, weight_decay=0.2, amsgrad=True),
    ),
    (sgd, lambda p: optim.SGD(p, lr=0.01)),
    (
        lambda p: sgd(p, lr=0.1, momentum=0.9, dampening=0.2, weight_decay=0.01),
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.2, weight_decay=0.01),
    ),
    (lambda p: sgd(p, lr=0.1, momentum=0.9, nesterov=True), lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True)),
    (adagrad, lambda p: optim.Adagrad(p)),
    (
        lambda p: adagrad(p, lr=0.2, lr_decay=0.1, weight_decay=0.01, eps=1e-3),
        lambda p: optim.Adagrad(p, lr=0.2, lr_decay=0.1, weight_decay=0.01, eps=1e-3),
    ),
    (rmsprop, lambda p: optim.RMSprop(p)),
    (
        lambda p: rmsprop(p, lr=0.02, alpha=0.8, eps=1e-3, weight_decay=0.01, momentum=0.5, centered=True),
        lambda p: optim.RMSprop(p, lr=0.02, alpha=0.8, eps=1e-3, weight_decay=0.01, momentum=0.5, centered=True),
    ),
]


@pytest.mark.parametrize("pair", range(len(PAIRS)))
def test_each_is_pytorchs_own(pair: int) -> None:
    ours, theirs = (path_of(make) for make in PAIRS[pair])
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-14)
    assert all(ours[-1].sub(path_of(make)[-1]).abs().max() > 1e-6 for i, (make, _) in enumerate(PAIRS) if i != pair)


def epsilon_hat(lr: float, betas: tuple[float, float], eps: float, decay: float, gradients: list[Tensor], start: Tensor) -> list[Tensor]:
    """T1 and T4 of the tutorials, as printed."""
    w, m, v, path = start.clone(), torch.zeros_like(start), torch.zeros_like(start), []
    for t, g in enumerate(gradients, start=1):
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        rate = lr / (1 + decay * (t - 1)) * math.sqrt(1 - betas[1] ** t) / (1 - betas[0] ** t)
        w = w - rate * m / (v.sqrt() + eps)
        path.append(w)
    return path


@pytest.mark.parametrize(
    ("lr", "betas", "eps", "decay"),
    [(1e-3, (0.9, 0.999), 1e-8, 0.0), (2e-4, (0.5, 0.999), 1e-7, 8e-8), (0.05, (0.9, 0.99), 1e-3, 0.5)],
)
@pytest.mark.parametrize("on_host", [True, False])
def test_epsilon_hat_adam_is_the_printed_formula(
    lr: float, betas: tuple[float, float], eps: float, decay: float, on_host: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EpsilonHatAdam, "counts_on_host", on_host)
    torch.manual_seed(2)
    gradients = [torch.randn(7).double() * 10.0 ** -(i % 7) for i in range(60)]
    start = torch.randn(7).double()
    parameter = nn.Parameter(start.clone())
    optimizer = adam([parameter], lr=lr, betas=betas, eps=eps, epsilon_hat=True, decay=decay)
    for gradient, wanted in zip(gradients, epsilon_hat(lr, betas, eps, decay, gradients, start), strict=True):
        parameter.grad = gradient.clone()
        optimizer.step()
        torch.testing.assert_close(parameter.detach(), wanted, rtol=1e-12, atol=1e-14)
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["eps"]) == (lr, eps)


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1, "maximize": True}, {"amsgrad": True, "decay": 0.1}], ids=str)
def test_epsilon_hat_adam_on_a_device_is_that_of_the_host(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    gradients = torch.randn(9, 2, 5, generator=torch.Generator().manual_seed(3))
    ways = []
    for on_host in (True, False):
        monkeypatch.setattr(EpsilonHatAdam, "counts_on_host", on_host)
        parameters = [nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5))]  # the last has no gradients
        optimizer = EpsilonHatAdam(parameters, lr=0.01, eps=1e-4, fused=True, **options)
        for number, pair in enumerate(gradients):
            parameters[0].grad, parameters[1].grad = (gradient.clone() for gradient in pair)
            if number in (4, 6):  # an update that is withheld on the device
                optimizer.found_inf = torch.tensor(float(number == 4))
                parameters[0].grad[2] = math.nan if number == 4 else parameters[0].grad[2]
            optimizer.step()
            vars(optimizer).pop("found_inf", None)
        assert [state["step"].item() for state in optimizer.state.values()] == [8, 8]
        ways.append([parameter.detach() for parameter in parameters])
    for one, other in zip(*ways, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_epsilon_hat_differs_from_pytorchs_form_as_much_as_the_tutorials_say() -> None:
    """On step 1 stock Adam's step is longer by (1 + eps/(g sqrt(1-b2)))/(1 + eps/g) - 1: 0.31 % for T1, 3.1 % for T4 at g = 1e-4."""
    for eps, betas, share in ((1e-8, (0.9, 0.999), 0.0031), (1e-7, (0.5, 0.999), 0.031)):
        moved = []
        for hat in (False, True):
            parameter = nn.Parameter(torch.zeros(1).double())
            parameter.grad = torch.full((1,), 1e-4).double()
            adam([parameter], eps=eps, betas=betas, epsilon_hat=hat).step()
            moved.append(-parameter.item())
        assert moved[0] / moved[1] - 1 == pytest.approx(share, rel=0.02)


def test_epsilon_hat_adam_goes_on_where_its_state_was_saved() -> None:
    parameters = [nn.Parameter(torch.ones(3).double()), nn.Parameter(torch.ones(3).double())]
    whole, first = (EpsilonHatAdam([p], lr=0.1, decay=0.1, fused=True) for p in parameters)
    gradients = torch.randn(8, 3, generator=torch.Generator().manual_seed(1)).double()
    for i, gradient in enumerate(gradients):
        if i == 4:
            state = copy.deepcopy(first.state_dict())
            first = EpsilonHatAdam([parameters[1]], lr=9.0, decay=0.1, fused=True)
            first.load_state_dict(state)
        for parameter, optimizer in zip(parameters, (whole, first), strict=True):
            parameter.grad = gradient.clone()
            optimizer.step()
    assert parameters[0].equal(parameters[1])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ('use="adam",decay=0.1', "optimizer 'adam': decay belongs to epsilon_hat = true (Keras' form of Adam); set that, or remove decay"),
        ('use="sgd",nesterov=true', "optimizer 'sgd': Nesterov momentum requires a momentum and zero dampening"),
    ],
)
def test_impossible_options_are_refused(options: str, why: str) -> None:
    override = f"generator.optimizer={{{options}}}"
    with pytest.raises(RecipeError) as caught:
        prepare(overrides=[override])
    assert caught.value.mistakes == [f"--set {override}: {why}"]


@pytest.mark.parametrize("options", ['use="adam",lr=0.0', 'use="adam",betas=[0.9,1.0]', 'use="sgd",momentum=1.5', 'use="rmsprop",eps=-1.0'])
def test_values_out_of_range_are_refused(options: str) -> None:
    with pytest.raises(RecipeError):
        prepare(overrides=[f"generator.optimizer={{{options}}}"])


@pytest.mark.parametrize(
    ("name", "option"),
    [(name, "lr") for name in ("adam", "adamw", "sgd", "rmsprop", "adagrad")] + [("adam", "eps"), ("sgd", "weight_decay")],
)
def test_sizes_without_an_end_are_refused(name: str, option: str) -> None:
    with pytest.raises(RecipeError, match=f"generator.optimizer.{option} must be a finite number, not inf"):
        prepare(overrides=[f'generator.optimizer={{use="{name}",{option}=inf}}'])


def test_an_optimizer_that_raises_is_named() -> None:
    from engine_support import Plugin

    from ganlab.errors import PluginError

    class Grumpy(optim.SGD):
        def step(self, closure: Any = None) -> None:
            raise ArithmeticError("no")

    with pytest.raises(PluginError) as caught:
        play(
            overrides=['discriminator.optimizer={use="grumpy"}'],
            plugins=[Plugin(optimizers={"grumpy": lambda parameters: Grumpy(parameters, lr=1.0)})],
        )
    assert caught.value.message == "the discriminator's optimizer, Grumpy, raised ArithmeticError: no"


# -- noise -----------------------------------------------------------------------------------------------------------------


def draws(noise: Any, count: int = 20_000, dtype: torch.dtype = torch.float64) -> Tensor:
    made: Tensor = noise.sample(count, torch.Generator().manual_seed(4), torch.device("cpu"), dtype)
    assert made.shape == (count, *noise.shape)
    assert made.dtype == dtype
    return made


@pytest.mark.parametrize(("location", "scale"), [(0.0, 1.0), (-0.5, 0.5), (3.0, 0.1)])
def test_normal_noise_has_its_mean_and_deviation(location: float, scale: float) -> None:
    made = draws(Normal(dimension=5, location=location, scale=scale))
    assert made.mean().item() == pytest.approx(location, abs=5 * scale / math.sqrt(made.numel()))
    assert made.std().item() == pytest.approx(scale, rel=0.01)
    assert (made - location).abs().max() > 3.5 * scale
    plain = draws(Normal(dimension=5))
    torch.testing.assert_close(made, plain * scale + location)  # the affine map of one law: N(-1, 1)/2 is N(-0.5, 0.5)


@pytest.mark.parametrize(("location", "scale"), [(0.0, 1.0), (0.5, 0.5), (-3.0, 0.1)])
def test_uniform_noise_fills_its_interval(location: float, scale: float) -> None:
    made = draws(Uniform(dimension=5, location=location, scale=scale))
    assert made.min() >= location - scale
    assert made.max() <= location + scale
    assert made.min().item() == pytest.approx(location - scale, abs=0.001 * scale)
    assert made.max().item() == pytest.approx(location + scale, abs=0.001 * scale)
    assert made.std().item() == pytest.approx(scale / math.sqrt(3), rel=0.01)


@pytest.mark.parametrize("law", [Normal, Uniform])
def test_noise_draws_from_its_generator_and_from_nothing_else(law: Any) -> None:
    noise, before = law(dimension=3), torch.get_rng_state()
    first, second = draws(noise, 10, torch.float32), draws(noise, 10, torch.float32)
    assert first.equal(second)
    assert before.equal(torch.get_rng_state())
    generator = torch.Generator().manual_seed(4)
    again = [noise.sample(10, generator, torch.device("cpu"), torch.float32) for _ in range(2)]
    assert again[0].equal(first)
    assert not again[1].equal(first)
