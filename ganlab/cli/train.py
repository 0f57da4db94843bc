"""The commands that train: run, resume, and check, which does all of it but the training."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from ganlab.errors import GanlabError, PluginError
from ganlab.game.hooks import transcript_of
from ganlab.recipe import PluginFile
from ganlab.records.folder import step_of
from ganlab.records.request import RunRequest
from ganlab.records.summaries import find_run
from ganlab.registry.catalogue import Catalogue
from ganlab.runs.resume import resume_run
from ganlab.runs.run import Run
from ganlab.runs.start import assemble, find_data, open_run
from ganlab.runs.sync import sync_run
from ganlab.runs.training import execute
from ganlab.runs.workspace import Workspace
from ganlab.screen.summary import ROLES, facts, layers_of
from ganlab.screen.terminal import Display, command, show_facts, show_lines, show_table, warn
from ganlab.sweeps.membership import join_sweep

SIGNALLED = 128  # a shell adds the signal's number to it
SHOW_CURSOR = "\x1b[?25h"  # the live display hides it


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
    overrides = list(overrides)
    overrides += [f"train.device={json.dumps(device)}"] if device is not None else []
    overrides += [f"train.seed={seed}"] if seed is not None else []
    overrides += _tracking(tracking_uri)
    membership = join_sweep()
    with Display(quiet) as display:
        workspace = Workspace(runs_dir, data_root, display.tell, [display], sweep=membership)
        carry_out(open_run(recipe, Catalogue.of_installed(naming(display.tell)), overrides, workspace), display)


def resume(name: str, overrides: list[str], *, changed: bool, trust: bool, runs_dir: Path, data_root: Path | None, quiet: bool) -> None:
    """Go on with a run that stopped."""
    join_sweep()
    summary = find_run(runs_dir, name)
    with Display(quiet) as display:
        workspace = Workspace(summary.folder.path.parent, data_root, display.tell, [display])
        request = RunRequest(tuple(overrides), changed, trust)
        carry_out(resume_run(summary, Catalogue.of_installed(naming(display.tell)), workspace, request), display)


def sync(name: str, overrides: list[str], *, tracking_uri: str | None, trust: bool, runs_dir: Path) -> None:
    """Send a run to its tracker."""
    overrides = [*overrides, *_tracking(tracking_uri)]
    catalogue = Catalogue.of_installed(naming(warn))
    sync_run(find_run(runs_dir, name), catalogue, RunRequest(tuple(overrides), trust=trust), lambda text: show_lines(text))


def naming(tell: Callable[[str], None]) -> Callable[[PluginFile], None]:
    """What says which plugin file is about to be run."""
    return lambda file: tell(f"Running the plugin file {file.path} (sha256 {file.sha256}).")


def carry_out(run: Run, display: Display) -> None:
    """Train, and show how it ended."""
    try:
        status = execute(run, leave_at_once)
    except GanlabError as error:
        error.hint = "\n".join([*([error.hint] if error.hint else []), *how_to_go_on(run, error)])
        raise
    display.show_end(run, status)
    if status == "interrupted":
        raise SystemExit(SIGNALLED + int(signal.Signals[run.info["signal"]]))


def leave_at_once(run: Run) -> NoReturn:
    """What a second Ctrl-C does: say what is saved, and end the process as it is. Its folder bears that, as it bears a kill."""
    kept = [path.name for path in run.checkpoints()]
    how = f"it is saved up to {kept[-1]}; to go on from there: {command('resume', run)}" if kept else "nothing of it was saved yet"
    os.write(2, f"{SHOW_CURSOR if sys.stderr.isatty() else ''}\nstopped at once. The run is not finished: {how}\n".encode())
    os._exit(SIGNALLED + signal.SIGINT)


def how_to_go_on(run: Run, error: GanlabError) -> list[str]:
    """Up to where a run that failed is saved, and what to type."""
    if not run.checkpoints():
        begun = run.step > 1 and run.path.is_dir() and not run.info.get("last_checkpoint")  # else somebody has removed them
        sooner = f"they come every {run.checkpointing.every:,} steps: train.checkpoint_every"
        return [f"Nothing of the run could be kept, as it had no checkpoint yet ({sooner})"] if begun else []
    saved = step_of(run.checkpoints()[-1])
    lost = run.step - saved
    behind = f", {lost} step{'s' * (lost > 1)} before the one that failed (they are played again, and end as they did)" if lost else ""
    words = [f"The run is saved up to {run.checkpoints()[-1].name}{behind}; to go on from there: {command('resume', run)}"]
    if isinstance(error, PluginError) and error.trick:
        files = {str(file.path): file.path.name for file in run.recipe.plugins}
        mended = [files[choice.entry.origin] for choice in run.recipe.tricks if choice.name == error.trick and choice.entry.origin in files]
        words += [f"Once {file} is mended: {command('resume', run)} --changed" for file in mended]
        words.append(f"To go on without the trick: {command('resume', run)} --changed --set {switch_of(error.trick)}.enabled=false")
    return words


def switch_of(trick: str) -> str:
    """The table of a trick, as ``--set`` takes it."""
    return trick if trick == "tracking" else f"tricks.{trick}"


def check(recipe: str, overrides: list[str], data_root: Path | None, hooks: bool) -> None:
    """Validate a recipe, build all of it, and describe what was built, or who is called where."""
    run = built(recipe, overrides, data_root)
    if hooks:
        called = transcript_of(run.game.hooks)
        show_table([("hook", "tricks, in the order of their calls"), *((name, ", ".join(tricks)) for name, tricks in called.items())])
        show_lines("")
    else:
        show_facts(facts(run.game))
    show_lines(f"{run.recipe.name} is a valid recipe: ganlab run {recipe}")


def describe(recipe: str, overrides: list[str], data_root: Path | None) -> None:
    """Build all of a recipe, and print the layers of both networks and the game."""
    run = built(recipe, overrides, data_root)
    for role in ROLES:
        player, layers = run.players[role], layers_of(run.players[role], run.game)
        trainable, fixed = sum(layer.trainable for layer in layers), sum(layer.fixed for layer in layers)
        show_lines(f"{role}: {run.recipe.document[role]['use']}, {type(player.optimizer).__name__}")
        rows = [("layer", "", "output", "parameters", "not trainable"), ("input", "", _shape(player.spec.input_shape), "", "")]
        rows += [
            (layer.name, layer.kind, _shape(layer.shape), f"{layer.trainable + layer.fixed:,}", f"{layer.fixed:,}" if layer.fixed else "")
            for layer in layers
        ]
        show_table([*rows, ("output", "", _shape(player.spec.output_shape), "", "")], right=(3, 4))
        show_lines(f"{trainable + fixed:,} parameters in all: {trainable:,} trainable, {fixed:,} not trainable", "")
    show_facts({name: text for name, text in facts(run.game).items() if name not in ROLES})


def built(recipe: str, overrides: list[str], data_root: Path | None) -> Run:
    """The run that a recipe makes, built and not begun; nothing is downloaded or written."""
    workspace = Workspace(data=data_root, tell=warn)
    found = find_data(recipe, Catalogue.of_installed(naming(warn)), overrides, workspace, download=False)
    if found.why:
        warn(f"'{found.wanted}' is not here yet: this describes the recipe's fallback, the data set '{found.recipe.data.use}'. {found.why}")
    return assemble(found.recipe, found.dataset, workspace, in_folder=False)


def _tracking(uri: str | None) -> list[str]:
    """What ``--tracking-uri`` means."""
    return [f"tracking.uri={json.dumps(uri)}"] if uri is not None else []


def _shape(shape: tuple[int, ...] | None) -> str:
    return "not called" if shape is None else " x ".join(str(size) for size in shape)
