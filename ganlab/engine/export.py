"""The generator alone, in one safetensors file: weights, and in its metadata all that is needed to build it again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from ganlab.components import NetworkSpec
from ganlab.engine import checkpoint
from ganlab.engine.seeding import default_generators_restored
from ganlab.errors import GanlabError, did_you_mean
from ganlab.options import plain, validate_options
from ganlab.recipe import Lookup

if TYPE_CHECKING:
    from ganlab.engine.run import Run


def save_generator(run: Run) -> None:
    """Write ``generator.safetensors`` into the run's folder."""
    if run.folder is None:
        return
    choice, noise = run.recipe.generator.network, run.recipe.sampling_law
    state: dict[str, Any] = {
        "network": plain_weights(run.players["generator"].network),
        "use": choice.use,
        "options": plain(choice.options, choice.entry.options),
        "spec": asdict(run.players["generator"].spec),
        "noise": {"use": noise.use, "options": plain(noise.options, noise.entry.options)},
        "range": run.dataset.range,
        "step": run.step,
        "recipe": run.recipe.name,
    }
    checkpoint.save(run.folder.generator, state, "generator")


def plain_weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """The network's state, each parametrized weight (spectral normalization, for instance) as it is seen: no trick is needed to load it."""
    state: dict[str, torch.Tensor] = dict(network.state_dict())
    for place, module in network.named_modules():
        if parametrize.is_parametrized(module):
            prefix = f"{place}." if place else ""
            state = {key: value for key, value in state.items() if not key.startswith(f"{prefix}parametrizations.")}
            state |= {f"{prefix}{name}": getattr(module, name).detach() for name in module.parametrizations}
    return state


class LoadedGenerator(nn.Module):
    """A trained generator with its law of noise: ``generator(latent)``, and ``generator.sample(count, seed)``."""

    def __init__(self, network: nn.Module, noise: Any, info: dict[str, Any]) -> None:
        super().__init__()
        self.network, self.noise, self.info = network, noise, info

    def forward(self, latent: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Samples for ``latent``: ``(count, *noise shape)`` to ``(count, *data shape)``; ``labels`` if it takes them."""
        samples: torch.Tensor = self.network(latent) if labels is None else self.network(latent, labels=labels)
        return samples

    @torch.no_grad()
    def sample(self, count: int, seed: int = 0) -> torch.Tensor:
        """``count`` samples from noise drawn with ``seed``: ``(count, *data shape)``."""
        some = next(self.network.parameters())
        generator = torch.Generator(some.device).manual_seed(seed)
        samples: torch.Tensor = self(self.noise.sample(count, generator, some.device, some.dtype))
        return samples


def load_generator(path: str | Path, library: Lookup | None = None) -> LoadedGenerator:
    """A generator from ``generator.safetensors``, or from a run's folder, on the CPU and in eval mode.

    Reads tensors and plain data only: no code that the file names is run, only the installed network that it picks by name.

    Args:
        path: the file, or the folder.
        library: where its network and its noise are looked up; None: among the installed plugins.

    Raises:
        GanlabError: the file is missing or damaged, or its network is not installed.
    """
    path = Path(path)
    state = checkpoint.load(path / "generator.safetensors" if path.is_dir() else path, "generator")
    try:
        return _build(path, state, library)
    except (KeyError, TypeError, ValueError, RuntimeError, StopIteration) as error:  # another version, or made by hand
        first = str(error).splitlines()[0] if str(error) else repr(error)
        hint = "was it made by another version of ganlab or of the network's plugin, or by a trick that changes the network?"
        raise GanlabError(f"{path} does not fit the installed network '{state.get('use')}': {first}", hint) from error


def _build(path: Path, state: dict[str, Any], library: Lookup | None) -> LoadedGenerator:
    """The generator that ``state``, from the file at ``path``, describes."""
    from ganlab.catalogue import Catalogue

    catalogue = library or Catalogue.of_installed()
    entry, law = catalogue.find("network", state["use"]), catalogue.find("noise", state["noise"]["use"])
    if entry is None or law is None:
        missing, kind = (state["use"], "network") if entry is None else (state["noise"]["use"], "noise")
        raise GanlabError(
            f"{path} needs the {kind} '{missing}', which no installed plugin brings",
            did_you_mean(missing, catalogue.names("network" if kind == "network" else "noise")),
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
    info = {key: state[key] for key in ("use", "options", "range", "step", "recipe")}
    return LoadedGenerator(network, law.factory(**validate_options(law.options, state["noise"]["options"])), info).eval()
