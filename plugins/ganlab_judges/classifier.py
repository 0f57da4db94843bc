"""The judge for labelled images: a small classifier, trained once on the data and kept."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from ganlab.errors import UsageError
from ganlab.evaluation import JudgeSpec
from ganlab_judges import kept, training
from ganlab_judges.content import digest
from ganlab_judges.network import SmallNetwork

RECIPE = 1  # goes up when what is trained, or how, changes: files of other numbers are not used
MOST_PASSES = 20  # over the data, however few these are


class Classifier:
    """A trained network as a judge; see :class:`ganlab.evaluation.Judge`."""

    def __init__(self, network: SmallNetwork, facts: dict[str, Any], device: torch.device) -> None:
        self.network, self.facts, self.device = network.to(device).eval().requires_grad_(False), facts, device
        self.classes: int = facts["classes"]
        self.identity: str = facts["identity"]
        self.description = (
            f"a small classifier: {facts['accuracy']:.2%} of {facts['measured']:,} other images right, "
            f"calibration error {facts['calibration_error']:.2%}, {facts['features']} features"
        )

    def features(self, images: Tensor) -> Tensor:
        return training.seen(self.network, images, self.device)[0]

    def probabilities(self, images: Tensor) -> Tensor:
        return self.classify(self.features(images))

    @torch.no_grad()
    def classify(self, features: Tensor) -> Tensor:
        """The probabilities of images with these features: no image is looked at twice."""
        logits = self.network.head(features.to(self.device)).float().cpu()
        probabilities: Tensor = logits.div(self.facts["temperature"]).softmax(dim=1)
        return probabilities


def classifier(
    spec: JudgeSpec,
    *,
    features: Annotated[int, Field(ge=2, le=2048)] = 64,
    images: Annotated[int, Field(ge=100)] = 300_000,
) -> Classifier:
    """A small convolutional classifier, trained once on the labelled data and then kept in the cache folder (``GANLAB_CACHE``).

    Its features are the activations of its last hidden layer. It learns from all classes of the data set, also where the recipe takes
    some only, and whatever range the recipe shows the images in, so recipes of one data set share it. Its accuracy and its expected
    calibration error are measured on the held-out images, or on a sixth of the data that it is then not trained on; its confidence is set
    right by temperature scaling (Guo et al. 2017, arXiv:1706.04599). On MNIST it needs one to two minutes on two cores and has 99.2 %
    of the test images right.

    Options:
        features: width of the last hidden layer.
        images: how many images it is shown in training, each batch moved by up to a pixel; no more than 20 passes over the data.

    Raises:
        UsageError: the data have no labels, or one class only.
    """
    if len(spec.data.class_names) < 2:
        raise UsageError("the judge 'classifier' needs images of two classes or more", 'use [judge] use = "random_network"')
    measured_on = None if spec.held_out is None else digest(spec.held_out)
    name = digest(spec.data, "classifier", RECIPE, features, images, measured_on)
    path = spec.cache / "judges" / f"classifier-{name}.safetensors"
    found = kept.get(path, lambda: _make(spec, features, images), spec.tell)
    network = SmallNetwork(tuple(spec.data.shape), features, len(spec.data.class_names))
    network.load_state_dict(found.weights)
    return Classifier(network, found.facts, spec.device)


def _make(spec: JudgeSpec, features: int, images: int) -> kept.Kept:
    parts = training.split(spec.data, spec.held_out)
    shown = min(images, MOST_PASSES * len(parts.learnt))
    spec.tell(
        f"A classifier is trained on the {len(parts.learnt):,} labelled images, once, to judge samples by: {shown:,} images, "
        "on MNIST a minute or two. It is kept for all later runs of these data."
    )
    network = training.train(spec.data, parts.learnt, features, shown, spec.device)
    logits, labels = training.logits_of(network, parts.measured, parts.indices, spec.device)
    half = len(labels) // 2  # the temperature is found on one half and judged on the other
    temperature = training.temperature_for(logits[:half], labels[:half]) if half else 1.0
    accuracy = float((logits.argmax(dim=1) == labels).double().mean())
    weights = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    facts = {
        "identity": kept.identity(weights),
        "classes": len(spec.data.class_names),
        "class_names": list(spec.data.class_names),
        "features": features,
        "images": shown,
        "accuracy": accuracy,
        "measured": len(labels),
        "temperature": temperature,
        "calibration_error": training.calibration_error((logits[half:] / temperature).softmax(dim=1), labels[half:]),
        "torch": torch.__version__,
    }
    return kept.Kept(weights, facts)
