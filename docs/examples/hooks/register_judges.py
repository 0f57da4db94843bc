"""The simplest features there are: the principal components of the pixels, as eigenfaces are made (Turk and Pentland 1991)."""

import torch

import ganlab
from ganlab.evaluation import pictures


class Eigenimages:
    """Images as coordinates along the directions in which the training images differ most."""

    description, identity, classes = "principal components of the pixels", "eigenimages", 0

    def __init__(self, spec, *, components: int = 8):
        images = pictures(spec.data, spec.data.fetch(torch.arange(min(1000, len(spec.data)))).images).flatten(1)
        self.mean, self.directions = images.mean(0), torch.linalg.svd(images - images.mean(0), full_matrices=False).Vh[:components]

    def features(self, images):
        return (images.flatten(1) - self.mean) @ self.directions.T


@ganlab.hookimpl
def register_judges(register):
    register("eigenimages", Eigenimages)
