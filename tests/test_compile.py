"""``train.compile``: the numbers of the plain run, a few variants, and what cannot be compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import Plugin, StopAt, hooked, reopened, same, trick, weights
from torch import Tensor, nn

from ganlab import NetworkSpec
from ganlab.errors import UsageError
from ganlab.runs.run import Run
from ganlab.runs.training import execute
from ganlab.speed import compiled
from ganlab.storage.checkpoint import load
from ganlab.testing import TinyNetwork, play

pytestmark = pytest.mark.usefixtures("one_by_one")  # what is compared with makes its passes so
COMPILE = "train.compile=true"
NETWORKS = (
    'generator={use="mlp",hidden=[8],batch_norm="before_activation",optimizer={use="sgd",lr=0.1}}',
    'discriminator={use="mlp",hidden=[8],optimizer={use="sgd",lr=0.1}}',
    'loss={use="bce"}',
)
WAYS: list[list[str]] = [
    [],
    ["schedule.discriminator_turn=one_pass", "schedule.discriminator_mode=eval"],
    ["schedule.order=simultaneous", "schedule.discriminator_statistics=false", "schedule.generator_mode=eval"],
    ["schedule.discriminator_turn=two_updates", "train.discriminator_batch_size=4"],
    [trick("r1_penalty"), trick("spectral_normalization"), trick("packing")],
]


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The graphs that were compiled, by a compiler that leaves them as they are."""
    found: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        found.append(graph)
        return graph

    monkeypatch.setattr(compiled, "BACKEND", backend)
    return found


def plays(*overrides: str, **options: Any) -> tuple[Run, Run]:
    """The run without and with the compiler."""
    plain = play(steps=6, overrides=[*NETWORKS, *overrides], **options)
    return plain, play(steps=6, overrides=[*NETWORKS, *overrides, COMPILE], **options)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_run_is_the_same_and_few_variants_are_compiled(way: list[str], graphs: list[Any]) -> None:
    plain, fast = plays(*way)
    assert not fast.info["announcements"]
    assert 2 <= len(graphs) <= 6
    for name, value in weights(plain).items():
        torch.testing.assert_close(weights(fast)[name], value, rtol=1e-5, atol=1e-6)


def test_twenty_steps_compile_no_more_than_six_and_networks_share_no_limit(graphs: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "MOST_VARIANTS", 3)  # enough for each network, and too few for those of two runs together
    play(steps=6, overrides=[*NETWORKS, COMPILE])
    first = len(graphs)
    run = play(steps=20, overrides=[*NETWORKS, COMPILE])
    assert not run.info["announcements"]
    assert 3 < 2 * first == len(graphs)


def test_too_many_variants_are_told_of_and_the_run_goes_on(graphs: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "MOST_VARIANTS", 1)
    plain, fast = plays()
    assert same(weights(plain), weights(fast))
    assert len(fast.info["announcements"]) == 2 and "in more than 1 variants" in fast.info["announcements"][0]


@pytest.mark.filterwarnings("default")  # of the compiler's own
def test_with_the_compiler_itself(tmp_path: Path) -> None:
    plain, fast = plays('noise={use="normal",dimension=3}', folder=tmp_path)
    assert not fast.info["announcements"]
    for name, value in weights(plain).items():
        torch.testing.assert_close(weights(fast)[name], value, rtol=1e-4, atol=1e-5)
    paths = [run.path / "checkpoints" / "step_000000006.safetensors" for run in (plain, fast)]
    first, second = (load(path)["generator"]["network"] for path in paths)
    assert first.keys() == second.keys()
    from ganlab.generators.loaded import load_generator

    latent = torch.ones(4, 3)
    assert load_generator(fast.path)(latent).equal(fast.generate(latent))


def test_dropout_is_compiled_and_reproducible_and_resumed(graphs: list[Any], tmp_path: Path) -> None:
    dropout = [line.replace("hidden=[8]", "hidden=[8],dropout=0.5") for line in NETWORKS]
    options: dict[str, Any] = {"steps": 8, "overrides": [*dropout, COMPILE, "train.checkpoint_every=3"]}
    never = play(folder=tmp_path / "never", **options)
    stopped = play(StopAt(5), folder=tmp_path / "stopped", **options)
    run = reopened(stopped.path)
    execute(run)
    assert graphs and not run.info["announcements"]
    assert same(weights(never), weights(run))


def test_where_the_compiler_fails_the_run_goes_on_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no C++ compiler was found\nand more")

    monkeypatch.setattr(compiled, "BACKEND", broken)
    plain, slow = plays(trick("clamp"))
    assert same(weights(plain), weights(slow))
    told = slow.info["announcements"]
    assert len(told) == 2 and told[0].startswith("train.compile: the generator, network 'mlp' (plugin networks, ganlab ")
    assert ") cannot be compiled, and training continues with the uncompiled network: " in told[0]
    assert told[0].endswith("no C++ compiler was found.")


class Printing(TinyNetwork):
    """Looks at a value: nothing that can be compiled whole."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y if y.sum().item() > 0 else y * 1.0


class Wrong(nn.Module):
    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.linear = nn.Linear(7, 7)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x)
        return y


def test_a_network_that_cannot_be_compiled_is_told_of_and_the_other_is_compiled(graphs: list[Any]) -> None:
    printing = 'generator={use="printing",optimizer={use="tiny"}}'
    run = play(overrides=[printing, COMPILE], plugins=[Plugin(networks={"printing": Printing})])
    (told,) = run.info["announcements"]
    assert "the generator, network 'printing'" in told and graphs
    assert same(weights(run), weights(play(overrides=[printing], plugins=[Plugin(networks={"printing": Printing})])))


def test_a_mistake_in_a_network_is_told_as_without_the_compiler(graphs: list[Any]) -> None:
    wrong = 'generator={use="wrong",optimizer={use="tiny"}}'
    texts = []
    for more in ([], [COMPILE]):
        with pytest.raises(Exception, match="mat1 and mat2 shapes cannot be multiplied") as caught:
            play(overrides=[wrong, *more], plugins=[Plugin(networks={"wrong": Wrong})])
        texts.append(str(caught.value).splitlines()[0])
    assert texts[0] == texts[1]


def test_samples_are_made_without_it(graphs: list[Any]) -> None:
    run = play(overrides=[*NETWORKS, COMPILE])
    before = len(graphs)
    run.generate(torch.zeros(5, 3))
    assert len(graphs) == before


def test_a_gradient_of_the_parameters_that_is_differentiated_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "BACKEND", "aot_eager")

    def penalty(turn: Any) -> None:
        if turn.role == "generator":
            slopes = torch.autograd.grad(turn.loss_terms["adversarial"], turn.player.parameters, create_graph=True)
            turn.loss_terms["slope"] = sum(slope.square().sum() for slope in slopes)

    play(hooked(loss_terms=penalty), overrides=[*NETWORKS])
    with pytest.raises(UsageError) as caught:
        play(hooked(loss_terms=penalty), overrides=[*NETWORKS, COMPILE])
    assert caught.value.message == "a trick or a loss differentiates a gradient, which torch.compile does not support"
    assert caught.value.hint == "remove train.compile: --set train.compile=false"


def test_a_torch_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*given: Any, **named: Any) -> None:
        raise RuntimeError("torch.compile is not supported on Python 3.99")

    monkeypatch.setattr(torch, "compile", none)
    with pytest.raises(
        UsageError, match=r"train\.compile = true: RuntimeError: torch\.compile is not supported on Python 3\.99\.\nremove it"
    ):
        play(overrides=[COMPILE])
