"""The generator alone, in one safetensors file: weights, and in its metadata all that is needed to build it again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ganlab.components import NetworkSpec
from ganlab.errors import GanlabError, did_you_mean
from ganlab.game.blame import blamed
from ganlab.game.player import accepts_labels
from ganlab.game.random_streams import default_generators_restored, derive, seed_default_generators
from ganlab.generators import latents
from ganlab.generators.exported_folder import CONFIG
from ganlab.recipe import Lookup
from ganlab.registry.options import validate_options
from ganlab.storage import checkpoint

if TYPE_CHECKING:
    from ganlab.recipe import Lookup

CHUNK = 1000  # samples made at once


class LoadedGenerator(nn.Module):
    """A trained generator with its law of noise: ``generator(latent)``, and ``generator.sample(count, seed)``.

    Attributes:
        network, noise: the network, in eval mode, and the law of its latents.
        info: what the file says of it: ``use`` and ``options`` of the network, ``spec`` (its shapes), ``law`` (``use`` and ``options`` of
            the noise), ``range`` of the data, ``class_names``, ``step``, ``recipe``.
    """

    def __init__(self, network: nn.Module, noise: Any, info: dict[str, Any]) -> None:
        super().__init__()
        self.network, self.noise, self.info = network, noise, info
        self.takes_labels = accepts_labels(network)

    def forward(self, latent: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Samples for ``latent``: ``(count, *noise shape)`` to ``(count, *data shape)``; ``labels`` if it takes them."""
        samples: torch.Tensor = self.network(latent) if labels is None else self.network(latent, labels=labels)
        return samples

    def sample(self, count: int, seed: int = 0, label: int | str | None = None, truncation: float | None = None) -> torch.Tensor:
        """``count`` samples from noise drawn with ``seed``: ``(count, *data shape)``. Equal arguments, equal samples.

        Args:
            count, seed: how many, and which.
            label: the class of all of them, by number or name; None: all classes in turn, where the generator takes labels.
            truncation: latents no farther out than this, where the law of noise can be truncated (``normal``: in standard deviations).

        Raises:
            UsageError: a number is none that can be, the generator takes no labels, there is no such class, or the law cannot be truncated.
        """
        count, seed = latents.whole(count, seed)
        return self.make(latents.draw(self, count, seed, truncation), seed, latents.labels_of(self, count, label))

    def interpolate(
        self, rows: int, columns: int, seed: int = 0, label: int | str | None = None, truncation: float | None = None
    ) -> torch.Tensor:
        """Rows from one random latent to another, each in ``columns`` equal parts, both ends included: ``(rows * columns, *data shape)``.

        Along the great circle for normal noise (slerp), along the straight line for laws that say nothing else. A generator that takes
        labels has one class in each row.

        Args, Raises:
            as :meth:`sample`.
        """
        _, seed = latents.whole(1, seed)
        rows, columns = latents.checked("rows", rows, 1, latents.MOST // 2), latents.checked("columns", columns, 1, latents.MOST)
        latents.checked("rows * columns", rows * columns, 1, latents.MOST)
        ends = latents.draw(self, 2 * rows, seed, truncation)
        labels = latents.labels_of(self, rows, label)
        between = latents.rows_between(self.noise, ends, columns)
        return self.make(between, seed, None if labels is None else labels.repeat_interleave(columns))

    @torch.no_grad()
    def make(self, latent: torch.Tensor, seed: int = 0, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Samples for ``latent``, a thousand at once; a network that draws numbers itself draws them from ``seed``."""
        made = []
        with default_generators_restored(latent.device), blamed(f"network '{self.info['use']}'"):
            for start in range(0, len(latent), CHUNK):
                seed_default_generators(derive(seed, "sampling", start), latent.device)
                chunk = slice(start, start + CHUNK)
                made.append(self(latent[chunk], None if labels is None else labels[chunk]))
        return torch.cat(made)


def load_generator(path: str | os.PathLike[str]) -> LoadedGenerator:
    """A generator from ``generator.safetensors``, from a run's folder or from a folder that ``ganlab export`` has made, on the CPU and
    in eval mode.

    Reads tensors and plain data only: no code that the file names is run, only the installed network that it picks by name.

    Raises:
        GanlabError: the file is missing or damaged, or its network is not installed.
    """
    from ganlab.registry.catalogue import Catalogue

    path = Path(path)
    return rebuilt(path, read_description(path), Catalogue.of_installed())


def read_description(path: Path) -> dict[str, Any]:
    """What :func:`description` gave, from the file or folder ``path``."""
    if (path / CONFIG).is_file():
        from ganlab.generators.exported_folder import read_exported

        return read_exported(path)
    return checkpoint.load(path / "generator.safetensors" if path.is_dir() else path, "generator")


def rebuilt(path: Path, state: dict[str, Any], library: Lookup) -> LoadedGenerator:
    """The generator that ``state``, from the file or folder ``path``, describes, of components in ``library``."""
    try:
        return _build(path, state, library)
    except (KeyError, TypeError, ValueError, RuntimeError, StopIteration) as error:  # another version, or made by hand
        first = str(error).splitlines()[0] if str(error) else repr(error)
        hint = "was it made by another version of ganlab or of the network's plugin, or by a trick that changes the network?"
        raise GanlabError(f"{path} does not fit the installed network '{state.get('use')}': {first}", hint) from error


def _build(path: Path, state: dict[str, Any], library: Lookup) -> LoadedGenerator:
    """The generator that ``state`` describes."""
    entry, law = library.find("network", state["use"]), library.find("noise", state["noise"]["use"])
    if entry is None or law is None:
        missing, kind = (state["use"], "network") if entry is None else (state["noise"]["use"], "noise")
        raise GanlabError(
            f"{path} needs the {kind} '{missing}', which no installed plugin brings",
            did_you_mean(missing, library.names("network" if kind == "network" else "noise")),
        )
    spec = state["spec"]
    shapes = {key: tuple(spec[key]) for key in ("input_shape", "output_shape")}
    with default_generators_restored(torch.device("cpu")):  # the factory draws initial weights
        network = entry.factory(
            NetworkSpec(spec["role"], classes=spec["classes"], **shapes), **validate_options(entry.options, state["options"])
        )
    dtype = next(value.dtype for value in state["network"].values() if value.is_floating_point())
    network = network.to(dtype)  # before the weights are copied, which would round them
    network.load_state_dict(state["network"])
    info = {key: state[key] for key in ("use", "options", "spec", "range", "step", "recipe")}
    info |= {"law": state["noise"], "class_names": state.get("class_names", []), "drawn_as": state.get("drawn_as", "data")}
    return LoadedGenerator(network, law.factory(**validate_options(law.options, state["noise"]["options"])), info).eval()
