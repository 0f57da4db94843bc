"""Training of the classifier that judges: on the labelled data, with calibration and accuracy measured on other images."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganlab.components import Dataset
from ganlab.evaluation import Stopped
from ganlab_judges.content import images_and_labels
from ganlab_judges.network import SmallNetwork, initialize, shifted
from ganlab_judges.precision import full_precision

BATCH = 100
LEARNING_RATE = 2e-3
MOST_SHIFT = 1  # pixels by which training images are shifted
BINS = 15  # of confidence, for the calibration error
TIMED = 12  # batches from which the duration is estimated, without the first
PATIENCE = 10.0  # seconds after which fewer batches suffice for the estimate
CHUNK = 500  # images in a forward pass, at most
NUMBERS = {"cpu": 2**16, "other": 2**21}  # of the input of a forward pass, at most: activations should fit in the processor's cache


@dataclass(frozen=True)
class Split:
    """Indices of the training images, and of the images of ``measured`` that accuracy is measured on."""

    learnt: Tensor
    measured: Dataset
    indices: Tensor


def split(data: Dataset, held_out: Dataset | None) -> Split:
    """Train on all of ``data`` and measure on the held-out images; if these are missing or unlabelled, measure on a sixth of ``data``."""
    if held_out is not None and tuple(held_out.class_names) == tuple(data.class_names):
        return Split(torch.arange(len(data)), held_out, torch.randperm(len(held_out), generator=torch.Generator().manual_seed(0)))
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    apart = max(1, len(data) // 6)
    return Split(order[apart:], data, order[:apart])


def batches(indices: Tensor, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """``steps`` full batches from shuffled passes over ``indices``; a batch has all indices if they are fewer than a batch."""
    size = min(BATCH, len(indices))
    order, at = torch.empty(0, dtype=torch.int64), 0
    for _ in range(steps):
        if at + size > len(order):
            order, at = indices[torch.randperm(len(indices), generator=generator)], 0
        yield order[at : at + size]
        at += size


def train(
    data: Dataset,
    learnt: Tensor,
    features: int,
    images: int,
    device: torch.device,
    tell: Callable[[float], None] = lambda seconds: None,
    stopping: Callable[[], bool] = lambda: False,
) -> SmallNetwork:
    """Train a classifier. The result is reproducible on one machine.

    Args:
        learnt: indices of the training images.
        features: width of the hidden layer.
        images: number of images in all batches.
        tell: called after the first batches with an estimate of the duration in seconds.
        stopping: called before each batch.

    Raises:
        Stopped: ``stopping`` returned True.
    """
    generator = torch.Generator().manual_seed(0)
    network = SmallNetwork(tuple(data.shape), features, len(data.class_names))
    initialize(network, generator)
    network.to(device)
    steps = max(10, images // min(BATCH, len(learnt)))
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.2)
    began, estimated = time.monotonic(), False
    with torch.enable_grad(), full_precision():
        for done, chosen in enumerate(batches(learnt, steps, generator), start=1):
            if stopping():
                raise Stopped
            shown, labels = images_and_labels(data, chosen)
            assert labels is not None
            _, logits = network(shifted(shown, MOST_SHIFT, generator).to(device))
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(nn.functional.cross_entropy(logits, labels.to(device)))
            optimizer.step()
            schedule.step()
            now = time.monotonic()
            if done == 1:
                began = now  # the first step is not counted: devices warm up
            elif not estimated and (done > TIMED or now - began > PATIENCE or done == steps):
                estimated = True
                tell((now - began) / (done - 1) * steps)
    return network.eval().requires_grad_(False)


@torch.no_grad()
def seen(network: nn.Module, images: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Features and logits of images in [0, 1], on the CPU."""
    at_once = max(1, min(CHUNK, NUMBERS.get(device.type, NUMBERS["other"]) // math.prod(images.shape[1:])))
    with full_precision():  # equal judges give equal results, also on a GPU
        parts = [network(images[start : start + at_once].to(device)) for start in range(0, len(images), at_once)]
    return torch.cat([features.float().cpu() for features, _ in parts]), torch.cat([logits.float().cpu() for _, logits in parts])


def logits_of(network: nn.Module, data: Dataset, indices: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """The logits of some images of a data set, and their labels."""
    logits, right = [], []
    for start in range(0, len(indices), CHUNK):
        images, labels = images_and_labels(data, indices[start : start + CHUNK])
        assert labels is not None
        logits.append(seen(network, images, device)[1])
        right.append(labels)
    return torch.cat(logits), torch.cat(right)


def temperature_for(logits: Tensor, labels: Tensor) -> float:
    """The temperature, from 0.25 to 8, that maximises the likelihood (Guo et al. 2017, arXiv:1706.04599). Logits are divided by it."""
    tried = torch.logspace(-2, 3, 101, base=2.0, dtype=torch.float64)
    losses = torch.stack([nn.functional.cross_entropy(logits.double() / t, labels) for t in tried])
    return float(tried[losses.argmin()])


def calibration_error(probabilities: Tensor, labels: Tensor) -> float:
    """The expected calibration error: the mean distance of confidence from accuracy, over bins of confidence (Guo et al. 2017)."""
    confidence, guess = probabilities.max(dim=1)
    right = (guess == labels).float()
    bins, error = (confidence * BINS).long().clamp_(max=BINS - 1), 0.0
    for number in range(BINS):
        inside = bins == number
        if not bool(inside.any()):
            continue
        error += float(inside.float().mean()) * abs(float(confidence[inside].mean()) - float(right[inside].mean()))
    return error
