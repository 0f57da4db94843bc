"""A run that stopped goes on: from its last checkpoint, with the recipe and the code it was made with, or openly with others."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

import torch

from ganlab.components import Dataset
from ganlab.errors import RecipeError, UsageError
from ganlab.game.factories import make_data
from ganlab.game.out_of_memory import memory_errors_in_words
from ganlab.recipe import Lookup, Recipe, differences, load_recipe, to_toml
from ganlab.records import distributions, plugin_files, trust
from ganlab.records.folder import RunFolder, step_of
from ganlab.records.request import RunRequest
from ganlab.records.run_info import RunInfo
from ganlab.records.summaries import RunSummary
from ganlab.runs.device import DTYPES, find_device
from ganlab.runs.evaluations import evaluation_interval
from ganlab.runs.provenance import provenance_of
from ganlab.runs.retention import newest_valid
from ganlab.runs.run import Run
from ganlab.runs.sampler import sheet_interval
from ganlab.runs.start import prepare
from ganlab.runs.state import check_names
from ganlab.runs.workspace import Workspace
from ganlab.storage.atomic import write_text


def resume_run(summary: RunSummary, library: Lookup, workspace: Workspace, request: RunRequest | None = None) -> Run:
    """A run that stopped, put back to its last checkpoint and ready for :func:`ganlab.runs.training.execute`.

    Args:
        summary, library, workspace: the run, what its recipe may pick from, and where it finds things.
        request: how it should go on; None: as it was.

    Raises:
        UsageError: its budget is spent, or it has no checkpoint, or another process is writing it, or its recipe, plugin files or
            data have changed, or it is a stranger's.
    """
    folder = summary.folder
    folder.lock()
    try:
        return _reopen(folder, library, workspace, request or RunRequest())
    except BaseException:
        folder.unlock()
        raise


def _reopen(folder: RunFolder, library: Lookup, workspace: Workspace, request: RunRequest) -> Run:
    info = folder.read_info()
    if "train.init_from" in request.keys:
        raise UsageError(
            "train.init_from begins a new run from another's networks; a run that goes on has its own",
            f"to begin one like this: {_begun_from(folder)}",
        )
    if info.status == "finished" and not (request.overrides or request.changed):
        raise _finished(folder)
    recipe = recipe_of(folder, info, library, request)
    _check_script_tricks(folder, info, workspace, request)
    path, state, skipped = newest_valid(folder)
    check_names(path, state)
    changes = differences.describe_changes(state["recipe"], differences.recorded_options(recipe))
    _refuse_changes(folder, path, changes, request)
    dataset = make_data(recipe, workspace.data_root())
    if info.data.get("fingerprint") != dataset.fingerprint():
        if any(differences.is_part_of(key, ("data", "train.seed")) for key in changes):
            raise UsageError(f"run {folder.path.name} cannot go on with other data", f"to begin a new run: {_begun_from(folder)}")
        raise UsageError(
            f"the data of run {folder.path.name} have changed since it began",
            "put them back as they were; a resumed run must see the same data",
        )
    run = _put_back(folder, info, recipe, dataset, workspace, path, state, changes)
    for text in skipped:
        run.announce(text)
    _keep_up(run, folder, info, path, changes)
    return run


def recipe_of(folder: RunFolder, info: RunInfo, library: Lookup, request: RunRequest) -> Recipe:
    """The recipe of a run, its plugin files loaded; nothing of a stranger's is run or followed unless ``request`` says so.

    Raises:
        UsageError: a stranger's run leads out of its folder, or a plugin file is not what it was.
    """
    own = trust.is_own(folder, info)
    if not (own or request.trust):
        trust.refuse_strangers_files(folder, info, request)
    for file, content in plugin_files.contents_to_run(folder, info, own, request).items():
        library.add_file(file, content)
    try:
        recipe = load_recipe(folder.recipe, library, request.overrides)
    except RecipeError as error:
        raise distributions.add_missing_plugins(error, folder, info, request) from error
    if not (own or request.trust):
        trust.refuse_strangers_options(folder, recipe, request)
    return recipe


def _check_script_tricks(folder: RunFolder, info: RunInfo, workspace: Workspace, request: RunRequest) -> None:
    """See that the tricks that a script brought are brought again: a run's folder cannot hold them.

    Raises:
        UsageError: they are not, and ``request`` does not say that it may be so.
    """
    then, now = info.script_tricks, [type(trick).__name__ for trick in workspace.tricks]
    if len(then) != len(now) and not request.changed:
        raise UsageError(
            f"run {folder.path.name} was begun by a script with tricks of its own ({', '.join(then) or 'none'}), and "
            f"would go on with others ({', '.join(now) or 'none'})",
            f"bring them again, from a script: `ganlab.resume({str(folder.path)!r}, tricks=[...])`\n"
            f"or go on as it is now: {request.command_line(folder.path, changed=True)}",
        )


def _refuse_changes(folder: RunFolder, path: Path, changes: dict[str, str], request: RunRequest) -> None:
    """See that the recipe is the one that the checkpoint ``path`` was trained with, but for its budget; or that it was asked for.

    Raises:
        UsageError: it is not.
    """
    name = folder.path.name
    fixed = [text for key, text in changes.items() if differences.is_part_of(key, differences.FIXED)]
    if fixed:
        raise UsageError(
            f"run {name} cannot go on with other batches, by which its counters are reckoned: {'; '.join(fixed)}",
            f"to begin a new run with its networks: {_begun_from(folder)}",
        )
    if request.changed or all(key in differences.BUDGET for key in changes):
        return
    whole = "; ".join(changes.values())
    if request.overrides:
        raise UsageError(
            f"run {name} would go on with another recipe than it was trained with up to {path.stem}: {whole}",
            f"if that is what you want: {request.command_line(folder.path, changed=True)}",
        )
    raise UsageError(
        f"{folder.recipe} is not the recipe that run {name} was trained with up to {path.stem}: {whole}",
        f"put it back as it was, or go on with it as it is now: {request.command_line(folder.path, changed=True)}",
    )


def _put_back(
    folder: RunFolder, info: RunInfo, recipe: Recipe, dataset: Dataset, workspace: Workspace,
    path: Path, state: dict[str, Any], changes: dict[str, str],
) -> Run:  # fmt: skip
    """The run, built, in the state of its checkpoint; nothing in its folder is touched before all of that is known to work."""
    device = find_device(recipe.train.device)
    if recipe.train.threads:
        torch.set_num_threads(recipe.train.threads)
    run = Run(recipe, folder, device, DTYPES[recipe.train.dtype])
    run.written.info = _resumed_info(info, provenance_of(recipe, folder, device, dataset))
    run.written.read_only = True
    with memory_errors_in_words(recipe, device):
        prepare(run, dataset, workspace)
        _check_budget(run, folder, info, state["step"])
        other_tricks = any(differences.is_part_of(key, ("tricks",)) for key in changes) or run.info["script_tricks"] != info.script_tricks
        run.restore(path, state, other_tricks, changes)
    run.written.read_only = False
    run.timetable.clock.seconds = info.training_seconds
    run.resumed_from = run.step
    return run


def _check_budget(run: Run, folder: RunFolder, info: RunInfo, step: int) -> None:
    """See that there is something left to do.

    Raises:
        UsageError: there is not.
    """
    if step > run.total_steps:
        raise UsageError(
            f"run {folder.path.name} has trained {step:,} steps already, and its budget would be {run.total_steps:,}",
            f"give it more than it has: `--set train.steps={2 * step}`, for instance",
        )
    if info.status == "finished" and step == run.total_steps:
        raise _finished(folder)


def _finished(folder: RunFolder) -> UsageError:
    files = folder.checkpoint_files()
    if not files:
        return UsageError(
            f"run {folder.path.name} is finished, and its checkpoints are gone", f"start it anew: `ganlab run {folder.recipe}`"
        )
    return UsageError(
        f"run {folder.path.name} is finished",
        f"to train it longer: {RunRequest((f'train.steps={2 * step_of(files[-1])}',)).command_line(folder.path)}\n"
        f"to begin a new run with its networks: {_begun_from(folder)}",
    )


def _begun_from(folder: RunFolder) -> str:
    """The command that begins a new run with the networks of this one."""
    return f"`{shlex.join(['ganlab', 'run', str(folder.recipe), '--set', f'train.init_from={folder.path}'])}`"


def _keep_up(run: Run, folder: RunFolder, info: RunInfo, path: Path, changes: dict[str, str]) -> None:
    """Let the run's folder say what it goes on with, and tell the person what is not as it was."""
    run.info["distributions"] = distributions.used_distributions(run.recipe)
    run.info["script_plugins"] = distributions.used_script_plugins(run.recipe)
    run.info["plugins"], new_files = plugin_files.update_copies(folder, info, run.recipe)
    text = to_toml(run.recipe)
    if text != folder.recipe.read_text(encoding="utf-8"):
        old = next(
            name for number in range(1, 10**6)
            if not (name := folder.path / f"recipe.before_step_{run.step + 1:09d}{f'.{number}' if number > 1 else ''}.toml").exists()
        )  # fmt: skip
        write_text(old, folder.recipe.read_text(encoding="utf-8"))
        write_text(folder.recipe, text)
        if changes:
            run.checkpointing.write(path)  # the same, but for the recipe in it: the next resume needs no flag
    run.info["signature"] = trust.sign(folder, run.info["plugins"])
    told = [words for key, words in changes.items() if key not in differences.BUDGET] + new_files
    if told:
        ignored = (*differences.BUDGET, *differences.NOT_COMPARED)
        played = [words for key, words in changes.items() if not differences.is_part_of(key, ignored)]
        if played or new_files:
            run.info["resumed"][-1] |= {"step": run.step, "recipe": played + new_files}
        run.announce(f"From step {run.step} on this run goes on with a changed recipe: {'; '.join(told)}.")
    if info.total_steps and run.total_steps != info.total_steps:
        run.announce(" ".join([f"The budget is now {run.total_steps:,} steps (it was {info.total_steps:,}).", *_budgeted(run, info)]))
    changed = run.info["resumed"][-1]["changed"].keys() - {"host"}
    if changed:
        run.announce(
            f"This run goes on under other circumstances than it began ({', '.join(sorted(changed))}; see run.json), "
            "so its numbers may differ in the last digits from those of a run that never stopped."
        )
    run.save_info()


def _budgeted(run: Run, info: RunInfo) -> list[str]:
    """A sentence on what else depends on the budget, if anything does."""
    train, before = run.recipe.train, info.total_steps
    intervals = {
        "sheets": (sheet_interval(train, before), run.timetable.sampler.every),
        "checkpoints": (run.checkpointing.interval(before), run.checkpointing.every),
    }
    if run.evaluations.evaluator.wanted(quick=True):
        intervals["quick evaluations"] = (evaluation_interval(run.recipe.evaluation, before), run.evaluations.every)
    found = [f"{name} are {now} steps apart (were {was})" for name, (was, now) in intervals.items() if was != now]
    chosen = {choice.name for choice in run.recipe.tricks}
    found += [f"trick '{trick.name}' reckons with it" for trick in run.tricks if trick.name in chosen and trick.asks_for("total_steps")]
    return [f"With it change: {'; '.join(found)}."] if found else []


def _resumed_info(old: RunInfo, new: RunInfo) -> RunInfo:
    """run.json of a resumed run: as it was, with a note of the circumstances that it is resumed under."""
    circumstances = ("ganlab", "versions", "device_name", "threads", "host")
    changed = {key: getattr(new, key) for key in circumstances if getattr(old, key) != getattr(new, key)}
    if "distributions" in old.model_fields_set and old.distributions != new.distributions:  # older versions did not note them
        changed["distributions"] = new.distributions
    return old.replaced(
        status="interrupted",
        resumed=[*old.resumed, {"time": time.time(), "changed": changed}],
        failure=None,
        signal=None,
        ended=None,
        pid=new.pid,
        host=new.host,
        boot=new.boot,
        process_started=new.process_started,
    )
