"""Train the tutorials' recipes, each at a budget of minutes, and where asked the tutorials' ports beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ganlab
from ganlab.catalogue import Catalogue
from ganlab.engine.life import Place, execute, open_run

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
SAMPLES, SEED = 10_000, 1  # what is measured


def finished(folder: Path, name: str) -> Path | None:
    """The finished run of that recipe, if there is one."""
    for path in sorted(folder.glob(f"*-{name}-????/run.json")):
        if json.loads(path.read_text(encoding="utf-8"))["status"] == "finished":
            return path.parent
    return None


def train(folder: Path, names: list[str], with_port: bool) -> None:
    """Train the recipes that have no finished run yet; with the port, those that have none with a port."""
    for name in names:
        done = finished(folder, name)
        if done is None and not with_port:
            train_recipe(folder, name)
        elif with_port and (done is None or not (done / "port_samples.npy").exists()):
            train_with_port(folder, name)


def train_recipe(folder: Path, name: str, watchers: tuple[object, ...] = ()) -> Path:
    """Train a recipe, as `ganlab run` would; its run's folder."""
    run = open_run(
        name, Catalogue.of_installed(), [BUDGETS[name], "tracking.enabled=false"], Place(folder, tell=print, watchers=list(watchers))
    )
    print(f"{name}: {run.total_steps:,} steps in {run.path}", flush=True)
    execute(run)
    return run.path


def train_with_port(folder: Path, name: str) -> None:
    """Train a recipe and its port on the same draws, and put the port's samples beside the run's, of the same latents.

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
                latent = run.noise.sample(SAMPLES, torch.Generator().manual_seed(SEED), torch.device("cpu"), run.dtype)
                low, high = run.dataset.range
                samples = (torch.as_tensor(self.port.samples(latent)) - low) / (high - low) * 255
                np.save(run.path / "port_samples.npy", samples.clamp(0, 255).round().to(torch.uint8).numpy())

        def on_step(self, step: int, drawn: Any) -> None:
            super().on_step(step, drawn)
            self.told.clear()

    train_recipe(folder, name, (Keep(PORTS[name]),))
