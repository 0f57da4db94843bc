"""The judge for colour images: the Inception network of published Fréchet distances."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import socket
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from ganlab.errors import UsageError
from ganlab.evaluation import JudgeSpec
from ganlab_judges import kept
from ganlab_judges.precision import full_precision

CHUNK = 100
FEATURES, CLASSES = 2048, 1008
#: torch-fidelity's file of the weights: the network of the first FID (Heusel et al. 2017), as TensorFlow published it.
FILE = "weights-inception-2015-12-05-6726825d.pth"


class Inception:
    """The network as a judge; see :class:`ganlab.evaluation.Judge`."""

    classes = CLASSES

    def __init__(self, extractor: Any, device: torch.device) -> None:
        self.extractor, self.device = extractor, device
        self.identity = kept.identity(dict(extractor.state_dict()))  # of the weights, since the file's name says nothing about its content
        self.description = f"Inception v3 as in the first FID (torch-fidelity), {FEATURES} features"

    def features(self, images: Tensor) -> Tensor:
        return self._see(images)[0]

    def probabilities(self, images: Tensor) -> Tensor:
        return self._see(images)[1].softmax(dim=1)

    @torch.no_grad()
    def _see(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = [], []
        for start in range(0, len(images), CHUNK):
            shown = (images[start : start + CHUNK] * 255).round().to(torch.uint8)
            with full_precision():  # equal judges give equal results, also on a GPU
                outputs = self.extractor(shown.expand(-1, 3, -1, -1).to(self.device))
            features.append(outputs[0].float().cpu())
            logits.append(outputs[1].float().cpu())
        return torch.cat(features), torch.cat(logits)


def weights_file() -> Path:
    """The file in which torch keeps the weights."""
    return Path(torch.hub.get_dir()) / "checkpoints" / FILE


def inception(spec: JudgeSpec, *, patience: Annotated[float, Field(gt=0, le=600)] = 15.0) -> Inception:
    """Inception v3 with the weights of the first FID (Heusel et al. 2017, arXiv:1706.08500), through torch-fidelity: for colour images.

    Needs ``pip install 'ganlab[inception]'``; its weights (95 MB) are downloaded once. It gets whole numbers from 0 to 255, and resizes
    images to 299 x 299 as the first FID did. Grey images are repeated in all three channels. It was trained on ImageNet: on digits and
    drawings its features mean little. Measure at least 10,000 samples, and compare with published numbers only for equal sample sizes.

    Options:
        patience: seconds without a response after which the download is given up.

    Raises:
        UsageError: the images are neither colour nor grey, torch-fidelity is not installed, or the weights cannot be downloaded or read.
    """
    if spec.data.shape[0] not in (1, 3):
        raise UsageError(
            f"the judge 'inception' is for images with three channels or one, and these have {spec.data.shape[0]}",
            '[judge] use = "classifier" for labelled images, "random_network" for others',
        )
    if importlib.util.find_spec("torch_fidelity") is None:
        raise UsageError("the judge 'inception' needs torch-fidelity, which is not installed", "pip install 'ganlab[inception]'")
    if not weights_file().is_file():
        spec.tell(f"Downloading the weights of Inception (95 MB) to {weights_file()}. This happens once.")
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(patience)  # torch.hub has no such option
    try:
        # torch.hub and torch-fidelity print their progress, which would disturb a run's display
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

            extractor = FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"])
    except Exception as error:  # anything that the download, the file or the network's code raises
        raise UsageError(
            f"the weights of Inception cannot be loaded: {type(error).__name__}: {error}",
            f"without a network, put torch-fidelity's {FILE} at {weights_file()}, or use another judge: "
            '[judge] use = "classifier" for labelled images, "random_network" for others',
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    return Inception(extractor.to(spec.device).eval().requires_grad_(False), spec.device)
