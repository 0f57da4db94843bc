"""Train the tutorials' recipes, each at a budget of minutes and with three seeds, and where asked the tutorials' ports beside them."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ganlab
from ganlab.recipe import flatten, load_recipe
from ganlab.recipe.differences import grouped_options, is_part_of
from ganlab.records.summaries import RunSummary, list_runs
from ganlab.registry.catalogue import Catalogue
from ganlab.runs.start import open_run
from ganlab.runs.training import execute
from ganlab.runs.workspace import Workspace

SEEDS = (0, 1, 2)

#: How long each recipe is trained: all that its tutorial says, or as much of it as fits into some minutes.
BUDGETS = {
    "mnist_mlp": "train.epochs=100",
    "mnist_matlab_adam": "train.epochs=30",
    "mnist_matlab_sgd": "train.epochs=30",
    "mnist_matlab_published_derivative": "train.epochs=30",
    "mnist_large_batch": "train.epochs=120",
    "mnist_best_practices": "train.epochs=120",
    "mnist_one_class": "train.epochs=150",
    "mnist_adaptive": "train.epochs=120",
    "mnist_keras_batchnorm": "train.steps=5000",
}
#: What helps a recipe that does badly: other options, or another recipe, at a budget of no more images.
HELPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "mnist_matlab_adam": ("mnist_matlab_published_derivative", (BUDGETS["mnist_matlab_published_derivative"],)),
    "mnist_matlab_sgd": ("mnist_matlab_adam", (BUDGETS["mnist_matlab_adam"],)),
    "mnist_large_batch": ("mnist_large_batch", ("train.batch_size=100", "train.epochs=20")),
    "mnist_best_practices": ("mnist_best_practices", ("train.batch_size=100", "train.epochs=20")),
    "mnist_one_class": ("mnist_one_class", (BUDGETS["mnist_one_class"], 'tricks.r1_penalty={use="r1_penalty"}')),
}
PORT_SAMPLES = "port_samples.npy"
WATCHERS = ("health", "last_batch", "loss_plot", "system_metrics")  # tricks that only look on: without them a run is the same


def finished(folder: Path, name: str, overrides: Sequence[str], seeds: Sequence[int]) -> dict[int, RunSummary]:
    """The finished runs of that recipe with these options, by seed; of several that of a port, else the last."""
    wanted = _numbers_from(load_recipe(name, _library(), overrides).document)
    found: dict[int, RunSummary] = {}
    for run in list_runs(folder):
        seed = run.info.seed
        if run.info.recipe != name or run.status != "finished" or seed not in seeds or _options(run.folder.path) != wanted:
            continue
        if seed not in found or not (found[seed].folder.path / PORT_SAMPLES).exists():
            found[seed] = run
    return found


@functools.cache
def _library() -> Catalogue:
    return Catalogue.of_installed()


@functools.cache
def _options(path: Path) -> dict[str, Any]:
    """What a run was trained with; options that ganlab did not have yet count as they are today."""
    return _numbers_from(load_recipe(path / "recipe.toml", _library()).document)


def _numbers_from(document: dict[str, Any]) -> dict[str, Any]:
    """The options that a run's numbers come from."""
    watchers = [f"tricks.{name}" for name in WATCHERS]
    return {key: value for key, value in grouped_options(flatten(document)).items() if not is_part_of(key, watchers)}


def train(folder: Path, names: Sequence[str], jobs: int, how: Sequence[str] = ()) -> None:
    """Train the recipes, and what helps them, with those seeds that have no finished run yet; and measure what is not measured.

    Args:
        jobs: how many go on side by side.
        how: overrides that change no recipe, only how it is measured.
    """
    for name in names:
        train_seeds(folder, name, (BUDGETS[name],), jobs, how, SEEDS)
        if name in HELPS:
            train_seeds(folder, *HELPS[name], jobs, how, SEEDS)


def train_seeds(folder: Path, name: str, overrides: Sequence[str], jobs: int, how: Sequence[str], seeds: Sequence[int]) -> None:
    """The seeds of one recipe that are missing, as a set: one that was interrupted goes on."""
    there = finished(folder, name, overrides, seeds)
    missing = [str(seed) for seed in seeds if seed not in there]
    if missing:
        changes = [part for text in (*overrides, *how, "tracking.enabled=false") for part in ("--set", text)]
        _ganlab("run", name, "--seeds", ",".join(missing) + ",", "--jobs", str(jobs), *changes, "--runs-dir", str(folder))
    for run in finished(folder, name, overrides, seeds).values():
        if not run.folder.evaluation.exists():
            _ganlab("evaluate", str(run.folder.path), "--runs-dir", str(folder))


def _ganlab(*words: str) -> None:
    """
    Raises:
        SystemExit: it ended with an error, and has said which.
    """
    code = subprocess.run([sys.executable, "-m", "ganlab", *words]).returncode
    if code:
        raise SystemExit(code)


def train_with_port(folder: Path, name: str, seed: int, how: Sequence[str] = ()) -> None:
    """Train a recipe and its port on the same draws, and put the port's samples beside the run's, of the noise that it is measured with.

    Both compute in the recipe's own precision. In float32 their numbers drift apart after some hundred steps, so that the port
    is a second opinion on the same seed and not a copy.
    """
    from beside import PORTS
    from recording import Replay

    class Keep(Replay):
        """Samples of the port at the end of the run."""

        @ganlab.hookimpl
        def after_run(self, run: Any, status: str) -> None:
            if status == "finished":
                count = min(run.recipe.evaluation.samples, len(run.dataset))
                latent = run.noise.sample(count, torch.Generator().manual_seed(1), torch.device("cpu"), run.dtype)
                low, high = run.dataset.range
                samples = (torch.as_tensor(self.port.samples(latent)) - low) / (high - low) * 255
                np.save(run.path / PORT_SAMPLES, samples.clamp(0, 255).round().to(torch.uint8).numpy())

        def on_step(self, step: int, drawn: Any) -> None:
            super().on_step(step, drawn)
            self.told.clear()

    done = finished(folder, name, (BUDGETS[name],), SEEDS).get(seed)
    if done is not None and (done.folder.path / PORT_SAMPLES).exists():
        return
    overrides = [BUDGETS[name], f"train.seed={seed}", *how, "tracking.enabled=false"]
    run = open_run(name, _library(), overrides, Workspace(folder, tell=print, watchers=[Keep(PORTS[name])]))
    print(f"{name}: {run.total_steps:,} steps in {run.path}", flush=True)
    execute(run)
