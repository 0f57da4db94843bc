"""``ganlab evaluate``: measure a run that has ended, or one of its checkpoints, on the samples that the run itself would measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ganlab.errors import UsageError
from ganlab.game.factories import make_data, make_noise, sampling_law
from ganlab.generators.loaded import read_description, rebuilt
from ganlab.generators.sampling import SampleSource
from ganlab.quality.evaluator import Evaluator
from ganlab.quality.report import Report
from ganlab.recipe import Lookup
from ganlab.recipe.differences import MEASUREMENT, is_part_of
from ganlab.records import data_files, generator_step
from ganlab.records.data_files import DataChange
from ganlab.records.request import RunRequest
from ganlab.records.summaries import RunSummary
from ganlab.runs.device import DTYPES, find_device
from ganlab.runs.generators import find_checkpoint, generator_at_checkpoint, generator_file
from ganlab.runs.saved_recipe import recipe_of
from ganlab.runs.workspace import Workspace
from ganlab.storage.atomic import write_text

#: The tables that ``ganlab evaluate --set`` may change; training depends on none of them. Options of the data may change, too, while
#: the images stay the same.
MEASUREMENT_TABLES = (*MEASUREMENT, "plugins")


@dataclass(frozen=True)
class Measured:
    """A run that was measured.

    Attributes:
        current_step: the run's current step, where it has been resumed since its generator was written; else None.
        written: whether evaluation.json has the result.
    """

    run: RunSummary
    report: Report
    step: int
    current_step: int | None
    written: bool


def evaluate_run(summary: RunSummary, library: Lookup, workspace: Workspace, request: RunRequest, point: str = "") -> Measured:
    """Measure a run's generator with all metrics of its recipe.

    The result is written to the run's ``evaluation.json``, unless ``request`` or ``point`` ask for something else than the run's own
    evaluation at its end.

    Args:
        workspace: the folders of data and cache; its ``tell`` gets announcements.
        request: ``overrides`` may change what is measured.
        point: ``"last"``, ``"best"`` or a step: the checkpoint whose generator is measured; empty: ``generator.safetensors``.

    Raises:
        UsageError: there is no generator or no such checkpoint, the data have changed, or the run was made by another account and is not
            trusted.
    """
    folder = summary.folder
    _refuse_training_options(request)
    tell = workspace.tell or (lambda text: None)
    path = find_checkpoint(summary, point, tell) if point else _ended_generator(summary, request)
    info = folder.read_info()
    recipe = recipe_of(folder, info, library, request)
    dataset = make_data(recipe, workspace.data_root())
    _check_data(summary, data_files.change_of(folder, info, dataset), request, tell)
    dtype = DTYPES[recipe.train.dtype]
    device = _device(summary, recipe.train.device, tell)
    dataset.place(device, dtype)
    evaluator = Evaluator(recipe, dataset, workspace.cache_root(), device, tell, tell)
    if point:
        generator = generator_at_checkpoint(path, recipe, library, workspace.data_root()).generator
    else:
        generator = rebuilt(path, read_description(path), library)
        outdated = generator_step.describe_outdated_generator(summary, generator.info["step"])
        if outdated:
            resume = f"`ganlab resume {folder.path}` resumes the run and measures it at its end"
            tell(f"{outdated}: the numbers are of that step. {resume}.")
    generator.network.to(device)
    noise = sampling_law(recipe, make_noise(recipe.noise))
    source = SampleSource(generator, generator.takes_labels, recipe, noise, dataset.shape, device, dtype)
    report = evaluator.measure_generator(source, quick=False)
    step, is_own_evaluation = generator.info["step"], not (request.overrides or point)
    if is_own_evaluation:
        write_text(folder.evaluation, report.to_json(step))
    return Measured(summary, report, step, None if point else generator_step.later_step(summary, step), is_own_evaluation)


def _check_data(summary: RunSummary, change: DataChange | None, request: RunRequest, tell: Callable[[str], None]) -> None:
    """Check that the data are those of the run, but for a few files that were replaced."""
    if change is None:
        return
    data_keys = [key for key in request.keys if is_part_of(key, ("data",))]
    if data_keys and not change.same_files:
        raise UsageError(f"run {summary.id} cannot be measured with other data than its own", f"leave out {', '.join(data_keys)}")
    if not change.is_small:
        details = f": {change.details}" if change.details else ""
        raise UsageError(f"the data of run {summary.id} have changed since it started{details}", "restore them")
    replaced = change.details or "the run does not know which"
    tell(f"Files of the data were replaced since the run started: {replaced}. The numbers are of the data as they are now.")


def _refuse_training_options(request: RunRequest) -> None:
    """Check that ``--set`` changes nothing that training depends on."""
    training_keys = [key for key in request.keys if key.partition(".")[0] not in (*MEASUREMENT_TABLES, "data")]
    if training_keys:
        raise UsageError(
            f"`ganlab evaluate` measures a run as it is, and {training_keys[0]} would make it another",
            f"--set may change {', '.join(MEASUREMENT_TABLES)}, and options of data that leave the images the same",
        )


def _ended_generator(summary: RunSummary, request: RunRequest) -> Path:
    """The file ``generator.safetensors`` of a run that has ended."""
    path = generator_file(summary, request)
    if summary.is_active or summary.folder.locked_elsewhere():
        command = generator_step.last_checkpoint_command(summary, request)
        alternative = f"\nor use its last checkpoint: {command}" if command else ""
        raise UsageError(
            f"run {summary.id} is running: its {path.name} is from before it was resumed",
            f"wait until it ends, or press Ctrl-C{alternative}",
        )
    return path


def _device(summary: RunSummary, wanted: str, tell: Callable[[str], None]) -> torch.device:
    """The recipe's device. Where it is not available, the best one that is, which is announced."""
    try:
        return find_device(wanted)
    except UsageError:
        device = find_device("auto")
        tell(f"run {summary.id} was made on '{wanted}', which is not available here. It is measured on '{device}'; last digits may differ.")
        return device
