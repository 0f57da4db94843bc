"""Measuring a run that is over, or a checkpoint of it: with its recipe and data, on the samples that it would have measured itself."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ganlab.errors import UsageError
from ganlab.game.factories import make_data, make_noise, sampling_law
from ganlab.game.player import accepts_labels
from ganlab.game.precision import tf32
from ganlab.generators.loaded import read_description, rebuilt
from ganlab.generators.sampling import fixed_noise, in_chunks
from ganlab.quality.evaluator import Evaluator
from ganlab.quality.report import Report
from ganlab.recipe import Lookup
from ganlab.records import generator_step
from ganlab.records.request import RunRequest
from ganlab.records.summaries import RunSummary
from ganlab.runs.device import DTYPES, find_device
from ganlab.runs.evaluations import to_json
from ganlab.runs.generators import find_checkpoint, generator_at_checkpoint
from ganlab.runs.saved_recipe import recipe_of
from ganlab.runs.workspace import Workspace
from ganlab.speed.thread_waiting import watching
from ganlab.storage.atomic import write_text

#: What ``ganlab evaluate --set`` may change: the run stays what it is.
OPEN = ("evaluation", "metrics", "judge", "plugins")


@dataclass(frozen=True)
class Measured:
    """A run, measured.

    Attributes:
        run: it.
        report: what was found.
        step: that of its generator.
        gone_on: the step that the run is at, where that is beyond its generator's and nobody asked for that one; else None.
        written: whether evaluation.json has the result.
    """

    run: RunSummary
    report: Report
    step: int
    gone_on: int | None
    written: bool


def evaluate_run(summary: RunSummary, library: Lookup, workspace: Workspace, request: RunRequest, point: str = "") -> Measured:
    """Measure a run's generator with all metrics of its recipe.

    The result goes into the run's ``evaluation.json``, unless ``request`` changes what is measured, or ``point`` whom: then it is another
    one than the run's own.

    Args:
        point: ``"last"``, ``"best"`` or a step: the checkpoint whose generator is measured; empty: ``generator.safetensors``.

    Raises:
        UsageError: there is no generator yet, or no such checkpoint, the data are not the run's, or it is a stranger's run.
    """
    folder = summary.folder
    closed = [key for key in request.keys if key.partition(".")[0] not in OPEN]
    if closed:
        raise UsageError(
            f"`ganlab evaluate` measures a run as it is, and {closed[0]} would make it another", f"--set may change {', '.join(OPEN)}"
        )
    told = workspace.tell or (lambda text: None)
    path = find_checkpoint(summary, point, told) if point else _at_its_end(summary, request)
    info = folder.read_info()
    recipe = recipe_of(folder, info, library, request)
    dataset = make_data(recipe, workspace.data_root())
    if info.data.get("fingerprint") != dataset.fingerprint():
        raise UsageError(f"the data of run {summary.id} have changed since it began", "put them back as they were")
    dtype = DTYPES[recipe.train.dtype]
    device = _device(summary, recipe.train.device, told)
    dataset.place(device, dtype)
    evaluator = Evaluator(recipe, dataset, workspace.cache_root(), device, told, told)
    if point:
        generator = generator_at_checkpoint(path, recipe, library, workspace.data_root()).generator
    else:
        generator = rebuilt(path, read_description(path), library)
        _tell_of_before(summary, generator.info["step"], told)
    law = sampling_law(recipe, make_noise(recipe.noise))
    generator.network.to(device)
    count = evaluator.count(quick=False)
    latent = law.sample(count, fixed_noise(recipe.train.seed, "evaluation", device), device, dtype)
    labels = evaluator.labels(count) if accepts_labels(generator.network) else None
    autocast = torch.autocast(device.type, torch.bfloat16) if recipe.train.autocast != "off" else contextlib.nullcontext()
    with watching(torch.get_num_threads()):  # the run may be going on meanwhile
        with torch.no_grad(), autocast, tf32(recipe.train.tf32):
            fakes = in_chunks(generator, latent, labels, recipe.train.seed, device, dtype, math.prod(dataset.shape))
        report = evaluator.measure(fakes, quick=False)
    step, of_the_run = generator.info["step"], not (request.overrides or point)
    if of_the_run:
        write_text(folder.evaluation, to_json(report, step))
    return Measured(summary, report, step, None if point else generator_step.later_step(summary, step), of_the_run)


def _at_its_end(summary: RunSummary, request: RunRequest) -> Path:
    """The file of the run's generator, which is the run's last.

    Raises:
        UsageError: it has none, or it is being trained.
    """
    folder, otherwise = summary.folder, generator_step.last_checkpoint_command(summary, request)
    instead = f"\nor measure its last checkpoint: {otherwise}" if otherwise else ""
    if not folder.generator.is_file():
        why = {"failed": "it failed before it could write one", "running": "it is going on"}
        later = f"{RunRequest().command_line(folder.path)} goes on with it; Ctrl-C then writes one"
        later = "wait until it ends, or press Ctrl-C" if summary.status == "running" else later
        raise UsageError(
            f"run {summary.id} has no generator.safetensors: {why.get(summary.status, 'it was killed before it could write one')}",
            f"{later}{instead}",
        )
    if summary.status == "running" or folder.locked_elsewhere():
        raise UsageError(
            f"run {summary.id} is going on: its generator.safetensors is of before",
            f"wait until it ends, or press Ctrl-C{instead}",
        )
    return folder.generator


def _tell_of_before(summary: RunSummary, step: int, tell: Callable[[str], None]) -> None:
    """Say so where the run has gone on since its generator's ``step``."""
    before = generator_step.describe_outdated_generator(summary, step)
    if before:
        on = f"To go on with the run, which measures it at its end: `ganlab resume {summary.folder.path}`"
        tell(f"{before}: the numbers are of that one. {on}")


def _device(summary: RunSummary, wanted: str, tell: Callable[[str], None]) -> torch.device:
    """The recipe's device; where that is not here, the best that is, and that is said."""
    try:
        return find_device(wanted)
    except UsageError:
        device = find_device("auto")
        tell(f"run {summary.id} was made on '{wanted}', which is not here: it is measured on '{device}', so digits may differ.")
        return device
