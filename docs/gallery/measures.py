"""What the trained recipes' samples are worth, as ganlab measures them; and those of the ports, by the same measures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from training import BUDGETS, HELPS, PORT_SAMPLES, SEEDS, finished

import ganlab
from ganlab.comparison import Spread
from ganlab.game.factories import make_data
from ganlab.quality.evaluator import Evaluator
from ganlab.recipe import load_recipe
from ganlab.records.results import RunResult
from ganlab.registry.catalogue import Catalogue
from ganlab.runs.workspace import Workspace

SHOWN = 64  # samples in a picture


@dataclass(frozen=True)
class TrainedRecipe:
    """The finished runs of one recipe.

    Attributes:
        name: the recipe's. overrides: with what it was run.
        results: by seed, in their order.
        document: the resolved recipe of the first.
        pictures: of its generator, uint8 ``(SHOWN, 784)``.
    """

    name: str
    overrides: tuple[str, ...]
    results: list[RunResult]
    document: dict[str, Any]
    pictures: np.ndarray

    @property
    def first(self) -> RunResult:
        """The run of the first seed."""
        return self.results[0]

    def spread(self, metric: str) -> Spread:
        """Of what was measured at the end of the runs."""
        return Spread.of(result.values[metric] for result in self.results)

    def curve(self, name: str) -> tuple[list[int], list[float]]:
        """A metric over the steps of the first run."""
        steps, values = zip(*self.first.curves[name], strict=True)
        return list(steps), list(values)

    def last(self, name: str) -> float:
        """Its mean over the last tenth of that run."""
        _, values = self.curve(name)
        return float(np.mean(values[-max(1, len(values) // 10) :]))

    @property
    def collapsed(self) -> list[int]:
        """The seeds that count as collapsed."""
        return [result.seed for result in self.results if result.collapsed]


@dataclass(frozen=True)
class Port:
    """A recipe's run beside that of its tutorial's port, of the same seed.

    Attributes:
        trained: the recipe's runs. run: the one that had the port beside it.
        values: what was measured of the port's samples. collapsed: why they count as collapsed, or empty.
        pictures: the run's and the port's, uint8 ``(SHOWN, 784)``.
    """

    trained: TrainedRecipe
    run: RunResult
    values: dict[str, float]
    collapsed: str
    pictures: tuple[np.ndarray, np.ndarray]


def read_trained(folder: Path, name: str, overrides: Sequence[str], seeds: Sequence[int]) -> TrainedRecipe:
    """The runs of one recipe.

    Raises:
        SystemExit: one is missing, or has not been measured.
    """
    runs = finished(folder, name, overrides, seeds)
    results = [RunResult(runs[seed]) for seed in seeds if seed in runs]
    if len(results) < len(seeds) or not all(result.values for result in results):
        raise SystemExit(f"there are not {len(seeds)} finished and measured runs of {name} {' '.join(overrides)} in {folder}")
    document = load_recipe(results[0].folder.path / "recipe.toml", Catalogue.of_installed()).document
    return TrainedRecipe(name, tuple(overrides), results, document, samples_of(results[0]))


def read_all(folder: Path) -> tuple[list[TrainedRecipe], dict[str, TrainedRecipe]]:
    """All recipes at their budgets; and what helps those that do badly, by their names."""
    trained = [read_trained(folder, name, (budget,), SEEDS) for name, budget in BUDGETS.items()]
    return trained, {name: read_trained(folder, *HELPS[name], SEEDS) for name in BUDGETS if name in HELPS}


def samples_of(result: RunResult) -> np.ndarray:
    """Pictures by a run's generator, uint8 ``(SHOWN, 784)``."""
    generator = ganlab.load_generator(result.folder.path)
    low, high = generator.info["range"]
    samples = (generator.sample(SHOWN, 1).flatten(1) - low) / (high - low) * 255
    pictures: np.ndarray = samples.clamp(0, 255).round().to(torch.uint8).numpy()
    return pictures


def read_ports(trained: Sequence[TrainedRecipe]) -> list[Port]:
    """Those runs that had a port beside them; the port's samples are measured as the run's were."""
    return [_measure_port(one, result) for one in trained for result in one.results if (result.folder.path / PORT_SAMPLES).exists()]


def _measure_port(trained: TrainedRecipe, result: RunResult) -> Port:
    workspace = Workspace(result.folder.path.parent, tell=print)
    recipe = load_recipe(result.folder.path / "recipe.toml", Catalogue.of_installed())
    dataset = make_data(recipe, Path(os.environ["GANLAB_DATA"]))
    dataset.place(torch.device("cpu"), torch.float32)
    evaluator = Evaluator(recipe, dataset, workspace.cache_root(), torch.device("cpu"), print, print)
    pictures = np.load(result.folder.path / PORT_SAMPLES)
    assert dataset.range is not None
    low, high = dataset.range
    fakes = torch.from_numpy(pictures).reshape(-1, *dataset.shape)[: evaluator.count(quick=False)].float() / 255 * (high - low) + low
    report = evaluator.measure(fakes, quick=False)
    return Port(trained, result, report.values, report.collapsed, (samples_of(result), pictures[:SHOWN]))
