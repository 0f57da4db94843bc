"""A generator loaded from its file: rebuilt from its description, and sampled from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pydantic
import torch
from torch import Tensor, nn

from ganlab.components import NetworkSpec
from ganlab.errors import GanlabError, UsageError, did_you_mean
from ganlab.game.blame import blamed
from ganlab.game.player import accepts_labels
from ganlab.game.random_streams import default_generators_restored
from ganlab.generators import latents
from ganlab.generators.description import Description
from ganlab.generators.exported_folder import CONFIG, WEIGHTS, read_exported
from ganlab.generators.sampling import in_chunks
from ganlab.recipe import Lookup
from ganlab.registry.options import validate_options
from ganlab.storage import checkpoint


class LoadedGenerator(nn.Module):
    """A trained generator with its noise law: ``generator(latent)``, and ``generator.sample(count, seed)``.

    Attributes:
        network, noise: the network, in eval mode, and the law of its latents.
        info: the description in the file: ``use`` and ``options`` of the network, ``spec`` (its shapes), ``law`` (``use`` and ``options``
            of the noise), ``range`` of the data, ``class_names``, ``drawn_as``, ``step``, ``recipe``.
        takes_labels: whether the network takes labels.
    """

    def __init__(self, network: nn.Module, noise: Any, info: dict[str, Any]) -> None:
        super().__init__()
        self.network, self.noise, self.info = network, noise, info
        self.takes_labels = accepts_labels(network)

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples for ``latent``: ``(count, *noise shape)`` to ``(count, *data shape)``. ``labels``, ``(count,)``, if it takes them."""
        samples: Tensor = self.network(latent) if labels is None else self.network(latent, labels=labels)
        return samples

    def sample(self, count: int, seed: int = 0, label: int | str | None = None, truncation: float | None = None) -> Tensor:
        """``count`` samples from noise drawn with ``seed``: ``(count, *data shape)``. Equal arguments give equal samples.

        Args:
            count: number of samples.
            seed: of the noise.
            label: the class of all samples, by number or name; None: all classes in turn, if the generator takes labels.
            truncation: the largest distance of latents from the mean, if the noise law supports it (``normal``: in standard deviations).

        Raises:
            UsageError: a number is invalid, the generator takes no labels, there is no such class, or the law does not support truncation.
        """
        latent = self.draw_latents(count, seed, truncation)
        return self.make(latent, seed, self.labels_for(len(latent), label))

    def interpolate(
        self, rows: int, columns: int, seed: int = 0, label: int | str | None = None, truncation: float | None = None
    ) -> Tensor:
        """Rows from one random latent to another, each in ``columns`` equal steps, both ends included: ``(rows * columns, *data shape)``.

        Interpolation follows the great circle for normal noise (slerp), and is linear for laws without a method ``between``. If the
        generator takes labels, all samples of a row have one class.

        Args, Raises:
            as :meth:`sample`.
        """
        rows = latents.checked_integer("rows", rows, 1, latents.MAX_SAMPLES // 2)
        columns = latents.checked_integer("columns", columns, 1, latents.MAX_SAMPLES)
        latents.checked_integer("rows * columns", rows * columns, 1, latents.MAX_SAMPLES)
        ends = self.draw_latents(2 * rows, seed, truncation)
        labels = self.labels_for(rows, label)
        between = latents.rows_between(self.noise, ends, columns)
        return self.make(between, seed, None if labels is None else labels.repeat_interleave(columns))

    def draw_latents(self, count: int, seed: int, truncation: float | None = None) -> Tensor:
        """Latents drawn with ``seed``, on the network's device: ``(count, *noise shape)``. Raises as :meth:`sample`."""
        return latents.draw(self.noise, self.info["law"]["use"], count, seed, next(self.network.parameters()), truncation)

    def labels_for(self, count: int, label: int | str | None = None) -> Tensor | None:
        """Labels for ``count`` samples, ``(count,)``: all ``label``, or all classes in turn; None if the generator takes no labels.

        Raises:
            UsageError: there is no class ``label``, or the generator takes no labels.
        """
        classes = int(self.info["spec"]["classes"]) if self.takes_labels else 0
        if label is not None and not classes:
            raise UsageError(
                f"the generator, network '{self.info['use']}', takes no labels, so the class of a sample cannot be chosen",
                "sample without a class",
            )
        device = next(self.network.parameters()).device
        if label is None:
            return torch.arange(count, device=device) % classes if classes else None
        names = [str(name) for name in self.info["class_names"]]
        return torch.full((count,), latents.class_number(label, classes, names), device=device)

    @torch.no_grad()
    def make(self, latent: Tensor, seed: int = 0, labels: Tensor | None = None) -> Tensor:
        """Samples for ``latent``, made in chunks. If the network itself draws random numbers, ``seed`` determines them."""
        with blamed(f"network '{self.info['use']}'"):
            return in_chunks(self, latent, labels, seed, latent.device, self.info["spec"]["output_shape"])


def load_generator(path: str | os.PathLike[str]) -> LoadedGenerator:
    """Load a generator, on the CPU and in eval mode.

    Reads tensors and plain data only: no code in the file is run. The network is an installed one, which the file names.

    Args:
        path: ``generator.safetensors``, a run's folder, or a folder that ``ganlab export`` wrote.

    Raises:
        GanlabError: the file is missing or damaged, or its network is not installed.
    """
    from ganlab.registry.catalogue import Catalogue

    path = Path(path)
    return rebuilt(path, read_description(path), Catalogue.of_installed())


def read_description(path: Path) -> dict[str, Any]:
    """The :func:`ganlab.generators.description.description` in a file or folder.

    Raises:
        GanlabError: it is missing or damaged.
    """
    file = path / WEIGHTS if path.is_dir() else path
    state = read_exported(path) if (path / CONFIG).is_file() else checkpoint.load(file, "generator")
    checkpoint.check_types(Description, file, state, "generator")
    return state


def rebuilt(path: Path, state: dict[str, Any], library: Lookup) -> LoadedGenerator:
    """Rebuild a generator.

    Args:
        path: the file or folder that ``state`` was read from, for error messages.
        state: a :func:`ganlab.generators.description.description`.

    Raises:
        GanlabError: a component is not installed, or does not fit ``state``.
    """
    try:
        return _build(path, state, library)
    except Exception as error:  # another version wrote it, or a person
        if isinstance(error, GanlabError):
            raise
        hint = "was it written by another version of ganlab or of the network's plugin, or by a trick that changes the network?"
        raise GanlabError(f"{path} does not fit the installed network '{state.get('use')}': {reason_of(error)}", hint) from error


def reason_of(error: Exception) -> str:
    """What an error says first, in one line. The messages of torch and pydantic begin with a heading."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    has_heading = len(lines) > 1 and (isinstance(error, pydantic.ValidationError) or lines[0].startswith("Error(s) in loading state_dict"))
    return " ".join(lines[1:3]) if has_heading else lines[0] if lines else repr(error)


def _build(path: Path, state: dict[str, Any], library: Lookup) -> LoadedGenerator:
    """Build the network and the noise law, and load the weights."""
    network_entry, noise_entry = library.find("network", state["use"]), library.find("noise", state["noise"]["use"])
    if network_entry is None or noise_entry is None:
        missing, kind = (state["use"], "network") if network_entry is None else (state["noise"]["use"], "noise")
        raise GanlabError(
            f"{path} needs the {kind} '{missing}', which no installed plugin brings",
            did_you_mean(missing, library.names("network" if kind == "network" else "noise")),
        )
    spec = state["spec"]
    shapes = {key: tuple(spec[key]) for key in ("input_shape", "output_shape")}
    with default_generators_restored(torch.device("cpu")):  # the factory draws initial weights
        network = network_entry.factory(
            NetworkSpec(spec["role"], classes=spec["classes"], **shapes), **validate_options(network_entry.options, state["options"])
        )
    dtype = next(value.dtype for value in state["network"].values() if value.is_floating_point())
    network = network.to(dtype)  # before the weights are copied, or they would be rounded
    network.load_state_dict(state["network"])
    info = {key: state[key] for key in ("use", "options", "spec", "range", "step", "recipe")}
    info |= {"law": state["noise"], "class_names": state.get("class_names", []), "drawn_as": state.get("drawn_as", "data")}
    noise = noise_entry.factory(**validate_options(noise_entry.options, state["noise"]["options"]))
    if tuple(noise.shape) != shapes["input_shape"]:
        raise ValueError(f"the noise '{state['noise']['use']}' has the shape {tuple(noise.shape)}, and its input {shapes['input_shape']}")
    return LoadedGenerator(network, noise, info).eval()
