"""The data sets that ganlab comes with, for the table ``[data]`` of a recipe.

``mnist``, ``fashion_mnist`` and ``kmnist`` are read from disk or downloaded; ``digits`` needs no download; ``ring`` and ``grid``
are drawn; ``image_folder`` reads the user's own images.
"""

from __future__ import annotations

from ganlab.hookspecs import Register, hookimpl
from ganlab_datasets.folder import image_folder
from ganlab_datasets.idx_sets import fashion_mnist, kmnist, mnist
from ganlab_datasets.mixtures import grid, ring
from ganlab_datasets.small_digits import digits

__all__ = ["digits", "fashion_mnist", "grid", "image_folder", "kmnist", "mnist", "register_datasets", "ring"]


@hookimpl
def register_datasets(register: Register) -> None:
    for factory in (mnist, fashion_mnist, kmnist, digits, ring, grid, image_folder):
        register(factory.__name__, factory)
