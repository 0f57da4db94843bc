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
from ganlab_judges.network import SmallNetwork, multiplications, shrunk_by

RECIPE = 1  # goes up when what is trained, or how, changes: files of other numbers are not used
MOST_PASSES = 20  # over the data, however few these are
IMAGES = 300_000  # that it is shown
WORK = 2e12  # multiplications in which it is shown fewer: three times what MNIST takes


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
    images: Annotated[int, Field(ge=100)] | None = None,
) -> Classifier:
    """A small convolutional classifier, trained once on the labelled data and then kept in the cache folder (``GANLAB_CACHE``).

    Its features are the activations of its last hidden layer. It learns from all classes of the data set, also where the recipe takes
    some only, and whatever range the recipe shows the images in, so recipes of one data set share it. Its accuracy and its expected
    calibration error are measured on the held-out images, or on a sixth of the data that it is then not trained on; its confidence is set
    right by temperature scaling (Guo et al. 2017, arXiv:1706.04599). On MNIST it needs one to two minutes on two cores and has 99.2 %
    of the test images right. Images whose shorter side has 96 pixels or more are looked at smaller, with 48 to 80.

    Options:
        features: width of the last hidden layer.
        images: how many images it is shown in training, each batch moved by up to a pixel; no more than 20 passes over the data. Left
            out, 300,000, and of large images fewer, so that it takes about three times as long as on MNIST: 64,500 of 3 x 64 x 64.

    Raises:
        UsageError: the data have no labels, or one class only.
    """
    if len(spec.data.class_names) < 2:
        raise UsageError("the judge 'classifier' needs images of two classes or more", 'use [judge] use = "random_network"')
    images = usual_images(tuple(spec.data.shape)) if images is None else images
    measured_on = None if spec.held_out is None else digest(spec.held_out)
    by = shrunk_by(*spec.data.shape[1:])
    smaller = (by,) if by > 1 else ()
    name = digest(spec.data, "classifier", RECIPE, features, images, measured_on, *smaller)
    path = spec.cache / "judges" / f"classifier-{name}.safetensors"
    found = kept.get(path, lambda: _make(spec, features, images), spec.tell, spec.stopping)
    network = SmallNetwork(tuple(spec.data.shape), features, len(spec.data.class_names))
    network.load_state_dict(found.weights)
    return Classifier(network, found.facts, spec.device)


def usual_images(shape: tuple[int, ...]) -> int:
    """How many images of that shape it is shown where the recipe does not say.

    >>> [usual_images(shape) for shape in ((1, 28, 28), (3, 32, 32), (3, 64, 64))]
    [300000, 300000, 64500]
    """
    return min(IMAGES, max(1, int(WORK / multiplications(shape)) // 100) * 100)


def in_words(seconds: float) -> str:
    """A time that is not exactly known.

    >>> in_words(8), in_words(100), in_words(3000)
    ('less than a minute', 'about 2 minutes', 'about 50 minutes')
    """
    minutes = round(seconds / 60)
    return "less than a minute" if seconds < 50 else f"about {minutes} minute{'s' * (minutes != 1)}"


def _make(spec: JudgeSpec, features: int, images: int) -> kept.Kept:
    parts = training.split(spec.data, spec.held_out)
    shown = min(images, MOST_PASSES * len(parts.learnt))

    def tell(seconds: float) -> None:
        spec.tell(
            f"A classifier is trained on the {len(parts.learnt):,} labelled images, once, to judge samples by. It is shown {shown:,} "
            f"of them, which takes {in_words(seconds)}. It is kept for all later runs of these data."
        )

    network = training.train(spec.data, parts.learnt, features, shown, spec.device, tell, spec.stopping)
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
