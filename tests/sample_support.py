"""Runs to sample from and to export, made once: a ring, images, and networks of a plugin file that take labels or draw numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

import ganlab
from ganlab.cli import main
from ganlab.script import FinishedRun

QUIET = {
    "tracking.enabled": False, "tricks.system_metrics.enabled": False, "tricks.loss_plot.enabled": False,
    "evaluation.every": 0, "evaluation.at_end": False,
}  # fmt: skip
RING = {**QUIET, "train.steps": 20, "train.batch_size": 16, "data.samples": 500, "train.checkpoint_every": 10, "train.sample_every": 5}
DIGITS = {**QUIET, "train.steps": 4, "train.sample_every": 2, "data.use": "digits"}

PLUGIN = '''
import torch
from torch import nn

import ganlab


class Conditional(nn.Module):
    """A linear layer, and a picture of its own for each class."""

    def __init__(self, spec):
        super().__init__()
        self.shape = spec.output_shape
        self.linear = nn.Linear(spec.input_shape[0], spec.output_shape.numel() if hasattr(spec.output_shape, "numel") else 784)
        self.embedding = nn.Embedding(spec.classes, 784)

    def forward(self, latent, labels=None):
        return torch.tanh(0.1 * self.linear(latent) + self.embedding(labels)).view(-1, *self.shape)


class Noisy(nn.Module):
    """A layer of noise that is drawn in evaluation, too."""

    def __init__(self, spec):
        super().__init__()
        self.shape = spec.output_shape
        self.linear = nn.Linear(spec.input_shape[0], 784)

    def forward(self, latent):
        made = self.linear(latent)
        return torch.tanh(made + torch.randn_like(made)).view(-1, *self.shape)


@ganlab.hookimpl
def register_networks(register):
    register("conditional", Conditional)
    register("noisy", Noisy)
'''


def made(folder: Path, recipe: str, overrides: dict[str, object]) -> FinishedRun:
    """A run in ``folder``."""
    return ganlab.run(recipe, overrides, runs_dir=folder, data_root=folder / "data", display=False)


def own_network(folder: Path, name: str) -> FinishedRun:
    """A run whose generator is a plugin file's."""
    folder.mkdir()
    (folder / "mine.py").write_text(PLUGIN)
    (folder / f"{name}.toml").write_text(
        f'extends = "mnist_mlp"\nplugins = ["./mine.py"]\n[generator]\nuse = "{name}"\noptimizer = {{use = "adam"}}\n'
    )
    return made(folder / "runs", str(folder / f"{name}.toml"), DIGITS)


def ganlab_says(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """The exit code of a command, and what it printed as output and as errors."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err
