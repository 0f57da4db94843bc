"""On a CUDA device: the same recipes run, are reproducible, and go on from what a CPU has saved."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import RICH, Plugin, StopAt, hooked, lines, reopened, same, trick, weights

from ganlab import NetworkSpec
from ganlab.errors import UsageError
from ganlab.runs.run import Run
from ganlab.runs.training import execute
from ganlab.speed import recorders
from ganlab.testing import TinyNoise, play
from ganlab_optimizers import EpsilonHatAdam

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and there is none here"),
]
CUDA = "train.device=cuda"
TRICKS = [
    trick("clamp"),
    trick("gradient_clipping"),
    trick("adaptive_generator_steps"),
    trick("spectral_normalization"),
    trick("r1_penalty"),
]


def on_gpu(*overrides: str, tricks: Sequence[object] = (), **options: Any) -> Run:
    return play(*tricks, steps=12, overrides=[CUDA, *overrides], **options)


def test_a_recipe_runs_on_the_gpu(tmp_path: Path) -> None:
    run = play(recipe="ring", steps=30, overrides=[CUDA, 'data={use="ring",samples=2000}', "train.batch_size=64"], folder=tmp_path)
    assert {p.device.type for player in run.players.values() for p in player.parameters} == {"cuda"}
    assert run.info["device_name"] == torch.cuda.get_device_name(0)
    assert json.loads((run.path / "run.json").read_text())["device"] == "cuda:0"
    assert run.generate(torch.zeros(3, 16)).device.type == "cpu"
    assert [line["step"] for line in lines(run)] == [30]


@pytest.mark.parametrize("more", [[], ["train.autocast=bfloat16"], ["schedule.discriminator_turn=one_pass"]])
def test_two_runs_of_one_seed_are_equal(more: list[str]) -> None:
    first, second, other = on_gpu(*RICH, *TRICKS, *more), on_gpu(*RICH, *TRICKS, *more), on_gpu(*RICH, *TRICKS, *more, "train.seed=1")
    assert same(weights(first), weights(second))
    assert not same(weights(first), weights(other))


def test_the_default_generators_of_cpu_and_gpu_are_left_as_they_were() -> None:
    torch.cuda.manual_seed(3)
    before = torch.get_rng_state(), torch.cuda.get_rng_state()
    on_gpu(*RICH, *TRICKS).generate(torch.zeros(2, 3))
    assert before[0].equal(torch.get_rng_state())
    assert before[1].equal(torch.cuda.get_rng_state())


def test_a_resumed_run_ends_as_one_that_was_never_stopped(tmp_path: Path) -> None:
    never = on_gpu(*RICH, *TRICKS, folder=tmp_path / "never")
    stopped = play(StopAt(5), steps=12, overrides=[CUDA, *RICH, *TRICKS], folder=tmp_path / "stopped")
    run = reopened(stopped.path)
    assert run.device.type == "cuda"
    execute(run)
    assert same(weights(never), weights(run))


def test_what_a_cpu_has_saved_goes_on_on_the_gpu(tmp_path: Path) -> None:
    stopped = play(StopAt(5), steps=12, overrides=[*RICH, *TRICKS], folder=tmp_path)
    recipe = stopped.path / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('device = "cpu"', 'device = "cuda"'))
    run = reopened(stopped.path)
    assert same(weights(stopped), {name: value.cpu() for name, value in weights(run).items()})
    execute(run)
    assert run.info["status"] == "finished"
    assert run.info["resumed"][0]["changed"]["device_name"] == torch.cuda.get_device_name(0)
    assert all(value.device.type == "cuda" for value in weights(run).values())


class SameNoise(TinyNoise):
    """Noise that is drawn on the CPU, whatever the device."""

    def sample(self, count: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        return super().sample(count, torch.Generator().manual_seed(generator.initial_seed()), torch.device("cpu"), dtype).to(device)


def test_cpu_and_gpu_agree_in_float64_but_for_roundings() -> None:
    overrides = ['noise={use="same"}', "train.dtype=float64", *(line for line in TRICKS if "spectral" not in line), 'loss={use="bce"}']
    overrides += [f'{role}={{use="mlp",hidden=[8],optimizer={{use="sgd",lr=0.1}}}}' for role in ("generator", "discriminator")]
    gpu, cpu = (
        play(steps=12, overrides=[f"train.device={device}", *overrides], plugins=[Plugin(noises={"same": SameNoise})])
        for device in ("cuda", "cpu")
    )
    assert gpu.counters == cpu.counters
    for name, value in weights(cpu).items():
        torch.testing.assert_close(weights(gpu)[name].cpu(), value, rtol=1e-9, atol=1e-11)


def test_another_gpu_than_there_is_is_refused() -> None:
    with pytest.raises(UsageError, match=r"train\.device = 'cuda:99': there is no such device here\nhere: cpu, cuda:0"):
        play(steps=1, overrides=["train.device=cuda:99"])


# -- options for speed -----------------------------------------------------------------------------------------------------

GRAPHS = "train.cuda_graphs=true"
CONVOLUTIONS = [f'{role}={{use="convolutions",optimizer={{use="adam",lr=0.001}}}}' for role in ("generator", "discriminator")]


class Convolutions(torch.nn.Module):
    """A convolution, batch normalization and dropout, for images of 8 x 8."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.output_shape = spec.output_shape
        self.first = torch.nn.Linear(math.prod(spec.input_shape), 4 * 8 * 8)
        self.rest = torch.nn.Sequential(
            torch.nn.Conv2d(4, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Dropout(0.3)
        )
        self.last = torch.nn.Linear(8 * 8 * 8, math.prod(spec.output_shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.last(self.rest(self.first(x.flatten(1)).view(-1, 4, 8, 8)).flatten(1))
        return y.view(-1, *self.output_shape)


def graphed(run: Run) -> list[int]:
    """How many passes of each player are recorded."""
    return [sum(map(len, player.passes.recorded.values())) for player in run.players.values()]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "more",
    [
        [], ["schedule.discriminator_turn=one_pass"], ["schedule.order=simultaneous", "schedule.discriminator_mode=eval"],
        ["schedule.discriminator_turn=two_updates", "schedule.discriminator_statistics=false"], ["train.autocast=bfloat16"],
        ["train.non_finite=skip"], TRICKS,
    ],
    ids=str,
)  # fmt: skip
def test_graphs_give_the_weights_of_the_plain_run(more: list[str]) -> None:
    plain, fast = on_gpu(*RICH, *more), on_gpu(*RICH, *more, GRAPHS)
    assert fast.info["announcements"] == plain.info["announcements"]
    assert min(graphed(fast)) >= 2
    for name, value in weights(plain).items():
        torch.testing.assert_close(weights(fast)[name], value, rtol=1e-4, atol=1e-5)


def test_graphs_of_convolutions_on_images() -> None:
    images = ['data={use="tiny",shape=[1,8,8]}', *CONVOLUTIONS, 'loss={use="bce"}']
    options: dict[str, Any] = {"plugins": [Plugin(networks={"convolutions": Convolutions})]}
    plain, fast = on_gpu(*images, **options), on_gpu(*images, GRAPHS, **options)
    assert not fast.info["announcements"] and min(graphed(fast)) >= 2
    for name, value in weights(plain).items():
        torch.testing.assert_close(weights(fast)[name], value, rtol=1e-3, atol=1e-3)


def test_a_run_with_graphs_is_resumed(tmp_path: Path) -> None:
    never = on_gpu(*RICH, *TRICKS, GRAPHS, folder=tmp_path / "never")
    stopped = play(StopAt(5), steps=12, overrides=[CUDA, *RICH, *TRICKS, GRAPHS], folder=tmp_path / "stopped")
    run = reopened(stopped.path)
    execute(run)
    assert same(weights(never), weights(run))


class Looking(Convolutions):
    """Looks at a value, which waits for the device."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(x)
        return y if y.sum().item() > 1e9 else y * 1.0


def test_a_network_that_waits_is_told_of_and_the_run_is_as_without_graphs() -> None:
    networks = [line.replace("convolutions", "looking") for line in CONVOLUTIONS[1:]]
    options: dict[str, Any] = {"plugins": [Plugin(networks={"looking": Looking})]}
    plain, fast = on_gpu(*networks, **options), on_gpu(*networks, GRAPHS, **options)
    (told,) = fast.info["announcements"]
    assert told.startswith("train.cuda_graphs: some passes of the discriminator, network 'looking'") and "synchronizing" in told
    for name, value in weights(plain).items():
        torch.testing.assert_close(weights(fast)[name], value, rtol=1e-4, atol=1e-5)


def test_a_replay_that_gives_other_numbers_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    record = recorders.CudaRecorder.record

    def wrong(self: Any, work: recorders.Work) -> tuple[list[torch.Tensor], recorders.Replay]:
        results, replay = record(self, work)
        return results, lambda: (replay(), results[-1].mul_(1.1))[0]

    monkeypatch.setattr(recorders.CudaRecorder, "record", wrong)
    plain, fast = on_gpu(*RICH), on_gpu(*RICH, GRAPHS)
    assert all("gave other numbers" in told for told in fast.info["announcements"]) and len(fast.info["announcements"]) == 2
    assert graphed(fast) == [0, 0] and same(weights(plain), weights(fast))


def test_tf32_is_used_in_the_run_alone() -> None:
    wide = [f'{role}={{use="mlp",hidden=[256,256],optimizer={{use="sgd",lr=0.1}}}}' for role in ("generator", "discriminator")]
    wide.append("train.batch_size=32")  # products that are worth the cores that round
    exact, rounded = on_gpu(*wide), on_gpu(*wide, "train.tf32=true")
    assert not torch.backends.cuda.matmul.allow_tf32
    if torch.cuda.get_device_capability()[0] >= 8:
        assert not same(weights(exact), weights(rounded))
    for name, value in weights(exact).items():
        torch.testing.assert_close(weights(rounded)[name], value, rtol=1e-2, atol=1e-2)


@pytest.mark.filterwarnings("default")  # of the compiler's own
def test_a_compiled_run_is_near_the_plain_one() -> None:
    networks = [f'{role}={{use="mlp",hidden=[8],optimizer={{use="sgd",lr=0.1}}}}' for role in ("generator", "discriminator")]
    plain, fast = on_gpu(*networks), on_gpu(*networks, "train.compile=true")
    for name, value in weights(plain).items():
        torch.testing.assert_close(weights(fast)[name], value, rtol=1e-3, atol=1e-4)


def test_no_step_waits_for_the_device() -> None:
    """But the first, in which optimizers make their state and passes are recorded."""

    def watch(step: int) -> None:
        torch.cuda.set_sync_debug_mode("error" if 2 <= step < 11 else "default")  # the last one logs

    networks = [f'{role}={{use="mlp",hidden=[8],dropout=0.3,optimizer={{use="adam"}}}}' for role in ("generator", "discriminator")]
    quiet = ["train.log_every=100", "train.sample_every=100", "train.checkpoint_every=100", 'data={use="tiny",size=200}']  # no epoch ends
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that this is a prototype
            for more in ([], [GRAPHS]):
                on_gpu(*networks, *quiet, *more, tricks=[hooked(after_step=watch)])
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_indices_of_batches_lie_where_the_gpu_fetches_them() -> None:
    for more in ([], ["schedule.real_batches=contiguous"]):
        assert on_gpu(*more).game.draws.order.peek().is_pinned()


@pytest.mark.parametrize(("dtype", "share"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_epsilon_hat_adam_does_there_what_it_does_on_the_host(dtype: torch.dtype, share: float) -> None:
    ways = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        parameters = [torch.nn.Parameter(torch.ones(5, device=device, dtype=dtype))]
        optimizer = EpsilonHatAdam(parameters, lr=0.01, eps=1e-4, decay=0.1, fused=True)
        for gradient in torch.randn(9, 5, dtype=dtype):
            parameters[0].grad = gradient.to(device)
            optimizer.step()
        ways.append(parameters[0].detach().cpu())
    torch.testing.assert_close(*ways, rtol=share, atol=share)
