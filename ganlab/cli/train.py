"""The commands that train: run, resume, and check, which does all of it but the training."""

from __future__ import annotations

from pathlib import Path

from ganlab.catalogue import Catalogue
from ganlab.console import Display, command, show_facts, show_lines, warn
from ganlab.engine.build import describe
from ganlab.engine.folder import find_run
from ganlab.engine.life import Place, assemble, execute, find_data, open_run, reopen_run
from ganlab.engine.run import Run
from ganlab.errors import GanlabError


def run(
    recipe: str,
    overrides: list[str],
    *,
    device: str | None,
    seed: int | None,
    tracking_uri: str | None,
    runs_dir: Path,
    data_root: Path | None,
    quiet: bool,
) -> None:
    """Train a recipe in a new run."""
    import json

    overrides = list(overrides)
    overrides += [f"train.device={json.dumps(device)}"] if device is not None else []
    overrides += [f"train.seed={seed}"] if seed is not None else []
    overrides += [f"tracking.uri={json.dumps(tracking_uri)}"] if tracking_uri is not None else []
    with Display(quiet) as display:
        place = Place(runs_dir, data_root, display.tell, [display])
        carry_out(open_run(recipe, Catalogue.of_installed(), overrides, place), display)


def resume(name: str, *, runs_dir: Path, data_root: Path | None, quiet: bool) -> None:
    """Go on with a run that stopped."""
    summary = find_run(runs_dir, name)
    with Display(quiet) as display:
        place = Place(summary.folder.path.parent, data_root, display.tell, [display])
        carry_out(reopen_run(summary, Catalogue.of_installed(), place), display)


def carry_out(run: Run, display: Display) -> None:
    """Train, and show how it ended."""
    try:
        status = execute(run)
    except GanlabError as error:
        if run.checkpoints():
            kept = f"The run is saved up to {run.checkpoints()[-1].name}; to go on from there: {command('resume', run)}"
            error.hint = f"{error.hint}\n{kept}".strip()
        raise
    display.show_end(run, status)
    if status == "interrupted":
        raise SystemExit(130)


def check(recipe: str, overrides: list[str], data_root: Path | None) -> None:
    """Validate a recipe, build all of it, and describe what was built."""
    place = Place(data=data_root, tell=warn)
    found = find_data(recipe, Catalogue.of_installed(), overrides, place, download=False)
    if found.why:
        warn(f"'{found.wanted}' is not here yet: this describes the recipe's fallback, the data set '{found.recipe.data.use}'. {found.why}")
    show_facts(describe(assemble(found.recipe, found.dataset, place, in_folder=False)))
    show_lines(f"{found.recipe.name} is a valid recipe: ganlab run {recipe}")
