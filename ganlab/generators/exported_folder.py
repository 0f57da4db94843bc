"""The safetensors export: a folder with the generator's weights and a ``config.json`` that describes it. Writes and reads it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from torch import nn

from ganlab.errors import GanlabError
from ganlab.game.player import accepts_labels
from ganlab.storage.reading import TENSORS, read_json, refuse_special
from ganlab.version import __version__

CONFIG = "config.json"
WEIGHTS = "generator.safetensors"
FORMAT = "ganlab exported generator 1"
EXPORT_AGAIN = "export the generator again"


def config_of(network: nn.Module, info: dict[str, Any]) -> dict[str, Any]:
    """Describe an exported generator in plain data: everything but the weights."""
    return {
        "format": FORMAT,
        "ganlab": __version__,
        "recipe": info["recipe"],
        "step": info["step"],
        "network": {"use": info["use"], "options": info["options"]},
        "input_shape": list(info["spec"]["input_shape"]),
        "output_shape": list(info["spec"]["output_shape"]),
        "classes": info["spec"]["classes"],
        "class_names": list(info["class_names"]),
        "takes_labels": accepts_labels(network),
        "noise": info["law"],
        "range": None if info["range"] is None else list(info["range"]),
        "drawn_as": info["drawn_as"],
        "dtype": str(next(network.parameters()).dtype).removeprefix("torch."),
    }


def write_exported(network: nn.Module, info: dict[str, Any], folder: Path) -> None:
    """Write the weights of ``network``, and a config with their checksum, into ``folder``."""
    from safetensors.torch import save

    weights = {name: value.detach().clone().contiguous() for name, value in network.state_dict().items()}
    content = save(weights, {"format": "pt"})
    (folder / WEIGHTS).write_bytes(content)
    config = config_of(network, info) | {"sha256": hashlib.sha256(content).hexdigest(), "layers": str(network).splitlines()}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def read_exported(folder: Path) -> dict[str, Any]:
    """Read the folder of a safetensors export.

    Returns:
        The same mapping as :func:`ganlab.generators.description.description`.

    Raises:
        GanlabError: the folder is damaged, or another version of ganlab wrote it.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = read_json(folder / CONFIG, follow=True)
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            raise GanlabError(f"{folder / CONFIG} does not describe a generator that this version of ganlab can read", EXPORT_AGAIN)
        refuse_special(folder / WEIGHTS, TENSORS, follow=True)
        weights = load_file(folder / WEIGHTS)
        if hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest() != config["sha256"]:
            raise GanlabError(f"{folder / WEIGHTS} does not match the checksum in {CONFIG}", EXPORT_AGAIN)
        spec = {key: config[key] for key in ("input_shape", "output_shape", "classes")} | {"role": "generator"}
        state = {key: config[key] for key in ("noise", "range", "class_names", "drawn_as", "step", "recipe")}
        return state | {"network": weights, "use": config["network"]["use"], "options": config["network"]["options"], "spec": spec}
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise GanlabError(f"the exported generator in {folder} cannot be read: {error!r}", EXPORT_AGAIN) from error
