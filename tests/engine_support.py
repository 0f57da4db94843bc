"""What the tests of the engine share: plugins in a line, tricks that write down or write in, a recipe of real components."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import ganlab
from ganlab.records.request import RunRequest
from ganlab.records.summaries import find_run
from ganlab.runs.resume import resume_run
from ganlab.runs.run import Run
from ganlab.runs.training import execute
from ganlab.runs.workspace import Workspace
from ganlab.testing import Recorder, catalogue

ADAM = '{use="adam",lr=0.01}'
#: Everything whose state could be lost on resume: two optimizers, dropout, batch normalization.
RICH = (
    'generator={use="mlp",hidden=[8],batch_norm="before_activation",dropout=0.1,optimizer={use="adam",lr=0.01}}',
    'discriminator={use="mlp",hidden=[8],dropout=0.3,optimizer={use="rmsprop",lr=0.001,momentum=0.5}}',
    'loss={use="bce"}',
)


class Plugin:
    """An object with registration hooks: ``Plugin(networks={"mine": Mine}, tricks={...})``."""

    def __init__(self, **brought: dict[str, Callable[..., Any]]) -> None:
        self.brought = brought

    def _register(self, kind: str, register: Any) -> None:
        for name, factory in self.brought.get(kind, {}).items():
            register(name, factory)

    @ganlab.hookimpl
    def register_networks(self, register: Any) -> None:
        self._register("networks", register)

    @ganlab.hookimpl
    def register_losses(self, register: Any) -> None:
        self._register("losses", register)

    @ganlab.hookimpl
    def register_datasets(self, register: Any) -> None:
        self._register("datasets", register)

    @ganlab.hookimpl
    def register_noises(self, register: Any) -> None:
        self._register("noises", register)

    @ganlab.hookimpl
    def register_optimizers(self, register: Any) -> None:
        self._register("optimizers", register)

    @ganlab.hookimpl
    def register_metrics(self, register: Any) -> None:
        self._register("metrics", register)

    @ganlab.hookimpl
    def register_judges(self, register: Any) -> None:
        self._register("judges", register)

    @ganlab.hookimpl
    def register_tricks(self, register: Any) -> None:
        self._register("tricks", register)


class Everything(Recorder):
    """A recorder of all hooks, those that decide included; it decides nothing."""

    @ganlab.hookimpl
    def plan_step(self, step: int) -> None:
        self.calls.append(f"plan_step {step}")

    @ganlab.hookimpl
    def on_failure(self, error: Exception) -> None:
        self.calls.append(f"on_failure {type(error).__name__}")


class Capture:
    """Keeps, for every turn, what was drawn and what came of it; and the weights after each update."""

    def __init__(self) -> None:
        self.turns: list[dict[str, Any]] = []
        self.metrics: list[tuple[int, dict[str, float]]] = []
        self.epochs: list[tuple[int, dict[str, float]]] = []

    @ganlab.hookimpl
    def before_scores(self, turn: Any) -> None:
        names = ("real", "fake", "latent", "real_labels", "fake_labels")
        self.turns.append({"role": turn.role, "sides": turn.sides, "step": turn.step, "repeat": turn.repeat})
        self.turns[-1] |= {name: kept(getattr(turn, name)) for name in names}

    @ganlab.hookimpl
    def before_update(self, turn: Any) -> None:
        found = next(t for t in reversed(self.turns) if t["role"] == turn.role)
        found |= {"real_scores": kept(turn.real_scores), "fake_scores": kept(turn.fake_scores), "loss": turn.loss.item()}
        found["terms"] = {name: term.item() for name, term in turn.loss_terms.items()}
        found["gradients"] = [p.grad.clone() for p in turn.player.parameters]

    @ganlab.hookimpl
    def after_update(self, run: Run, turn: Any) -> None:
        found = next(t for t in reversed(self.turns) if t["role"] == turn.role)
        found["weights"] = weights(run)

    @ganlab.hookimpl
    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        self.metrics.append((step, metrics))

    @ganlab.hookimpl
    def after_epoch(self, epoch: int, means: dict[str, float]) -> None:
        self.epochs.append((epoch, means))

    def of(self, role: str) -> list[dict[str, Any]]:
        """One player's turns."""
        return [turn for turn in self.turns if turn["role"] == role]


class StopAt:
    """Ctrl-C in the middle of a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    @ganlab.hookimpl
    def before_turn(self, run: Run, turn: Any) -> None:
        if turn.step == self.step:
            run.stop()


def trick(use: str, name: str = "", **options: Any) -> str:
    """The override that adds a trick to a recipe."""
    table = [f'use="{use}"', *(f"{key}={json.dumps(value)}" for key, value in options.items())]
    return f"tricks.{name or use}={{{','.join(table)}}}"


def kept(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().clone()


def weights(run: Run) -> dict[str, Tensor]:
    """Both players' parameters and buffers, copied."""
    return {f"{role}.{name}": value.clone() for role, p in run.players.items() for name, value in p.network.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Whether all tensors are equal, bit for bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def lines(run: Run) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, without their times."""
    assert run.folder is not None
    found = [json.loads(line) for line in run.folder.metrics.read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "time"} for line in found]


def resumed(path: Path, *watchers: object, plugins: tuple[object, ...] = ()) -> Run:
    """The run in ``path``, gone on with from its last checkpoint until it stops again."""
    run = reopened(path, *watchers, plugins=plugins)
    execute(run)
    return run


def reopened(
    path: Path,
    *watchers: object,
    plugins: tuple[object, ...] = (),
    overrides: tuple[str, ...] = (),
    changed: bool = False,
    trust: bool = False,
) -> Run:
    """The run in ``path``, put back to its last checkpoint."""
    found = catalogue()
    for number, plugin in enumerate(plugins):
        found.add(plugin, f"plugin{number}", "the test")
    workspace = Workspace(runs=path.parent, tell=lambda text: None, watchers=list(watchers))
    return resume_run(find_run(path.parent, path.name), found, workspace, RunRequest(overrides, changed, trust))


def hooked(**methods: Callable[..., Any]) -> Any:
    """A trick with these hooks; each is written as a lambda of the parameters it wants."""
    return type("Mine", (), {name: ganlab.hookimpl(_method(function)) for name, function in methods.items()})()


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    parameters = ", ".join(inspect.signature(function).parameters)
    scope = {"function": function}
    exec(f"def method(self, {parameters}):\n    return function({parameters})", scope)
    return scope["method"]
