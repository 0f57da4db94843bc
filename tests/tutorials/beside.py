"""A shipped recipe's run with the tutorial's independent port beside it, on the same draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from port_adaptive import AdaptivePort
from port_keras import KerasPort
from port_matlab import MatlabPort
from port_pytorch import PyTorchPort
from port_scratch import ScratchPort
from recording import Port, Replay, distance
from torch import Tensor

from ganlab.runs.run import Run
from ganlab.runs.start import assemble, find_data
from ganlab.runs.training import execute
from ganlab.runs.workspace import Workspace
from ganlab.testing import catalogue

Make = Callable[[list[Tensor], list[Tensor]], Port]


def matlab(**settings: Any) -> Make:
    """A port of T1, which is NumPy's."""
    return lambda generator, discriminator: MatlabPort([p.numpy() for p in generator], [p.numpy() for p in discriminator], **settings)


def scratch(**settings: Any) -> Make:
    """A port of T2."""
    return lambda generator, discriminator: ScratchPort(generator, discriminator, **settings)


PORTS: dict[str, Make] = {
    "mnist_mlp": PyTorchPort,
    "mnist_matlab_adam": matlab(),
    "mnist_matlab_sgd": matlab(optimizer="sgd", lr=0.01),
    "mnist_matlab_published_derivative": matlab(derivative="published"),
    "mnist_large_batch": scratch(output="sigmoid"),
    "mnist_best_practices": scratch(output="tanh", real_label=0.98, fake_label=0.02, dropout=True),
    "mnist_one_class": scratch(output="sigmoid"),
    "mnist_adaptive": AdaptivePort,
    "mnist_keras_batchnorm": KerasPort,
}
#: Batches that would be larger than the stand-in for MNIST, or slow: a batch of 60 changes nothing in the algorithm.
SMALLER = dict.fromkeys(("mnist_large_batch", "mnist_best_practices", "mnist_one_class"), ("train.batch_size=60",))
#: As many layers as the recipe has, but narrow ones: nothing in an algorithm depends on their widths.
_DEPTHS = {"mnist_mlp": (2, 2), "mnist_keras_batchnorm": (3, 2)} | {name: (1, 1) for name in PORTS if "matlab" in name}
NARROW = {
    name: tuple(
        f"{role}.hidden={[16] * depth}" for role, depth in zip(("generator", "discriminator"), _DEPTHS.get(name, (2, 1)), strict=True)
    )
    for name in PORTS
}


def beside(
    name: str, data: Path, *overrides: str, steps: int, tricks: Iterable[object] = (), plugins: Iterable[object] = ()
) -> tuple[Run, Replay]:
    """Train a recipe for some steps, its port beside it.

    Args:
        tricks: objects with hooks, called before the recording.
        plugins: objects with registration hooks that the overrides may use.
    """
    replay = Replay(PORTS[name])
    found = catalogue()
    for number, plugin in enumerate(plugins):
        found.add(plugin, f"plugin{number}", "the test")
    workspace = Workspace(runs=Path("runs"), data=data, tell=lambda text: None, watchers=[*tricks, replay])
    given = ["defaults=false", "tracking.enabled=false", "train.device=cpu", f"train.steps={steps}", *SMALLER.get(name, ()), *overrides]
    recipe = find_data(name, found, given, workspace)
    run = assemble(recipe.recipe, recipe.dataset, workspace, in_folder=False)
    execute(run)
    return run, replay


def distances(run: Run, port: Port) -> dict[str, float]:
    """How far the port's players are from the run's, as ||a - b|| / ||b||; and G's moving statistics, where there are any."""
    found = {role: distance(list(player.network.parameters()), getattr(port, role)) for role, player in run.players.items()}
    moving = [value for name, value in run.players["generator"].network.named_buffers() if "running" in name]
    if moving:
        found["moving statistics"] = distance(moving, [part for layer in port.moving for part in layer])  # type: ignore[attr-defined]
    return found
