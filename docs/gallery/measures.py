"""What a trained recipe's samples are worth, in the eyes of a classifier of real digits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from digit_coverage import load, train_classifier
from sklearn.neural_network import MLPClassifier
from training import SAMPLES, SEED, finished

import ganlab

PRESENT = 0.01  # a digit is there from this share of the samples on
SURE = 0.9  # the classifier is sure of a sample from this probability on


@dataclass(frozen=True)
class Measures:
    """Of a set of samples.

    Attributes:
        shares: of the ten digits, as the classifier reads them, ``(10,)``.
        sure: share of the samples of which the classifier is sure.
        variety: mean distance of two samples with the same digit, as a share of the same for real images: 0 if all are one image.
    """

    shares: np.ndarray
    sure: float
    variety: float

    @property
    def present(self) -> list[int]:
        """The digits that have a share worth the name."""
        return [digit for digit, share in enumerate(self.shares) if share >= PRESENT]

    @property
    def divergence(self) -> float:
        """KL divergence of the digits' shares from even ones: 0 for even shares, log 10 = 2.303 for one digit alone."""
        return float(sum(share * np.log(share * 10) for share in self.shares if share))


@dataclass(frozen=True)
class Trained:
    """A finished run of the gallery."""

    name: str
    path: Path
    info: dict[str, Any]
    document: dict[str, Any]
    metrics: dict[str, tuple[list[int], list[float]]]
    pictures: np.ndarray  # uint8 (SAMPLES, 784)
    measures: Measures
    port: Measures | None
    port_pictures: np.ndarray | None

    def last(self, name: str) -> float:
        """The mean of a metric over the last tenth of the run."""
        _, values = self.metrics[name]
        return float(np.mean(values[-max(1, len(values) // 10) :]))


class Judge:
    """A classifier of real MNIST digits, and how much the real images of a digit differ."""

    def __init__(self, data: Path) -> None:
        self.classifier: MLPClassifier
        self.classifier, self.accuracy = train_classifier(data)
        images, labels = load(data, "test")
        self.spread = np.array([_spread(images[labels == digit]) for digit in range(10)])
        self.real_sure = float((self.classifier.predict_proba(images).max(1) >= SURE).mean())

    def measure(self, pictures: np.ndarray) -> Measures:
        """Of uint8 pictures, ``(count, 784)``."""
        images = pictures.astype(np.float32) / 127.5 - 1
        probabilities = self.classifier.predict_proba(images)
        read = probabilities.argmax(1)
        shares = np.bincount(read, minlength=10) / len(read)
        spread = np.array([_spread(images[read == digit]) for digit in range(10)])
        return Measures(shares, float((probabilities.max(1) >= SURE).mean()), float((shares * spread / self.spread).sum()))


def _spread(images: np.ndarray) -> float:
    """The mean distance of two of them, over random pairs."""
    if len(images) < 2:
        return 0.0
    first, second = np.random.default_rng(0).integers(0, len(images), (2, 4000))
    return float(np.linalg.norm(images[first] - images[second], axis=1)[first != second].mean())


def measure_run(judge: Judge, folder: Path, name: str) -> Trained:
    """Sample the recipe's finished run and measure it; and its port, where there is one.

    Raises:
        SystemExit: there is none.
    """
    from ganlab.catalogue import Catalogue
    from ganlab.recipe import load_recipe

    path = finished(folder, name)
    if path is None:
        raise SystemExit(f"there is no finished run of {name} in {folder}: python docs/gallery train {name}")
    generator = ganlab.load_generator(path)
    low, high = generator.info["range"]
    samples = (generator.sample(SAMPLES, SEED).flatten(1) - low) / (high - low) * 255
    pictures = samples.clamp(0, 255).round().to(torch.uint8).numpy()
    port = np.load(path / "port_samples.npy") if (path / "port_samples.npy").exists() else None
    metrics: dict[str, tuple[list[int], list[float]]] = {}
    for line in (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        for key, value in row["metrics"].items():
            steps, values = metrics.setdefault(key, ([], []))
            steps.append(row["step"]), values.append(value)
    return Trained(
        name,
        path,
        json.loads((path / "run.json").read_text(encoding="utf-8")),
        load_recipe(path / "recipe.toml", Catalogue.of_installed()).document,
        metrics,
        pictures,
        judge.measure(pictures),
        None if port is None else judge.measure(port),
        port,
    )
