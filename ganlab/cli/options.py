"""Command-line options that several commands share, and the recipe keys that some of them set. Imports nothing that is slow."""

from __future__ import annotations

import json
from pathlib import Path

import click

RUNS_DIR = click.option("--runs-dir", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of all runs.")
DATA_ROOT = click.option(
    "--data-root", type=click.Path(path_type=Path), help="Folder of the data sets.  [default: $GANLAB_DATA, else the cache folder]"
)
SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key of the recipe, e.g. train.steps=500 or tricks.clamp.margin=1e-2.",
)
TRUST = click.option("--trust", is_flag=True, help="Run the plugin files of a run folder that came from elsewhere, and follow its paths.")
FORCE = click.option("--force", is_flag=True, help="Replace existing files.")
CHECKPOINT = click.option("--checkpoint", default="", metavar="WHICH", help="last, best or a step, instead of the end of the training.")
QUIET = click.option("--quiet", "-q", is_flag=True, help="Print only warnings, and one line at the end.")


def option_overrides(*, device: str | None = None, seed: int | None = None, tracking_uri: str | None = None) -> list[str]:
    """Translate ``--device``, ``--seed`` and ``--tracking-uri`` into what ``--set`` takes."""
    overrides = [f"train.device={json.dumps(device)}"] if device is not None else []
    overrides += [f"train.seed={seed}"] if seed is not None else []
    overrides += [f"tracking.uri={json.dumps(tracking_uri)}"] if tracking_uri is not None else []
    return overrides
