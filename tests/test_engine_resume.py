"""Resuming equals never having stopped, bit for bit; and what cannot be resumed says why."""

from __future__ import annotations

import doctest
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import RICH, Capture, Plugin, StopAt, lines, reopened, resumed, same, trick, weights

import ganlab
from ganlab.errors import GanlabError, UsageError
from ganlab.recipe import differences
from ganlab.recipe.differences import describe_changes
from ganlab.runs.checkpoint_content import NAMES
from ganlab.runs.run import Run
from ganlab.runs.state import state_of
from ganlab.runs.training import execute
from ganlab.storage import checkpoint
from ganlab.testing import play, prepare

#: Every kind of state at once: dropout, batch normalization, two optimizers, four tricks with a memory, an epoch of 8 steps.
EVERYTHING = [
    *RICH,
    "train.log_every=5",
    "train.checkpoint_every=6",
    "schedule.discriminator_turn=two_updates",
    trick("clamp"),
    trick("adaptive_generator_steps", rest_per_loss=1.0, generator_loss_below=0.7, max_updates=3),
    trick("spectral_normalization"),
    trick("r1_penalty", every=3),
    trick("restore_on_read_error"),
]
STEPS = 21


def whole(folder: Path, overrides: list[str], steps: int = STEPS, **options: Any) -> tuple[Run, Capture]:
    capture = Capture()
    return play(capture, steps=steps, overrides=overrides, folder=folder, **options), capture


def files(run: Run) -> dict[str, bytes]:
    found = [run.path / "generator.safetensors", *run.checkpoints(), *sorted((run.path / "samples").iterdir())]
    return {path.name: path.read_bytes() for path in found}


@pytest.mark.parametrize("stop", [1, 4, 5, 6, 8, 13, 20])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(stop: int, tmp_path: Path) -> None:
    """Also in the middle of a logging interval and of an epoch."""
    never, all_of_it = whole(tmp_path / "never", EVERYTHING)
    stopped = play(StopAt(stop), steps=STEPS, overrides=EVERYTHING, folder=tmp_path / "stopped")
    assert (stopped.info["status"], stopped.step) == ("interrupted", stop)
    capture = Capture()
    run = resumed(stopped.path, capture)
    assert same(weights(never), weights(run))
    assert lines(never) == lines(run)
    assert never.counters == run.counters
    assert capture.epochs == [epoch for epoch in all_of_it.epochs if 8 * epoch[0] > stop]
    assert files(never)["generator.safetensors"] == files(run)["generator.safetensors"]
    last = "step_000000021.safetensors"
    assert files(never)[last] == files(run)[last]  # states and their order too
    assert {name: data for name, data in files(run).items() if name.endswith("png")}.keys() == {
        name for name in files(never) if name.endswith("png")
    }
    assert run.info["status"] == "finished"
    assert len(run.info["resumed"]) == 1


def test_a_run_may_be_stopped_again_and_again(tmp_path: Path) -> None:
    never, _ = whole(tmp_path / "never", EVERYTHING)
    run = play(StopAt(2), steps=STEPS, overrides=EVERYTHING, folder=tmp_path / "stopped")
    for stop in (3, 7, 8, 16, 99):
        run = resumed(run.path, StopAt(stop))
    assert run.info["status"] == "finished"
    assert same(weights(never), weights(run))
    assert lines(never) == lines(run)
    assert len(run.info["resumed"]) == 5


class Die:
    """The machine goes off: no last checkpoint, no farewell."""

    def __init__(self, step: int) -> None:
        self.step = step

    @ganlab.hookimpl
    def after_step(self, step: int) -> None:
        if step == self.step:
            raise KeyboardInterrupt


def test_a_run_that_died_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    never, _ = whole(tmp_path / "never", EVERYTHING)
    with pytest.raises(KeyboardInterrupt):
        play(Die(17), steps=STEPS, overrides=EVERYTHING, folder=tmp_path / "died")
    (path,) = (tmp_path / "died").iterdir()
    assert json.loads((path / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 16  # an epoch's means
    with open(path / "metrics.jsonl", "a") as file:
        file.write('{"step": 16, "met')
    run = reopened(path)
    assert run.resumed_from == 12
    execute(run)
    assert same(weights(never), weights(run))
    assert lines(never) == lines(run)


@pytest.mark.parametrize(
    "optimizer", ["adam,epsilon_hat=true,decay=0.1", "adamw,amsgrad=true", "sgd,momentum=0.9", "adagrad", "rmsprop,centered=true"]
)
def test_every_optimizer_goes_on_where_it_was(optimizer: str, tmp_path: Path) -> None:
    name, _, options = optimizer.partition(",")
    overrides = [f'{role}.optimizer={{use="{name}"{"," + options if options else ""}}}' for role in ("generator", "discriminator")]
    never, _ = whole(tmp_path / "never", overrides, steps=7)
    stopped = play(StopAt(3), steps=7, overrides=overrides, folder=tmp_path / "stopped")
    assert same(weights(never), weights(resumed(stopped.path)))


@pytest.mark.parametrize(
    "more", ["train.dtype=float64", "schedule.order=simultaneous", 'loss={use="relativistic_bce"}', "schedule.noise=per_step"]
)
def test_other_recipes_resume_as_exactly(more: str, tmp_path: Path) -> None:
    overrides = [line for line in RICH if not (more.startswith("loss") and line.startswith("loss"))] + [more]
    never, _ = whole(tmp_path / "never", overrides, steps=11)
    stopped = play(StopAt(6), steps=11, overrides=overrides, folder=tmp_path / "stopped")
    run = resumed(stopped.path)
    assert same(weights(never), weights(run))
    assert lines(never) == lines(run)


def test_restoring_copies_into_the_tensors_that_are_there(tmp_path: Path) -> None:
    run = play(steps=4, overrides=["train.checkpoint_every=2"], folder=tmp_path)
    parameters = {role: [id(p) for p in player.network.parameters()] for role, player in run.players.items()}
    run.restore(run.checkpoints()[0])
    for role, player in run.players.items():
        assert [id(p) for p in player.network.parameters()] == parameters[role]
        assert [id(p) for p in player.optimizer.param_groups[0]["params"]] == parameters[role]


# -- what is told, and what is refused -------------------------------------------------------------------------------------


def interrupted(folder: Path, *overrides: str, **options: Any) -> Path:
    return play(StopAt(2), steps=6, overrides=overrides, folder=folder, **options).path


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(GanlabError) as caught:
        reopened(path, **options)
    return str(caught.value)


def test_a_finished_run_is_not_resumed(tmp_path: Path) -> None:
    path = play(steps=2, folder=tmp_path).path
    expected = (
        f"run {path.name} is finished\nto train it longer: `ganlab resume {path} --set train.steps=4`\n"
        f"to start a new run with its networks: `ganlab run {path}/recipe.toml --set train.init_from={path}`"
    )
    assert refused(path) == expected
    assert refused(path) == expected  # and no lock is left behind


@pytest.mark.parametrize("begin", [interrupted, lambda folder: play(steps=2, folder=folder).path])
def test_a_run_without_a_checkpoint_is_not_resumed(begin: Callable[[Path], Path], tmp_path: Path) -> None:
    path = begin(tmp_path)
    shutil.rmtree(path / "checkpoints")
    assert refused(path) == f"run {path.name} has no checkpoint to resume from\nto train it again: `ganlab run {path / 'recipe.toml'}`"


def test_damaged_checkpoints_are_skipped_and_named(tmp_path: Path) -> None:
    path = interrupted(tmp_path, "train.checkpoint_every=1")
    never = play(steps=6, overrides=["train.checkpoint_every=1"], folder=tmp_path / "never")
    first, last = (path / "checkpoints" / f"step_00000000{step}.safetensors" for step in (1, 2))
    last.write_bytes(last.read_bytes()[:-3])
    run = reopened(path)
    assert run.resumed_from == 1
    (told,) = run.info["announcements"]
    assert told.startswith(f"checkpoint {last} is damaged: ")
    assert told.endswith(f". It is skipped; {first.name} is used.")
    assert not last.exists()  # it goes, as all goes that came after
    execute(run)
    assert same(weights(run), weights(never))


def test_a_run_whose_checkpoints_are_all_damaged_is_not_resumed(tmp_path: Path) -> None:
    path = interrupted(tmp_path, "train.checkpoint_every=1")
    for file in (path / "checkpoints").iterdir():
        file.write_bytes(b"")
    text = refused(path)
    assert text.startswith(f"run {path.name} has no checkpoint that can be read: checkpoint {path / 'checkpoints' / 'step_000000002'}")
    assert text.count("is damaged: ") == 2
    assert text.endswith(f"\nto train it again: `ganlab run {path / 'recipe.toml'}`")


#: The data are in [0, 1]: something is announced, and so written down, whenever a run with it is built.
TANH = 'generator={use="mlp",output_activation="tanh",optimizer={use="adam"}}'


def unit(spec: ganlab.DatasetSpec) -> ganlab.ResidentDataset:
    return ganlab.ResidentDataset(torch.rand(16, 2, generator=torch.Generator().manual_seed(1)), range=(0.0, 1.0))


def test_a_run_that_cannot_be_put_back_keeps_its_record(tmp_path: Path) -> None:
    plugins = (Plugin(datasets={"unit": unit}),)
    path = interrupted(tmp_path, 'data={use="unit"}', TANH, plugins=plugins)
    before = (path / "run.json").read_bytes()
    (file,) = (path / "checkpoints").iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    refused(path, plugins=plugins)
    assert (path / "run.json").read_bytes() == before


def test_changed_data_are_refused_and_the_runs_record_is_left_as_it_was(tmp_path: Path) -> None:
    shift = [0.0]

    def moving(spec: ganlab.DatasetSpec) -> ganlab.ResidentDataset:
        data = torch.rand(16, 2, generator=torch.Generator().manual_seed(1)) + shift[0]
        return ganlab.ResidentDataset(data, range=(0.0, 1.0))

    plugins = (Plugin(datasets={"moving": moving}),)
    path = interrupted(tmp_path, 'data={use="moving"}', TANH, plugins=plugins)
    before = json.loads((path / "run.json").read_text())
    assert len(before["announcements"]) == 1
    shift[0] = 1.0
    assert refused(path, plugins=plugins) == (
        f"the data of run {path.name} have changed since it started\nrestore them; a resumed run must see the same data"
    )
    assert json.loads((path / "run.json").read_text()) == before
    shift[0] = 0.0
    run = resumed(path, plugins=plugins)
    assert run.info["announcements"] == before["announcements"]
    assert run.info["created"] == before["created"]
    assert json.loads((path / "run.json").read_text())["counters"]["step"] == 6


def test_other_circumstances_are_announced(tmp_path: Path) -> None:
    path = interrupted(tmp_path)
    info = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(info | {"threads": info["threads"] + 3, "device_name": "abacus"}))
    run = reopened(path)
    assert run.info["announcements"] == [
        "This run is resumed under other circumstances than it started under (device_name, threads; see run.json), "
        "so its numbers may differ in the last digits from those of an uninterrupted run."
    ]
    assert run.info["resumed"][0]["changed"].keys() == {"device_name", "threads"}


@pytest.mark.parametrize(("noted", "changed"), [({}, set()), ({"numpy": "1.0"}, {"versions"}), ({"gone": "1.0"}, {"versions"})])
def test_versions_count_where_the_run_has_noted_them(noted: dict[str, str], changed: set[str], tmp_path: Path) -> None:
    """Versions before 0.2 noted six packages only."""
    path = interrupted(tmp_path)
    info = json.loads((path / "run.json").read_text())
    del info["versions"]["pillow"]
    info["versions"] |= noted
    (path / "run.json").write_text(json.dumps(info))
    assert reopened(path).info["resumed"][0]["changed"].keys() == changed


def test_a_changed_recipe_must_be_asked_for(tmp_path: Path) -> None:
    path = interrupted(tmp_path, "train.log_every=3")
    recipe = path / "recipe.toml"
    text = recipe.read_text()
    recipe.write_text(text.replace("steps = 6\n", "steps = 9\n").replace("log_every = 3\n", "log_every = 1\n"))
    assert refused(path) == (
        f"{recipe} is not the recipe that run {path.name} was trained with up to step_000000002: "
        "train.steps = 9 (was 6); train.log_every = 1 (was 3)\n"
        f"restore it, or resume with it as it is now: `ganlab resume {path} --changed`"
    )
    run = reopened(path, changed=True)
    assert run.info["announcements"] == [
        "From step 2 on this run uses a changed recipe: train.log_every = 1 (was 3).",
        "The budget is now 9 steps (it was 6).",
    ]
    assert execute(run) == "finished"
    assert run.step == 9
    assert same(weights(whole(tmp_path / "never", ["train.log_every=1"], steps=9)[0]), weights(run))


def test_the_order_of_the_tricks_belongs_to_the_recipe() -> None:
    assert describe_changes({"a": 1, "b": 2}, {"b": 2, "a": 1}) == {"tricks": "the order of the tricks"}
    assert describe_changes({"a": 1, "b": 2}, {"a": 1, "b": 2}) == {}
    assert describe_changes({"a": 1}, {"a": 1.0}) == {"a": "a = 1.0 (was 1)"}
    assert doctest.testmod(differences).failed == 0


def test_a_checkpoint_keeps_no_password(tmp_path: Path) -> None:
    run = prepare(overrides=['tracking={use="mlflow",uri="http://me:secret@host"}'], folder=tmp_path)
    assert "secret" not in str(state_of(run.game, run.written.journal, run.checkpointing.best))


def test_a_record_that_lost_a_line_is_told(tmp_path: Path) -> None:
    path = interrupted(tmp_path)
    file = path / "metrics.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))
    (told,) = reopened(path).info["announcements"]
    assert told == (
        f"{file} is not what this run wrote up to step 2: lines are missing or damaged. Training does not read them "
        "and is not affected, but that part of the record is lost."
    )


def test_a_run_that_was_killed_before_it_pruned_catches_up(tmp_path: Path) -> None:
    path = play(StopAt(4), steps=6, overrides=["train.checkpoint_every=1", "train.keep_checkpoints=2"], folder=tmp_path).path
    last = path / "checkpoints" / "step_000000004.safetensors"
    shutil.copy(last, last.with_name("step_000000002.safetensors"))
    info = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(info | {"last_checkpoint": "checkpoints/step_000000003.safetensors"}))
    halves = [path / ".run.json.part", last.with_name(".step_000000005.safetensors.part")]
    for half in halves:
        half.write_text("half")
    run = reopened(path)
    assert [file.name for file in run.checkpoints()] == ["step_000000003.safetensors", "step_000000004.safetensors"]
    assert run.info["last_checkpoint"] == "checkpoints/step_000000004.safetensors"
    assert [half for half in halves if half.exists()] == []


def test_training_seconds_add_up(tmp_path: Path) -> None:
    path = interrupted(tmp_path)
    info = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(info | {"training_seconds": 1000.0}))
    assert 1000 < resumed(path).timetable.clock.seconds < 1100


# -- init_from -------------------------------------------------------------------------------------------------------------


def test_init_from_takes_another_runs_weights_and_nothing_else(tmp_path: Path) -> None:
    source, _ = whole(tmp_path / "a", list(RICH), steps=5)
    for place in (source.path, source.checkpoints()[-1]):
        run = prepare(overrides=[*RICH, f"train.init_from={place}", "train.seed=5"], folder=tmp_path / "b")
        assert same(weights(source), weights(run))
        assert (run.step, run.counters["generator_updates"], run.players["generator"].optimizer.state_dict()["state"]) == (0, 0, {})
        assert run.info["init_from"] == str(source.checkpoints()[-1])
    execute(run)
    assert not same(weights(source), weights(run))


def test_a_resumed_run_no_longer_needs_what_it_was_initialised_from(tmp_path: Path) -> None:
    source, _ = whole(tmp_path / "a", [], steps=3)
    stopped = play(StopAt(2), steps=6, overrides=[f"train.init_from={source.path}"], folder=tmp_path / "b")
    never = play(steps=6, overrides=[f"train.init_from={source.path}"], folder=tmp_path / "c")
    shutil.rmtree(source.path)
    run = resumed(stopped.path)
    assert same(weights(never), weights(run))
    assert run.info["init_from"] == never.info["init_from"]


def test_init_from_what_does_not_fit_is_refused_and_leaves_no_folder(tmp_path: Path) -> None:
    source, _ = whole(tmp_path / "a", [], steps=2)
    empty = play(StopAt(1), steps=3, folder=tmp_path / "e").path
    shutil.rmtree(empty / "checkpoints")
    other = 'generator={use="mlp",hidden=[4],optimizer={use="sgd"}}'

    def fails(*overrides: str) -> str:
        with pytest.raises(UsageError) as caught:
            prepare(overrides=overrides, folder=tmp_path / "b")
        assert list((tmp_path / "b").iterdir()) == []
        return str(caught.value)

    assert fails("train.init_from=nowhere") == (
        "train.init_from = 'nowhere': there is no such file or folder\nname a run's folder or a checkpoint file; `ganlab runs` lists runs"
    )
    expected = f"train.init_from = '{empty}': the run has no checkpoint\nname a run's folder or a checkpoint file"
    assert fails(f"train.init_from={empty}") == expected
    text = fails(f"train.init_from={source.path}", other)
    assert text.startswith(
        f"train.init_from: the generator of {source.checkpoints()[-1]} is another network than the recipe's: Missing key(s)"
    )


def test_a_checkpoint_has_every_part(tmp_path: Path) -> None:
    run = play(steps=1, folder=tmp_path)
    assert tuple(checkpoint.load(run.checkpoints()[-1])) == NAMES
