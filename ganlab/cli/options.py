"""The recipe keys that options of the command line set. Imports nothing that is slow."""

from __future__ import annotations

import json


def option_overrides(device: str | None, seed: int | None) -> list[str]:
    """Translate ``--device`` and ``--seed`` into what ``--set`` takes."""
    overrides = [f"train.device={json.dumps(device)}"] if device is not None else []
    return overrides + ([f"train.seed={seed}"] if seed is not None else [])
