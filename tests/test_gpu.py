"""On a CUDA device: the same recipes run, are reproducible, and go on from what a CPU has saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import RICH, Plugin, StopAt, lines, reopened, same, trick, weights

from ganlab.engine.life import execute
from ganlab.engine.run import Run
from ganlab.errors import UsageError
from ganlab.testing import TinyNoise, play

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


def on_gpu(*overrides: str, **options: Any) -> Run:
    return play(steps=12, overrides=[CUDA, *overrides], **options)


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
