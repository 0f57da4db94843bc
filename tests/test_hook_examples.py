"""The example of every hook in the manual: played on the tiny problem, it is called and does what it says."""

from __future__ import annotations

import csv
import importlib.util
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from engine_support import Capture, hooked, reopened, same, weights
from test_hooks import HOOKS

import ganlab
from ganlab.errors import MemoryExhausted
from ganlab.hookspecs import RegistrationHooks
from ganlab.records.request import RunRequest
from ganlab.records.summaries import find_run
from ganlab.runs.run import Run
from ganlab.runs.sync import sync_run
from ganlab.runs.training import execute
from ganlab.testing import catalogue, conform, play, prepare

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "examples" / "hooks"
RUN_HOOKS = [name for name in HOOKS if name not in vars(RegistrationHooks)]


def load(hook: str) -> ModuleType:
    """The example of a hook, imported."""
    name = f"example_of_{hook}"
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{hook}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kind_of(hook: str) -> Any:
    """The trick of an example: the one class that implements the hook."""
    (found,) = (thing for thing in vars(load(hook)).values() if hasattr(getattr(thing, hook, None), "ganlab_impl"))
    return found


def trick(hook: str, **options: Any) -> Any:
    return kind_of(hook)(**options)


class TrickOf:
    """A plugin that brings the trick of an example under the hook's name."""

    def __init__(self, hook: str) -> None:
        self.hook = hook

    @ganlab.hookimpl
    def register_tricks(self, register: Any) -> None:
        register(self.hook, kind_of(self.hook))


# -- the rules of the house ------------------------------------------------------------------------------------------------


def test_every_hook_has_an_example_and_a_test_of_it() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == HOOKS.keys()
    assert {f"test_example_{hook}" for hook in HOOKS} <= globals().keys()


@pytest.mark.parametrize("hook", HOOKS)
def test_an_example_is_short_and_stands_in_the_manual(hook: str) -> None:
    text = (FOLDER / f"{hook}.py").read_text()
    code = text.split('"""\n', 1)[1].strip()
    assert len([line for line in code.splitlines() if line.strip() and not line.startswith(("import", "from"))]) <= 20
    page = (FOLDER.parent.parent / "hooks.md").read_text()
    entry = page.split(f"### `{hook}`\n", 1)[1].split("\n### ", 1)[0]
    assert f"```python\n{code}\n```\n" in entry


@pytest.mark.parametrize(
    ("hook", "kind", "name"),
    [
        ("register_networks", "network", "linear"),
        ("register_losses", "loss", "least_squares"),
        ("register_datasets", "dataset", "swiss_roll"),
        ("register_noises", "noise", "censored_normal"),
        ("register_optimizers", "optimizer", "optimistic_sgd"),
        ("register_tricks", "trick", "gradient_noise"),
    ],
)
def test_components_of_examples_conform(hook: str, kind: Any, name: str) -> None:
    conform(kind, name, plugins=[load(hook)])


#: What each run hook's example needs to be played, where it needs more than nothing.
OPTIONS: dict[str, dict[str, Any]] = {
    "after_checkpoint": {"folder": "backup"},
    "sync": {"folder": "archive"},
    "on_failure": {"seconds": 0.0},
}


@pytest.mark.parametrize("hook", [hook for hook in RUN_HOOKS if hook != "plan_step"])  # which plays 500 turns
def test_tricks_of_examples_conform(hook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    conform("trick", hook, plugins=[TrickOf(hook)], **OPTIONS.get(hook, {}))


# -- registration ----------------------------------------------------------------------------------------------------------


def with_component(hook: str, *tricks: object, line: str, overrides_too: Iterable[str] = (), **options: Any) -> Run:
    return play(*tricks, plugins=[load(hook)], overrides=[line, *overrides_too], **options)


def test_example_register_networks() -> None:
    run = with_component("register_networks", line='generator={use="linear",optimizer={use="tiny"}}')
    z = torch.randn(3, 4, 3)
    made = [run.players["generator"].network(part) for part in (z[0] + z[1], z[0], z[1], torch.zeros(4, 3))]
    torch.testing.assert_close(made[0] + made[3], made[1] + made[2])  # linear but for its bias


def test_example_register_losses() -> None:
    capture = Capture()
    with_component("register_losses", capture, line='loss={use="least_squares"}', steps=1)
    turn = capture.turns[0]
    assert turn["loss"] == pytest.approx(((turn["real_scores"] - 1).square().mean() + turn["fake_scores"].square().mean()).item())


def test_example_register_datasets() -> None:
    run = with_component("register_datasets", line='data={use="swiss_roll",samples=500}')
    radius = run.dataset.fetch(torch.arange(500)).images.norm(dim=1)
    assert len(run.dataset) == 500
    assert 4.5 / 7 - 0.2 < radius.min() < 1
    assert 1.7 < radius.max() < 2.2


def test_example_register_noises() -> None:
    capture = Capture()
    with_component("register_noises", capture, line='noise={use="censored_normal",dimension=50}')
    latent = torch.cat([turn["latent"] for turn in capture.turns])
    assert latent.shape[1] == 50
    assert latent.min() == 0
    assert latent.eq(0).float().mean().item() == pytest.approx(0.5, abs=0.05)


def test_example_register_metrics() -> None:
    run = with_component("register_metrics", line='metrics.diversity={use="diversity"}')
    evaluator, real = run.evaluations.evaluator, run.dataset.fetch(torch.arange(60)).images
    assert evaluator.measure(real[:1].expand(60, 2), quick=True).values == {"diversity": 0.0}
    assert evaluator.measure(real, quick=True).values["diversity"] == pytest.approx(1, abs=0.02)
    conform("metric", "diversity", plugins=[load("register_metrics")])


def test_example_register_judges() -> None:
    overrides = ['data={use="digits"}', "train.batch_size=8", 'metrics.tiny={use="tiny"}']
    run = with_component("register_judges", line='judge={use="eigenimages",components=20}', overrides_too=overrides)
    images = run.evaluations.evaluator.real.select("real", 500).values  # type: ignore[union-attr]
    found = run.evaluations.evaluator.judge.features(images)
    assert found.shape == (500, 20)
    kept = found.var(0).sum() / images.flatten(1).var(0).sum()
    assert 0.8 < kept < 1  # as much of the pixels' variance as eight by eight pixels' first components have
    assert torch.allclose(torch.corrcoef(found.T)[0, 1:].abs().max(), torch.tensor(0.0), atol=0.2)
    conform("judge", "eigenimages", plugins=[load("register_judges")])


def test_example_register_optimizers() -> None:
    capture = Capture()
    optimizers = ['generator.optimizer={use="optimistic_sgd",lr=0.1}']
    before = weights(prepare())["generator.linear.weight"]
    play(capture, plugins=[load("register_optimizers")], overrides=optimizers, steps=2)
    first, second = capture.of("generator")
    gradients = [turn["gradients"][0] for turn in (first, second)]
    torch.testing.assert_close(first["weights"]["generator.linear.weight"], before - 0.1 * gradients[0])
    expected = first["weights"]["generator.linear.weight"] - 0.1 * (2 * gradients[1] - gradients[0])
    torch.testing.assert_close(second["weights"]["generator.linear.weight"], expected)


def test_example_register_tricks() -> None:
    ways = {}
    for scale in (0.0, 0.1):
        capture = Capture()
        overrides = [f'tricks.shake={{use="gradient_noise",scale={scale}}}']
        play(capture, plugins=[load("register_tricks")], overrides=overrides, steps=100)
        ways[scale] = capture.of("generator")
    first = ways[0.1][0]["gradients"][0] - ways[0.0][0]["gradients"][0]
    assert 0.02 < first.std() < 0.3


# -- before the first step -------------------------------------------------------------------------------------------------


def test_example_before_build() -> None:
    seen = []
    look = hooked(before_scores=lambda turn: seen.append((turn.real, turn.fake)))
    run = play(trick("before_build"), look, steps=1)
    assert run.players["discriminator"].network.linear.in_features == 3  # type: ignore[union-attr]
    real = seen[0][0]
    assert real.shape == (8, 3)
    torch.testing.assert_close(real[:, 2], real[:, :2].std(0).mean().expand(8))
    wide = trick("before_build").widened(torch.randn(8, 3, 5, 5))
    assert wide.shape == (8, 4, 5, 5)


def test_example_after_build() -> None:
    for player in prepare(trick("after_build")).players.values():
        weight = player.network.linear.weight.detach()  # type: ignore[union-attr, operator]
        torch.testing.assert_close(weight @ weight.T, torch.eye(len(weight)))  # fewer outputs than inputs


def test_example_before_run() -> None:
    wide = ['generator={use="mlp",hidden=[64],optimizer={use="tiny"}}']
    assert play(trick("before_run")).info["announcements"] == []
    (told,) = play(trick("before_run"), overrides=wide).info["announcements"]
    assert told == "An uneven game: the generator has 386 weights, D 3."


# -- each step -------------------------------------------------------------------------------------------------------------


def test_example_plan_step() -> None:
    run = play(trick("plan_step"), steps=27)
    assert run.counters["discriminator_updates"] == 25 * 100 + 2 * 5
    assert run.counters["generator_updates"] == 27


def test_example_may_play() -> None:
    counters = play(trick("may_play"), steps=9).counters
    assert (counters["discriminator_updates"], counters["generator_updates"]) == (3, 9)


def test_example_before_turn() -> None:
    targets = []
    play(trick("before_turn"), hooked(before_update=lambda turn: targets.append((turn.role, turn.real_target))), steps=300)
    real = torch.stack([target for role, target in targets if role == "discriminator"])
    assert all(target is None for role, target in targets if role == "generator")
    assert set(real.tolist()) == {0.0, 1.0}
    assert 0.9 < real.mean() < 1
    play(trick("before_turn"), recipe="ring", steps=2)  # whose scores are of packs, fewer than samples


def test_example_before_scores() -> None:
    lit, plain = Capture(), Capture()
    play(trick("before_scores"), lit, steps=1)
    play(plain, steps=1)
    for side in ("real", "fake"):
        shift = lit.turns[0][side] - plain.turns[0][side]
        torch.testing.assert_close(shift[:, 0], shift[:, 1])  # one for the whole of a sample
        assert shift.abs().max() <= 0.5
        assert shift[:, 0].unique().numel() == 8
    assert lit.turns[1]["gradients"][0].abs().sum() > 0


def test_example_after_scores() -> None:
    seen = []
    whole = hooked(after_scores=lambda turn: seen.append(turn.fake_scores))
    play(whole, trick("after_scores"), whole, steps=1)
    (d_before, d_after), (before, after) = seen[:2], seen[2:]
    assert d_after is d_before
    assert after.tolist() == sorted(before.tolist(), reverse=True)[:4]


def test_example_loss_terms() -> None:
    capture = Capture()
    play(trick("loss_terms"), capture, steps=1)
    turn = capture.of("generator")[0]
    z, x = turn["latent"], turn["fake"]
    expected = ((z[:4] - z[4:]).abs().mean(1) / ((x[:4] - x[4:]).abs().mean(1) + 1e-5)).mean()
    assert turn["terms"]["mode_seeking"] == pytest.approx(expected.item())
    assert turn["terms"].keys() == {"adversarial", "mode_seeking"}
    assert "loss/generator.mode_seeking" in capture.metrics[0][1]
    assert "mode_seeking" not in capture.of("discriminator")[0]["terms"]


def test_example_before_update() -> None:
    norms: list[float] = []
    play(trick("before_update"), hooked(before_update=lambda turn: norms.append(turn.player.gradient_norm().item())), steps=3)
    assert norms == pytest.approx([1.0] * 6)


def test_example_after_update() -> None:
    run = play(trick("after_update"))
    assert all(p.abs().max() <= 0.01 for p in run.players["discriminator"].parameters)
    assert any(p.abs().max() > 0.01 for p in run.players["generator"].parameters)


def test_example_play_again() -> None:
    counters = play(trick("play_again"), steps=4).counters
    assert (counters["discriminator_updates"], counters["generator_updates"]) == (4, 8)


def test_example_after_step(tmp_path: Path) -> None:
    rates: list[float] = []
    look = hooked(after_step=lambda run: rates.append(run.players["generator"].optimizer.param_groups[0]["lr"]))
    play(trick("after_step"), look, steps=5)
    assert rates == pytest.approx([0.08, 0.06, 0.04, 0.02, 0.0])


def test_example_after_epoch() -> None:
    still = ['generator={use="tiny",optimizer={use="tiny",lr=0.0}}', 'discriminator={use="mlp",hidden=[32],optimizer={use="adam",lr=0.05}}']
    run = play(trick("after_epoch"), overrides=still, steps=2000)
    assert (run.info["status"], run.info["ended_by"]) == ("finished", "StopWhenWon")
    assert run.info["announcements"] == [
        f"D has won in epoch {run.epoch}: the run stops.", f"At step {run.step:,} of 2,000, StopWhenWon ended the run."
    ]  # fmt: skip
    assert run.step == 8 * run.epoch < 2000
    assert play(trick("after_epoch"), steps=16).info["status"] == "finished"


# -- what comes to the host ------------------------------------------------------------------------------------------------


def test_example_on_metrics(tmp_path: Path) -> None:
    capture = Capture()
    run = play(trick("on_metrics"), capture, steps=3, folder=tmp_path)
    assert json.loads((run.path / "latest.json").read_text()) == {"step": 3, **capture.metrics[-1][1]}


def test_example_on_images(tmp_path: Path) -> None:
    from PIL import Image

    run = play(trick("on_images"), steps=2, folder=tmp_path)
    sheets = sorted((run.path / "samples").iterdir())
    assert [path.name for path in sheets] == sorted(path.name for path in (run.path / "slides").iterdir())
    small, large = Image.open(sheets[-1]), Image.open(run.path / "slides" / sheets[-1].name)
    assert large.size == (4 * small.width, 4 * small.height)
    assert large.getpixel((4 * 10 + 3, 4 * 20 + 2)) == small.getpixel((10, 20))


def test_example_after_checkpoint(tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    options = ["train.checkpoint_every=2", "train.keep_checkpoints=1"]
    run = play(trick("after_checkpoint", folder=backup), steps=5, folder=tmp_path / "runs", overrides=options)
    kept = sorted((backup / run.id).iterdir())
    assert [path.name for path in kept] == [f"step_{step:09d}.safetensors" for step in (2, 4, 5)]
    assert kept[-1].read_bytes() == run.checkpoints()[-1].read_bytes()


# -- the end ---------------------------------------------------------------------------------------------------------------


def full_memory(at: int, times: int) -> Any:
    """A neighbour who takes all memory in one step, so many times."""
    left = [times]

    def take(step: int) -> None:
        if step == at and left[0]:
            left[0] -= 1
            raise torch.OutOfMemoryError("CUDA out of memory")

    return hooked(after_step=take)


def test_example_on_failure(tmp_path: Path) -> None:
    options: dict[str, Any] = {"steps": 8, "overrides": ["train.checkpoint_every=2"]}
    run = play(full_memory(at=5, times=3), trick("on_failure", seconds=0.0), folder=tmp_path / "waited", **options)
    assert run.info["status"] == "finished"
    assert same(weights(run), weights(play(folder=tmp_path / "never", **options)))
    with pytest.raises(MemoryExhausted):
        play(full_memory(at=5, times=11), trick("on_failure", seconds=0.0), folder=tmp_path / "full", **options)


def test_example_after_run(tmp_path: Path) -> None:
    run = play(trick("after_run"), steps=2, folder=tmp_path)
    role, name, norm = (run.path / "weights.txt").read_text().splitlines()[0].split()
    assert role == "generator"
    assert float(norm) == pytest.approx(dict(run.players["generator"].network.named_parameters())[name].norm().item(), abs=1e-4)


def test_example_deliver(tmp_path: Path) -> None:
    first = play(trick("deliver"), steps=2, folder=tmp_path)
    with pytest.raises(ganlab.GanlabError):
        play(trick("deliver"), hooked(after_step=lambda: 1 / 0), steps=2, folder=tmp_path)
    rows = list(csv.reader((tmp_path / "results.csv").read_text().splitlines()))
    assert rows[0] == [first.id, "tiny", str(first.seed), "finished", "2"]
    assert rows[1][1:] == ["tiny", str(first.seed), "failed", "1"]


def test_example_sync(tmp_path: Path) -> None:
    plugin, archive, told = TrickOf("sync"), tmp_path / "archive", []
    line = f'tricks.archive={{use="sync",folder="{archive}"}}'
    run = play(plugins=[plugin], overrides=[line], steps=2, folder=tmp_path / "runs")
    for _ in range(2):
        sync_run(find_run(tmp_path / "runs", run.id), catalogue([plugin]), RunRequest(), told.append)
    assert told == [f"{run.id} is in {archive}."] * 2
    assert sorted(path.name for path in (archive / run.id).iterdir()) == sorted(path.name for path in run.path.iterdir())
    shutil.rmtree(archive)


def test_the_example_of_after_step_goes_on_where_it_was(tmp_path: Path) -> None:
    rates: list[float] = []
    look = hooked(after_step=lambda run: rates.append(run.players["generator"].optimizer.param_groups[0]["lr"]))
    stop = hooked(after_step=lambda run, step: run.stop() if step == 2 else None)
    options: dict[str, Any] = {"steps": 5, "folder": tmp_path, "plugins": [TrickOf("after_step")]}
    run = play(stop, overrides=['tricks.decay={use="after_step"}'], **options)
    execute(reopened(run.path, look, plugins=(TrickOf("after_step"),)))
    assert rates == pytest.approx([0.04, 0.02, 0.0])
