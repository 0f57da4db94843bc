"""Resuming: a run that stopped is built again and put back to its last checkpoint. What has changed since is refused or announced."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ganlab.components import Dataset
from ganlab.errors import GanlabError, PluginError, UsageError
from ganlab.game.factories import make_data
from ganlab.game.out_of_memory import memory_errors_in_words
from ganlab.recipe import Lookup, Recipe, differences, to_toml
from ganlab.records import data_files, distributions, plugin_files, trust
from ganlab.records.copies import separated
from ganlab.records.data_files import DataChange
from ganlab.records.folder import RunFolder, step_of
from ganlab.records.request import RunRequest
from ganlab.records.run_info import RunInfo
from ganlab.records.summaries import RunSummary
from ganlab.runs.checkpoint_content import UnfitCheckpoint
from ganlab.runs.device import DTYPES, find_device
from ganlab.runs.evaluations import evaluation_interval
from ganlab.runs.provenance import provenance_of
from ganlab.runs.retention import newest_valid
from ganlab.runs.run import Run
from ganlab.runs.sampler import sheet_interval
from ganlab.runs.saved_recipe import recipe_of
from ganlab.runs.start import prepare
from ganlab.runs.workspace import Workspace
from ganlab.storage.atomic import write_text
from ganlab.storage.output_files import unused_path


def resume_run(summary: RunSummary, library: Lookup, workspace: Workspace, request: RunRequest | None = None) -> Run:
    """Build a run that stopped and put it back to its last checkpoint, ready for :func:`ganlab.runs.training.execute`.

    Args:
        request: what may have changed; None: nothing.

    Raises:
        UsageError: the budget is spent, there is no checkpoint, another process is writing the run, the recipe, plugin files or data
            have changed, or the run was made by another account and is not trusted.
    """
    folder = summary.folder
    folder.lock()
    try:
        return _resume(folder, library, workspace, request or RunRequest())
    except BaseException:
        folder.unlock()
        raise


def _resume(
    folder: RunFolder, library: Lookup, workspace: Workspace, request: RunRequest, unfit: Mapping[Path, GanlabError] | None = None
) -> Run:
    """As :func:`resume_run`, of a folder that is locked, without the checkpoints that are ``unfit``."""
    info, copied = separated(folder, folder.read_info())
    if "train.init_from" in request.keys:
        raise UsageError(
            "train.init_from starts a new run from the networks of another; a resumed run has its own",
            f"to start one from this run: {_new_run_command(folder)}",
        )
    if info.status == "finished" and not (request.overrides or request.changed) and folder.checkpoint_files():
        raise _finished_error(folder, info)
    recipe = recipe_of(folder, info, library, request)
    _check_script_tricks(folder, info, workspace, request)
    path, state, skipped = newest_valid(folder, unfit)
    defaults = differences.default_options(recipe)
    changes = differences.describe_changes(state["recipe"], differences.recorded_options(recipe), defaults=defaults)
    _refuse_changes(folder, path, changes, request)
    dataset = make_data(recipe, workspace.data_root())
    data_change = data_files.change_of(folder, info, dataset)
    if data_change is not None:
        if not data_change.same_files and any(differences.is_part_of(key, ("data", "train.seed")) for key in changes):
            raise UsageError(f"run {folder.path.name} cannot be resumed with other data", f"to start a new run: {_new_run_command(folder)}")
        data_files.refuse_large_change(folder, data_change, request.command_line(folder.path, changed=True), request.changed)
    try:
        run = _build_and_restore(folder, info, recipe, dataset, workspace, path, state, changes)
    except UnfitCheckpoint as error:
        if changes.keys() - differences.BUDGET or path == folder.checkpoint_files()[0]:
            raise  # the change is the reason; or there is no older one
        return _resume(folder, library, workspace, request, {**(unfit or {}), path: error})
    for text in [*skipped, *filter(None, [copied])]:
        run.announce(text)
    _note_data(run, folder, dataset, data_change)
    _update_folder(run, folder, info, path, changes)
    return run


def _note_data(run: Run, folder: RunFolder, dataset: Dataset, change: DataChange | None) -> None:
    """Announce and record that files of the data were replaced. Record the files of a run of version 0.1, which noted none."""
    outline, _ = data_files.contents_of(dataset)
    if change is None and run.info["data"].get("outline", "") == outline:
        return
    data_files.note(folder, dataset)
    run.info["data"] |= {"fingerprint": dataset.fingerprint(), **({"outline": outline} if outline else {})}
    if change is None:
        return
    run.info["resumed"][-1]["data"] = [*change.replaced]
    run.announce(f"From step {run.step} on this run uses changed files of its data: {change.details or 'the run does not know which'}.")


def _check_script_tricks(folder: RunFolder, info: RunInfo, workspace: Workspace, request: RunRequest) -> None:
    """Check that the tricks that a script had passed are passed again: a run's folder cannot hold them."""
    then, now = info.script_tricks, [type(trick).__name__ for trick in workspace.tricks]
    if len(then) != len(now) and not request.changed:
        raise UsageError(
            f"run {folder.path.name} was started by a script with tricks of its own ({', '.join(then) or 'none'}), and "
            f"would be resumed with others ({', '.join(now) or 'none'})",
            f"pass them again from a script: `ganlab.resume({str(folder.path)!r}, tricks=[...])`\n"
            f"or resume as it is now: {request.command_line(folder.path, changed=True)}",
        )


def _refuse_changes(folder: RunFolder, path: Path, changes: dict[str, str], request: RunRequest) -> None:
    """Check that the recipe is the one that the checkpoint ``path`` was trained with. The budget may differ."""
    name = folder.path.name
    fixed = [text for key, text in changes.items() if differences.is_part_of(key, differences.FIXED)]
    if fixed:
        raise UsageError(
            f"run {name} cannot be resumed with other batches, because its counters depend on them: {'; '.join(fixed)}",
            f"to start a new run with its networks: {_new_run_command(folder)}",
        )
    if request.changed or all(key in differences.BUDGET for key in changes):
        return
    differences_in_words = "; ".join(changes.values())
    if request.overrides:
        raise UsageError(
            f"run {name} would be resumed with another recipe than it was trained with up to {path.stem}: {differences_in_words}",
            f"if that is what you want: {request.command_line(folder.path, changed=True)}",
        )
    raise UsageError(
        f"{folder.recipe} is not the recipe that run {name} was trained with up to {path.stem}: {differences_in_words}",
        f"restore it, or resume with it as it is now: {request.command_line(folder.path, changed=True)}",
    )


def _build_and_restore(
    folder: RunFolder, info: RunInfo, recipe: Recipe, dataset: Dataset, workspace: Workspace,
    path: Path, state: dict[str, Any], changes: dict[str, str],
) -> Run:  # fmt: skip
    """Build the run and load its checkpoint. Nothing in its folder is touched before all of that has worked."""
    device = find_device(recipe.train.device)
    if recipe.train.threads:
        torch.set_num_threads(recipe.train.threads)
    with memory_errors_in_words(recipe, device):
        run = Run(recipe, folder, device, DTYPES[recipe.train.dtype])
        run.written.info = _resumed_info(info, provenance_of(recipe, folder, device, dataset))
        run.written.read_only = True
        prepare(run, dataset, workspace)
        _check_budget(run, folder, info, state["step"])
        other_tricks = any(differences.is_part_of(key, ("tricks",)) for key in changes) or run.info["script_tricks"] != info.script_tricks
        try:
            run.restore(path, state, other_tricks, changes)
        except PluginError as error:  # a trick's load_state_dict
            raise UnfitCheckpoint(f"checkpoint {path} cannot be loaded: {error.message}", error.hint) from error
    run.written.read_only = False
    run.timetable.clock.seconds = info.training_seconds
    run.resumed_from = run.step
    return run


def _check_budget(run: Run, folder: RunFolder, info: RunInfo, step: int) -> None:
    """Check that steps are left to train."""
    if step > run.total_steps:
        raise UsageError(
            f"run {folder.path.name} has already trained {step:,} steps, and its budget would be {run.total_steps:,}",
            f"set a larger budget, for example `--set train.steps={2 * step}`",
        )
    if info.status == "finished" and step == run.total_steps:
        raise _finished_error(folder, info)


def _finished_error(folder: RunFolder, info: RunInfo) -> UsageError:
    step = step_of(folder.checkpoint_files()[-1])
    if info.ended_by:
        return UsageError(
            f"run {folder.path.name} is finished: {info.ended_by} ended it at step {step:,} of {info.total_steps:,}",
            "to train it longer, change what ended it (`--changed --set tricks.NAME.OPTION=...`), or start a new run with its networks: "
            + _new_run_command(folder),
        )
    return UsageError(
        f"run {folder.path.name} is finished",
        f"to train it longer: {RunRequest((f'train.steps={2 * step}',)).command_line(folder.path)}\n"
        f"to start a new run with its networks: {_new_run_command(folder)}",
    )


def _new_run_command(folder: RunFolder) -> str:
    """The command that starts a new run with the networks of this one."""
    return f"`{shlex.join(['ganlab', 'run', str(folder.recipe), '--set', f'train.init_from={folder.path}'])}`"


def _update_folder(run: Run, folder: RunFolder, info: RunInfo, path: Path, changes: dict[str, str]) -> None:
    """Bring recipe.toml, plugin copies, signature and run.json up to date, and announce what has changed."""
    run.info["distributions"] = distributions.used_distributions(run.recipe)
    run.info["script_plugins"] = distributions.used_script_plugins(run.recipe)
    run.info["plugins"], new_files = plugin_files.update_copies(folder, info, run.recipe)
    text = to_toml(run.recipe)
    if text != folder.recipe.read_text(encoding="utf-8"):
        old = unused_path(folder.path / f"recipe.before_step_{run.step + 1:09d}.toml", force=False)
        write_text(old, folder.recipe.read_text(encoding="utf-8"))
        write_text(folder.recipe, text)
        if changes:
            run.checkpointing.write(path)  # the same state with the new recipe: the next resume needs no flag
    run.info["signature"] = trust.sign(folder, run.info["plugins"])
    announced = [words for key, words in changes.items() if key not in differences.BUDGET] + new_files
    if announced:
        ignored = (*differences.BUDGET, *differences.NOT_COMPARED)
        training_changes = [words for key, words in changes.items() if not differences.is_part_of(key, ignored)]
        if training_changes or new_files:
            run.info["resumed"][-1] |= {"step": run.step, "recipe": training_changes + new_files}
        run.announce(f"From step {run.step} on this run uses a changed recipe: {'; '.join(announced)}.")
    if info.total_steps and run.total_steps != info.total_steps:
        run.announce(
            " ".join([f"The budget is now {run.total_steps:,} steps (it was {info.total_steps:,}).", *_what_follows_the_budget(run, info)])
        )
    changed = run.info["resumed"][-1]["changed"].keys() - {"host"}
    if changed:
        run.announce(
            f"This run is resumed under other circumstances than it started under ({', '.join(sorted(changed))}; see run.json), "
            "so its numbers may differ in the last digits from those of an uninterrupted run."
        )
    run.save_info()


def _what_follows_the_budget(run: Run, info: RunInfo) -> list[str]:
    """A sentence that lists what else depends on the budget, if anything does."""
    train, before = run.recipe.train, info.total_steps
    intervals = {
        "sheets": (sheet_interval(train, before), run.timetable.sampler.every),
        "checkpoints": (run.checkpointing.interval(before), run.checkpointing.every),
    }
    if run.evaluations.evaluator.wanted(quick=True):
        intervals["quick evaluations"] = (evaluation_interval(run.recipe.evaluation, before), run.evaluations.every)
    dependents = [f"{name} are {now} steps apart (were {was})" for name, (was, now) in intervals.items() if was != now]
    tricks = {trick.name for trick in run.tricks}
    dependents += [f"trick '{name}' reads it" for name in info.read_total_steps if name in tricks]
    return [f"This also changes: {'; '.join(dependents)}."] if dependents else []


def _resumed_info(old: RunInfo, new: RunInfo) -> RunInfo:
    """run.json of a resumed run: as it was, with a note of the circumstances that it is resumed under."""
    circumstances = ("ganlab", "versions", "device_name", "threads", "host")
    changed = {key: getattr(new, key) for key in circumstances if getattr(old, key) != getattr(new, key)}
    if old.versions == {name: version for name, version in new.versions.items() if name in old.versions}:
        changed.pop("versions", None)  # earlier versions of ganlab noted fewer packages
    if "distributions" in old.model_fields_set and old.distributions != new.distributions:  # older versions did not note them
        changed["distributions"] = new.distributions
    ended_early = {"ended_by": ""} if old.ended_by and old.status == "finished" else {}  # its budget or its tricks have changed
    return old.replaced(
        status="interrupted",
        resumed=[*old.resumed, {"time": time.time(), "changed": changed}],
        **ended_early,
        failure=None,
        signal=None,
        ended=None,
        display_lines=new.display_lines,
        pid=new.pid,
        host=new.host,
        boot=new.boot,
        process_started=new.process_started,
    )
