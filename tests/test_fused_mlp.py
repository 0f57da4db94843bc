"""The fast path of the network `mlp`: all layers as one step of autograd, the same numbers as layer by layer."""

from __future__ import annotations

import copy
import itertools
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from engine_support import hooked
from torch import Tensor, nn

from ganlab.components import NetworkSpec
from ganlab.game.player import Player
from ganlab.testing import play
from ganlab_networks import MLP, fused, products
from ganlab_networks.dropout import PackedDropout

SHAPES: list[dict[str, Any]] = [
    {},
    {"hidden": []},
    {"activation": "relu", "output_activation": "tanh"},
    {"activation": "tanh", "dropout": 0.3},
    {"activation": "sigmoid", "dropout": 0.5, "output_activation": "sigmoid"},
    {"activation": "none", "dropout": 0.5},
    {"batch_norm": "before_activation"},
    {"batch_norm": "after_activation", "batch_norm_variance": "biased", "dropout": 0.25, "output_activation": "tanh"},
]
NOT_FUSED: list[dict[str, Any]] = [{"activation": "gelu"}, {"dropout": 0.5, "dropout_masks": "torch"}, {"fast": False}]


def network(fast: bool = True, dtype: torch.dtype = torch.float64, **options: Any) -> MLP:
    torch.manual_seed(0)
    return MLP(NetworkSpec("generator", (20,), (1, 6, 6)), **{"hidden": [32, 24], "fast": fast} | options).to(dtype)


def passes(net: MLP, training: bool = True, penalty: bool = False) -> list[Tensor]:
    """Two passes through it and back, as D's turn has them: results, all gradients, and what moved."""
    net.train(training)
    torch.manual_seed(1)
    x = torch.randn(16, 20, dtype=next(net.parameters()).dtype, requires_grad=True)
    first, second = net(x), net(x * 0.5)
    loss = first.square().sum() + second.pow(3).sum()
    if penalty:
        (slope,) = torch.autograd.grad(first.sum(), x, create_graph=True)
        loss = loss + (slope.flatten(1).norm(dim=1) - 1).square().mean()
    loss.backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return [first.detach(), second.detach(), x.grad, *(p.grad for p in net.parameters() if p.grad is not None), *net.buffers()]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many layers each pass has that was computed in one step."""
    found: list[int] = []
    whole = fused._through
    monkeypatch.setattr(fused, "_through", lambda layers, *given: found.append(len(layers)) or whole(layers, *given))
    return found


@pytest.fixture
def torchs_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "for_float32", lambda: products.TORCH)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", SHAPES, ids=str)
def test_it_gives_the_same_bits(
    options: dict[str, Any], training: bool, dtype: torch.dtype, calls: list[int], torchs_products: None
) -> None:
    expected = passes(network(False, dtype, **options), training)
    assert calls == []
    found = passes(network(True, dtype, **options), training)
    assert len(calls) == 2
    assert len(found) == len(expected) and all(map(torch.equal, found, expected))


def test_what_is_remembered_is_not_overwritten(torchs_products: None) -> None:
    layers = nn.Sequential(nn.Linear(20, 8), nn.Tanh(), nn.Sigmoid(), nn.ReLU()).double()
    x = torch.linspace(-1, 1, 60, dtype=torch.float64).view(3, 20).requires_grad_()
    ways = (layers(x), *fused.fused(layers, x))
    expected, found = (torch.autograd.grad(result.square().sum(), [x, *layers.parameters()]) for result in ways)
    assert all(map(torch.equal, found, expected))


LAST: list[tuple[type[nn.Module], Any]] = [
    (nn.Tanh, ()),
    (nn.Sigmoid, ()),
    (nn.ReLU, ()),
    (nn.LeakyReLU, (0.2,)),
    (PackedDropout, (0.5,)),
    (nn.BatchNorm1d, (8,)),
    (nn.Linear, (8, 8)),
]


def ending_in(kind: type[nn.Module], options: Any) -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(20, 8), nn.Tanh(), PackedDropout(0.5), nn.Linear(8, 8), kind(*options)).double()


@pytest.mark.parametrize(("last", "options"), LAST)
@pytest.mark.parametrize("number", [1, 2])
def test_a_gradient_that_comes_in_is_not_overwritten(last: type[nn.Module], options: Any, number: int) -> None:
    # Nobody knows who else has it, and a graph may be gone through again.
    layers = ending_in(last, options)
    x = torch.linspace(-1, 1, 80, dtype=torch.float64).view(4, 20).requires_grad_()
    inputs = [x, *layers.parameters()]
    results = fused.fused(layers, x, number)
    given = [torch.linspace(-1, 2, result.numel(), dtype=torch.float64).view(result.shape) for result in results]
    before = [one.clone() for one in given]
    first, again = (torch.autograd.grad(results, inputs, given, retain_graph=True) for _ in range(2))
    assert len(given) == number and all(map(torch.equal, given, before))
    assert all(map(torch.equal, first, again))


@pytest.mark.parametrize(("last", "options"), LAST)
def test_gradients_of_a_batch_of_results_at_once(last: type[nn.Module], options: Any) -> None:
    layers = ending_in(last, options)
    x = torch.linspace(-1, 1, 80, dtype=torch.float64).view(4, 20).requires_grad_()
    (result,) = fused.fused(layers, x)
    given = torch.eye(result.numel(), dtype=torch.float64).view(-1, *result.shape)
    (found,) = torch.autograd.grad(result, x, given, is_grads_batched=True, retain_graph=True)
    for one, slope in zip(given, found, strict=True):
        (expected,) = torch.autograd.grad(result, x, one, retain_graph=True)
        torch.testing.assert_close(slope, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh"])
def test_a_gradient_in_another_layout_gives_the_same_bits(activation: str, torchs_products: None) -> None:
    # In which order a bias's gradient is added up depends on how it lies in memory.
    torch.manual_seed(3)
    x, weights = torch.randn(13, 20), torch.randn(33, 13)
    found = []
    for fast in (False, True):
        torch.manual_seed(4)
        net = MLP(NetworkSpec("generator", (20,), (33,)), hidden=[57], activation=activation, output_activation=activation, fast=fast)
        (net(x).t() * weights).sum().backward()
        found.append([parameter.grad for parameter in net.parameters()])
    assert all(map(torch.equal, *found))


@pytest.mark.parametrize("options", SHAPES, ids=str)
def test_a_way_back_inside_a_region_of_mixed_precision(options: dict[str, Any], torchs_products: None) -> None:
    found = []
    for fast in (False, True):
        net = network(fast, torch.float32, **options)
        torch.manual_seed(5)
        result = net(torch.linspace(-1, 1, 120).view(6, 20))
        with torch.autocast("cpu", torch.bfloat16):
            result.square().sum().backward()
        found.append([parameter.grad for parameter in net.parameters()])
    assert all(map(torch.equal, *found))


def test_several_threads_go_back_through_one_graph() -> None:
    net = network(activation="relu", dropout=0.5, output_activation="tanh")
    x = torch.linspace(-1, 1, 60, dtype=torch.float64).view(3, 20).requires_grad_()
    result = net(x)
    given = torch.linspace(-1, 2, result.numel(), dtype=torch.float64).view(result.shape)
    expected = torch.autograd.grad(result, x, given.clone(), retain_graph=True)[0]

    def wrong(_number: int) -> int:
        mine = given.clone()
        found = [torch.autograd.grad(result, x, mine, retain_graph=True)[0] for _ in range(100)]
        return sum(not torch.equal(one, expected) for one in found) + (not torch.equal(mine, given))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert sum(threads.map(wrong, range(8))) == 0
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("options", SHAPES, ids=str)
def test_without_gradients_it_gives_the_same_bits(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(nn.Linear, "forward")  # no layer is called
    net, x = network(**options), torch.linspace(-1, 1, 120, dtype=torch.float64).view(6, 20)
    torch.manual_seed(5)
    expected = net(x)
    torch.manual_seed(5)
    with torch.no_grad():
        found = net(x)
    assert expected.requires_grad and not found.requires_grad
    assert torch.equal(found, expected)


@pytest.mark.parametrize("options", [shape for shape in SHAPES if "batch_norm" not in shape or "dropout" not in shape], ids=str)
def test_its_gradient_has_a_gradient(options: dict[str, Any], calls: list[int]) -> None:
    expected, found = (passes(network(fast, **options), penalty=True) for fast in (False, True))
    assert len(calls) == 2
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("options", NOT_FUSED, ids=str)
def test_what_it_does_not_know_goes_layer_by_layer(options: dict[str, Any], calls: list[int]) -> None:
    passes(network(**options))
    assert calls == []


def test_a_layer_that_is_watched_or_changed_is_called(calls: list[int]) -> None:
    seen = []
    for register in ("register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"):
        net = network()
        getattr(net.layers[0], register)(lambda *given: seen.append(1))
        before = len(seen)
        passes(net)
        assert len(seen) > before
    net = network()
    nn.utils.parametrizations.spectral_norm(net.layers[0])
    passes(net)
    with torch.autocast("cpu", torch.bfloat16):
        network(dtype=torch.float32)(torch.rand(2, 20))
    assert calls == []


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:FutureWarning")  # torch's own, in its forward mode
def test_what_looks_into_torchs_operations_sees_them(calls: list[int]) -> None:
    net, seen = network(), []
    x, parameters = torch.ones(3, 20, dtype=torch.float64), dict(net.named_parameters())
    with nn.modules.module.register_module_forward_hook(lambda *given: seen.append(1)):
        net(x)
    assert len(seen) == len(net.layers) + 2
    slopes = torch.func.vmap(torch.func.grad(lambda one: torch.func.functional_call(net, parameters, (one[None],)).sum()))(x)
    assert slopes.shape == x.shape
    _, tangent = torch.func.jvp(net, (x,), (x,))
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, x)
        assert torch.equal(torch.autograd.forward_ad.unpack_dual(net(dual)).tangent, tangent)
    assert calls == []


@pytest.mark.parametrize("variance", ["unbiased", "biased"])
def test_one_sample_has_no_batch_statistics(variance: str, calls: list[int]) -> None:
    net = network(batch_norm="before_activation", batch_norm_variance=variance)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        net(torch.ones(1, 20, dtype=torch.float64))
    assert net.eval()(torch.ones(1, 20, dtype=torch.float64)).shape[0] == 1
    assert len(calls) == 2


def test_frozen_parameters_get_no_gradient(calls: list[int]) -> None:
    net = network()
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    x = torch.ones(4, 20, dtype=torch.float64, requires_grad=True)
    net(x).sum().backward()
    assert x.grad is not None and all(parameter.grad is None for parameter in net.parameters())
    net.layers[0].weight.requires_grad_(True)
    net(x.detach()).sum().backward()
    assert [parameter.grad is not None for parameter in net.parameters()] == [True, *[False] * 5]
    with torch.no_grad():
        assert not net(x).requires_grad
    assert len(calls) == 3


def test_a_copy_is_a_network_of_its_own(calls: list[int]) -> None:
    net = network()
    twin = copy.deepcopy(net)
    with torch.no_grad():
        twin.layers[0].weight.zero_()
        assert not torch.equal(twin(torch.ones(2, 20, dtype=torch.float64)), net(torch.ones(2, 20, dtype=torch.float64)))


def test_an_image_that_is_changed_before_the_way_back_is_an_error() -> None:
    net, x = network(), torch.ones(2, 20, dtype=torch.float64)
    result = net(x).sum()
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        result.backward()


# -- matrix products -------------------------------------------------------------------------------------------------------


def onednn_works() -> bool:
    return products.works()


@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this PyTorch has no oneDNN"
)
def test_where_onednn_is_there_it_is_found_to_be_right() -> None:
    """Else all that follows is skipped, and nobody sees that the slower products are taken."""
    assert products.works()


@pytest.mark.skipif(not onednn_works(), reason="this PyTorch has no oneDNN that can be called")
@pytest.mark.parametrize(
    ("batch", "inputs", "outputs"), [(100, 784, 256), (64, 17, 16), (5, 16, 3), (1, 300, 300), (512, 24, 40), (512, 40, 24)]
)
def test_onednn_gives_the_same_products(batch: int, inputs: int, outputs: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight, grad = (torch.randn(shape, generator=generator) for shape in ((batch, inputs), (outputs, inputs), (batch, outputs)))
    bias = torch.randn(outputs, generator=generator)
    for call in (
        lambda by, to: by.linear(to(x), to(weight), to(bias))[0],
        lambda by, to: by.input_gradient(to(grad), to(weight)),
        lambda by, to: by.weight_gradient(to(grad), to(x)),
    ):
        exact = call(products.TORCH, torch.Tensor.double)
        for by in (products.TORCH, products.ONEDNN):
            found = call(by, torch.Tensor.contiguous)
            assert found.dtype == torch.float32 and found.shape == exact.shape and found.is_contiguous()
            assert float((found - exact).abs().max() / exact.abs().max()) < 2e-6


@pytest.mark.skipif(not onednn_works(), reason="this PyTorch has no oneDNN that can be called")
@pytest.mark.parametrize("layer", [nn.Tanh(), nn.Sigmoid(), nn.ReLU(), nn.LeakyReLU(0.3)], ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize("outputs", [64, 3])
def test_onednn_gives_the_same_activations(layer: nn.Module, outputs: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (3 * torch.randn(shape, generator=generator) for shape in ((100, 784), (outputs, 784), (outputs,)))
    weight /= 784**0.5
    exact, _ = products.TORCH.linear(x.double(), weight.double(), bias.double())
    assert exact.min() < -15 and exact.max() > 15  # where tanh is at its ends, too
    found, activated = products.ONEDNN.linear(x, weight, bias, layer)
    assert activated == (outputs == 64)
    assert float(((found if activated else layer(found)) - layer(exact)).abs().max()) < 2e-6 * float(exact.abs().max())
    assert not products.ONEDNN.linear(x, weight, bias, nn.Dropout())[1] and not products.ONEDNN.linear(x, weight, bias)[1]


@pytest.mark.skipif(not onednn_works(), reason="this PyTorch has no oneDNN that can be called")
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "leaky_relu", "none"])
def test_by_onednn_a_whole_network_gives_the_same_to_rounding(activation: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def passes(fast: bool) -> list[Tensor]:
        torch.manual_seed(0)
        spec = NetworkSpec("generator", (20,), (40,), classes=0)
        network = MLP(spec, hidden=[32, 48, 32], activation=activation, output_activation=activation, fast=fast)
        x = torch.randn(64, 20, requires_grad=True)
        y = network(x)
        y.mul(torch.linspace(-1, 1, 40)).sum().backward()
        return [y.detach(), x.grad, *(parameter.grad for parameter in network.parameters())]  # type: ignore[list-item]

    monkeypatch.setattr(fused, "for_float32", lambda: products.ONEDNN)
    for ours, torchs in zip(passes(True), passes(False), strict=True):
        assert float((ours - torchs).abs().max() / torchs.abs().max()) < 1e-5


@pytest.mark.parametrize(
    ("processor", "capability", "works", "name"),
    [
        ("vendor_id : AuthenticAMD", "AVX512", True, "onednn"),
        ("vendor_id : AuthenticAMD", "AVX2", True, "torch"),
        ("vendor_id : AuthenticAMD", "AVX512", False, "torch"),
        ("vendor_id : GenuineIntel", "AVX512", True, "torch"),
        ("", "DEFAULT", True, "torch"),
    ],
)
def test_the_choice_of_products_depends_on_the_processor_alone(
    processor: str, capability: str, works: bool, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "processor", lambda: processor)
    monkeypatch.setattr(products, "works", lambda: works)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert products.for_float32.__wrapped__().name == name


def test_where_onednn_is_not_there_torchs_products_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*given: object) -> Tensor:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(products, "_onednn", gone)
    assert not products.works()


# -- two passes in one -----------------------------------------------------------------------------------------------------


def reseeding(seen: list[int]) -> Any:
    def begin(number: int) -> None:
        seen.append(number)
        torch.manual_seed(number)

    return begin


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("options", [shape for shape in SHAPES if "batch_norm" not in shape], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_two_passes_in_one_are_two_passes(options: dict[str, Any], dtype: torch.dtype, training: bool) -> None:
    net, seen = network(dtype=dtype, **options).train(training), list[int]()
    parts = [torch.randn(7, 20, dtype=dtype) for _ in range(3)]

    def gradients(results: list[Tensor]) -> list[Tensor]:
        loss = sum((part * (number + 1)).square().sum() for number, part in enumerate(results))
        assert isinstance(loss, Tensor)
        return [*results, *torch.autograd.grad(loss, list(net.parameters()))]

    together = net.in_one_pass(parts, reseeding(seen))
    assert together is not None and [part.shape for part in together] == [(7, 1, 6, 6)] * 3
    assert seen == ([0, 1, 2] if training and "dropout" in options else [])
    apart = []
    for number, part in enumerate(parts):
        torch.manual_seed(number)
        apart.append(net(part))
    bound = {"rtol": 1e-12, "atol": 1e-13} if dtype == torch.float64 else {"rtol": 1e-4, "atol": 1e-5}
    for one, other in zip(gradients(together), gradients(apart), strict=True):
        torch.testing.assert_close(one, other, **bound)


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({"batch_norm": "before_activation"}, (4, 4)),
        ({"batch_norm": "after_activation", "batch_norm_variance": "biased"}, (4, 4)),
        ({"activation": "gelu"}, (4, 4)),
        ({"fast": False}, (4, 4)),
        ({}, (4, 5)),
        ({}, (257, 257)),
    ],
)
def test_where_they_are_not_the_same_or_no_sooner_they_are_made_apart(options: dict[str, Any], sizes: tuple[int, int]) -> None:
    parts = [torch.randn(size, 20, dtype=torch.float64) for size in sizes]
    assert network(**options).in_one_pass(parts, lambda number: pytest.fail("drawn")) is None


def discriminator(**options: Any) -> Player:
    spec = NetworkSpec("discriminator", (20,), ())
    return Player("discriminator", MLP(spec, hidden=[8], **options).double(), spec, "somebody")


def test_a_player_whose_network_is_watched_or_whose_parts_are_differentiated_calls_it_for_each() -> None:
    player, parts = discriminator(), [torch.randn(3, 20, dtype=torch.float64) for _ in range(2)]

    def together() -> bool:
        return player.in_one_pass(parts, lambda number: None) is not None

    assert together()
    for register in (player.network.register_forward_hook, player.network.register_forward_pre_hook):
        handle = register(lambda *given: None)
        assert not together()
        handle.remove()
    handle = player.network.layers.register_forward_hook(lambda *given: None)  # type: ignore[union-attr]
    assert not together()
    handle.remove()
    with torch.autocast("cpu"):
        assert not together()
    parts[0].requires_grad_()
    assert not together()
    parts[0].requires_grad_(False)
    player.speed_up(lambda player: lambda *given: player.network(*given))
    assert not together()


def test_one_that_is_inherited_does_not_speak_for_another_forward() -> None:
    class Halved(MLP):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) / 2

    class Named(MLP):
        """Computes what its parent does."""

    class Both(Halved):
        def in_one_pass(self, parts: Any, begin: Any) -> Any:
            found = super().in_one_pass(parts, begin)
            return found and [part / 2 for part in found]

    spec, parts = NetworkSpec("discriminator", (20,), ()), [torch.ones(2, 20)] * 2
    for kind, together in ((Halved, False), (Named, True), (Both, True)):
        player = Player("discriminator", kind(spec, hidden=[8]), spec, "somebody")
        assert (player.in_one_pass(parts, lambda number: None) is not None) == together
    player.network.forward = lambda x: x.sum(1)  # type: ignore[method-assign]
    assert player.in_one_pass(parts, lambda number: None) is None


def test_a_wrapper_is_called_and_not_what_it_wraps() -> None:
    class Wrapper(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return super().__getattr__(name) if name == "inner" else getattr(self.inner, name)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.inner(x) / 2
            return found

    spec = NetworkSpec("discriminator", (20,), ())
    player = Player("discriminator", Wrapper(MLP(spec, hidden=[8])), spec, "somebody")
    assert player.in_one_pass([torch.ones(2, 20)] * 2, lambda number: None) is None


def test_scores_of_one_pass_may_be_changed_in_place() -> None:
    run = play(hooked(after_scores=lambda run, turn: turn.fake_scores.clamp_(-1, 1)), steps=2, overrides=[
        'discriminator={use="mlp",hidden=[8],optimizer={use="tiny"}}'])  # fmt: skip
    assert run.step == 2


def test_parameters_in_another_order_leave_it_to_torch(calls: list[int]) -> None:
    net, x = network(dropout=0.5).train(), torch.randn(3, 20, dtype=torch.float64)
    net(x)
    assert calls == [7]
    for layer in net.layers:
        if isinstance(layer, nn.Linear):
            nn.utils.remove_spectral_norm(nn.utils.spectral_norm(layer))
    assert [*net.layers[0]._parameters] == ["bias", "weight"]
    net(x).sum().backward()
    assert calls == [7] and net.in_one_pass([x, x], lambda number: None) is None


def test_no_samples_and_another_default_device(calls: list[int]) -> None:
    net = network(dropout=0.5).train()
    assert net(torch.randn(0, 20, dtype=torch.float64)).shape == (0, 1, 6, 6)
    x = torch.randn(3, 20, dtype=torch.float64)
    with torch.device("meta"):
        assert net(x).device.type == "cpu"
    assert calls == [7, 7]


def test_other_networks_are_called_for_each() -> None:
    spec = NetworkSpec("discriminator", (20,), ())
    assert Player("discriminator", nn.Linear(20, 1), spec, "somebody").in_one_pass([torch.ones(2, 20)] * 2, lambda number: None) is None


# -- dropout ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "bits"), [(0.5, 8), (0.25, 8), (0.3, 32), (0.999, 32)])
def test_masks_have_the_law_of_dropout(share: float, bits: int) -> None:
    layer, kept = PackedDropout(share), 1 - share
    assert layer.bits == bits
    torch.manual_seed(0)
    mask = layer.mask(torch.empty(1000, 1001, dtype=torch.float64))  # a number of units that fills no 64-bit number
    assert mask.unique().tolist() == [0.0, pytest.approx(1 / kept, rel=1e-12)]
    found, spread = float((mask > 0).double().mean()), (kept * (1 - kept) / mask.numel()) ** 0.5
    assert abs(found - kept) < 4 * spread
    for shift in (1, 7, 8, 1001):  # one unit says nothing of another
        pairs = (mask.flatten()[:-shift] > 0) & (mask.flatten()[shift:] > 0)
        assert abs(float(pairs.double().mean()) - kept**2) < 4 * (kept**2 / mask.numel()) ** 0.5
    assert not torch.equal(mask, layer.mask(mask))


def test_a_share_of_nearly_all_keeps_something() -> None:
    assert PackedDropout(1 - 2**-40).mask(torch.empty(10)).isfinite().all()


def test_elsewhere_it_is_torchs_own() -> None:
    layer, x = PackedDropout(0.5), torch.ones(8, device="meta")
    assert layer(x).device.type == "meta"
    layer.mask = lambda x: pytest.fail("a mask of bytes")  # type: ignore[method-assign]
    layer(x)


def test_outside_of_training_nothing_is_dropped() -> None:
    layer = PackedDropout(0.5).eval()
    x = torch.ones(3)
    assert layer(x) is x


# -- recipes ---------------------------------------------------------------------------------------------------------------

RECIPES = ["mnist_mlp", "mnist_matlab_adam", "mnist_matlab_published_derivative", "mnist_matlab_sgd", "mnist_large_batch",
           "mnist_best_practices", "mnist_one_class", "mnist_adaptive", "mnist_keras_batchnorm", "ring"]  # fmt: skip


def weights(recipe: str, *overrides: str) -> Iterator[Tensor]:
    run = play(recipe, steps=5, overrides=overrides)
    return itertools.chain.from_iterable(player.network.state_dict().values() for player in run.players.values())


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_shipped_recipe_trains_to_the_same_bits(recipe: str, torchs_products: None, one_by_one: None, calls: list[int]) -> None:
    plain = [weight.clone() for weight in weights(recipe, "generator.fast=false", "discriminator.fast=false")]
    assert not calls
    found = list(weights(recipe))
    assert calls and all(map(torch.equal, found, plain))


TOGETHER = {"mnist_mlp", "mnist_large_batch", "mnist_best_practices", "mnist_one_class"}  # the others have one pass, or normalize


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_shipped_recipe_trains_to_the_same_numbers_with_two_passes_in_one(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    together: list[int] = []
    joined = MLP.in_one_pass
    monkeypatch.setattr(MLP, "in_one_pass", lambda self, parts, begin: together.append(len(parts)) or joined(self, parts, begin))
    found = [weight.clone() for weight in weights(recipe, "train.dtype=float64")]
    assert together == ([2] * 5 if recipe in TOGETHER else [])
    monkeypatch.setattr(Player, "in_one_pass", lambda *given: None)
    apart = list(weights(recipe, "train.dtype=float64"))
    for one, other in zip(found, apart, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)
    if recipe in TOGETHER:  # something else was computed
        assert not all(map(torch.equal, found, apart))


def test_those_are_all_recipes() -> None:
    from ganlab.recipe import shipped_recipes

    assert set(RECIPES) == set(shipped_recipes()) - {"defaults"}
