"""The folder of a safetensors export: weights and ``config.json``, and how it is read again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganlab.errors import GanlabError

if TYPE_CHECKING:
    pass


WEIGHTS = "generator.safetensors"


FORMAT = "ganlab exported generator 1"


def read_exported(folder: Path) -> dict[str, Any]:
    """What :func:`ganlab.generators.description.description` gave, from the folder of a safetensors export.

    Raises:
        GanlabError: it is damaged, or of another version.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            raise GanlabError(f"{folder / CONFIG} is not of a generator that this version of ganlab has exported")
        weights = load_file(folder / WEIGHTS)
        if hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest() != config["sha256"]:
            raise GanlabError(f"{folder / WEIGHTS} are other weights than {CONFIG} was written with", "export the generator again")
        spec = {key: config[key] for key in ("input_shape", "output_shape", "classes")} | {"role": "generator"}
        state = {key: config[key] for key in ("noise", "range", "class_names", "drawn_as", "step", "recipe")}
        return state | {"network": weights, "use": config["network"]["use"], "options": config["network"]["options"], "spec": spec}
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise GanlabError(f"the exported generator in {folder} cannot be read: {error!r}", "export the generator again") from error


CONFIG = "config.json"  # of an exported generator, beside its weights
