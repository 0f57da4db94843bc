"""A step that fails: what is saved, what is said, and that the run goes on from there, with the trick that raised or without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import RICH, Plugin, StopAt, hooked, lines, resumed, same, trick, weights

import ganlab
from ganlab.errors import GanlabError, PluginError
from ganlab.storage.checkpoint import load
from ganlab.testing import play, prepare

TURNS = ("before_turn", "before_scores", "after_scores", "loss_terms", "before_update")
NORM = [f'{role}={{use="tiny",batch_norm=true,optimizer={{use="adam",lr=0.01}}}}' for role in ("generator", "discriminator")]


class Broken:
    """Raises in one hook of one step, once; it counts the steps, so that it has a state."""

    def __init__(self, hook: str, step: int = 5, role: str = "discriminator") -> None:
        self.hook, self.step, self.role, self.broken, self.seen = hook, step, role, True, 0

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]

    def look(self, hook: str, step: int, role: str = "") -> None:
        if self.broken and (hook, step) == (self.hook, self.step) and role in ("", self.role):
            raise KeyError("lost")

    @ganlab.hookimpl
    def may_play(self, run: Any, turn: ganlab.Turn) -> None:
        self.look("may_play", turn.step, turn.role)

    @ganlab.hookimpl
    def before_turn(self, turn: ganlab.Turn) -> None:
        self.look("before_turn", turn.step, turn.role)

    @ganlab.hookimpl
    def before_scores(self, turn: ganlab.Turn) -> None:
        self.look("before_scores", turn.step, turn.role)

    @ganlab.hookimpl
    def after_scores(self, turn: ganlab.Turn) -> None:
        self.look("after_scores", turn.step, turn.role)

    @ganlab.hookimpl
    def loss_terms(self, turn: ganlab.Turn) -> None:
        self.look("loss_terms", turn.step, turn.role)

    @ganlab.hookimpl
    def before_update(self, turn: ganlab.Turn) -> None:
        self.look("before_update", turn.step, turn.role)

    @ganlab.hookimpl
    def after_update(self, turn: ganlab.Turn) -> None:
        self.look("after_update", turn.step, turn.role)

    @ganlab.hookimpl
    def after_step(self, step: int) -> None:
        self.look("after_step", step)
        self.seen += 1

    @ganlab.hookimpl
    def after_epoch(self, run: Any) -> None:
        self.look("after_epoch", run.step)

    @ganlab.hookimpl
    def on_metrics(self, step: int) -> None:
        self.look("on_metrics", step)

    @ganlab.hookimpl
    def on_images(self, step: int) -> None:
        self.look("on_images", step)

    @ganlab.hookimpl
    def after_checkpoint(self, step: int) -> None:
        self.look("after_checkpoint", step)


OPTIONS: dict[str, Any] = {"steps": 10, "overrides": [*NORM, "train.checkpoint_every=4", "train.log_every=2", trick("gradient_clipping")]}


def breaks(folder: Path, broken: Broken, **changes: Any) -> tuple[PluginError, Path]:
    with pytest.raises(PluginError) as caught:
        play(broken, folder=folder, **(OPTIONS | changes))
    (run,) = folder.iterdir()
    return caught.value, run


def saved(run: Path) -> list[int]:
    return sorted(load(path)["step"] for path in (run / "checkpoints").iterdir())


@pytest.mark.parametrize("hook", ["may_play", *TURNS])
def test_a_step_that_has_updated_nobody_is_undone_and_nothing_is_lost(tmp_path: Path, hook: str) -> None:
    error, path = breaks(tmp_path / "broken", Broken(hook))
    assert error.message == f"Broken, in its hook {hook} in step 5, raised KeyError: 'lost'"
    assert saved(path) == [4]  # which was due anyway
    broken = Broken(hook, step=7)
    error, path = breaks(tmp_path / "later", broken)
    assert "in step 7" in error.message
    assert saved(path) == [4, 6]
    broken.broken = False
    never, run = play(Broken("none"), folder=tmp_path / "never", **OPTIONS), resumed(path, broken)
    assert same(weights(never), weights(run))
    assert lines(never) == lines(run)
    assert load(never.checkpoints()[-1])["tricks"].keys() == {"Broken"}
    assert broken.seen == 10


@pytest.mark.parametrize(("hook", "role"), [("before_scores", "generator"), ("after_update", "discriminator")])
def test_a_step_that_has_updated_someone_leaves_the_last_checkpoint(tmp_path: Path, hook: str, role: str) -> None:
    broken = Broken(hook, step=7, role=role)
    _, path = breaks(tmp_path / "broken", broken)
    assert saved(path) == [4]
    broken.broken = False
    assert same(weights(play(Broken("none"), folder=tmp_path / "never", **OPTIONS)), weights(resumed(path, broken)))


@pytest.mark.parametrize(
    ("hook", "step"), [("after_step", 7), ("on_metrics", 6), ("on_images", 6), ("after_checkpoint", 8), ("after_epoch", 8)]
)
def test_a_step_whose_turns_are_over_is_finished_by_the_others_and_saved(tmp_path: Path, hook: str, step: int) -> None:
    seen: list[tuple[str, int]] = []
    others = hooked(
        after_step=lambda step: seen.append(("after_step", step)),
        on_metrics=lambda step: seen.append(("on_metrics", step)),
        after_epoch=lambda run: seen.append(("after_epoch", run.step)),
    )
    overrides = [*OPTIONS["overrides"], "train.sample_every=6"]
    with pytest.raises(PluginError, match=f"Broken, in its hook {hook} in step {step}, raised KeyError: 'lost'"):
        play(Broken(hook, step=step), others, steps=10, overrides=overrides, folder=tmp_path / "broken")
    (path,) = (tmp_path / "broken").iterdir()
    assert saved(path)[-1] == step
    assert (hook, step) in seen or hook not in ("after_step", "on_metrics", "after_epoch")
    never = play(Broken("none"), folder=tmp_path / "never", steps=10, overrides=overrides)
    run = resumed(path, Broken("none"))
    assert same(weights(never), weights(run))
    assert [line["metrics"] for line in lines(never)] == [line["metrics"] for line in lines(run)]


def test_the_first_step_has_nothing_to_save(tmp_path: Path) -> None:
    _, path = breaks(tmp_path, Broken("after_scores", step=1))
    assert saved(path) == []


def test_a_simultaneous_group_is_undone_too(tmp_path: Path) -> None:
    overrides = [*OPTIONS["overrides"], "schedule.order=simultaneous"]
    broken = Broken("before_update", step=7, role="generator")
    _, path = breaks(tmp_path / "broken", broken, overrides=overrides)
    assert saved(path) == [4, 6]
    broken.broken = False
    never = play(Broken("none"), folder=tmp_path / "never", steps=10, overrides=overrides)
    assert same(weights(never), weights(resumed(path, broken)))


def test_values_that_have_been_added_up_cannot_be_taken_back(tmp_path: Path) -> None:
    def much(run: Any, turn: ganlab.Turn) -> None:
        for _ in range(300 if turn.step == 7 else 1):
            run.record("mine/value", 1.0)

    with pytest.raises(PluginError):
        play(hooked(before_turn=much), Broken("loss_terms", step=7), folder=tmp_path, **OPTIONS)
    assert saved(next(tmp_path.iterdir())) == [4]


def test_what_cannot_be_saved_is_told_and_hides_nothing(tmp_path: Path) -> None:
    class Unsaved(Broken):
        def state_dict(self) -> dict[str, Any]:
            raise RuntimeError("no state") if self.seen == 6 else 0
            return {}

    told: list[str] = []
    run = prepare(Unsaved("before_turn", step=7), folder=tmp_path, **(OPTIONS | {"overrides": ["train.checkpoint_every=99"]}))
    run.tell = told.append
    from ganlab.runs.training import execute

    with pytest.raises(PluginError, match="lost"):
        execute(run)
    (text,) = told
    assert text.startswith("No checkpoint of step 6 could be saved: Unsaved, in its state_dict, raised RuntimeError: no state")


def test_a_run_without_a_folder_fails_as_ever() -> None:
    with pytest.raises(PluginError, match="lost"):
        play(Broken("before_turn"), **OPTIONS)


def test_the_error_knows_the_name_of_the_trick() -> None:
    class Raising:
        @ganlab.hookimpl
        def before_update(self) -> None:
            raise KeyError("lost")

    with pytest.raises(PluginError) as caught:
        play(overrides=['tricks.mine={use="raising"}'], plugins=[Plugin(tricks={"raising": Raising})])
    assert caught.value.trick == "mine"
    assert caught.value.message.startswith("trick 'raising' named 'mine' (plugin plugin0, the test), in its hook before_update in step 1, ")


def test_a_checkpoint_is_restored_without_one_of_its_tricks_or_with_another(tmp_path: Path) -> None:
    adaptive = trick("adaptive_generator_steps")
    run = play(StopAt(4), steps=8, overrides=[*RICH, adaptive], folder=tmp_path)
    path = run.checkpoints()[-1]
    without = prepare(steps=8, overrides=list(RICH))
    with pytest.raises(GanlabError, match="has the state of other tricks than this recipe"):
        without.restore(path)
    without.restore(path, other_tricks=True)
    assert without.step == 4
    assert same(weights(run), weights(without))
    with_it = prepare(Broken("none"), steps=8, overrides=[*RICH, adaptive])
    with_it.restore(path, other_tricks=True)
    assert with_it.step == 4
    assert with_it.tricks[0].instance.losses == run.tricks[0].instance.losses != {}  # type: ignore[attr-defined]
    assert with_it.tricks[1].instance.seen == 0  # type: ignore[attr-defined]


def test_undoing_a_step_takes_back_what_its_passes_have_moved(tmp_path: Path) -> None:
    """What the state holds after it is what it would have been had the run ended a step earlier."""
    _, broken = breaks(tmp_path / "broken", Broken("before_update", step=7))
    ended = play(StopAt(6), Broken("none"), folder=tmp_path / "ended", **OPTIONS)
    first, second = load(broken / "checkpoints/step_000000006.safetensors"), load(ended.checkpoints()[-1])
    assert _flat(first) == _flat(second)


def _flat(state: Any, path: str = "") -> dict[str, Any]:
    if isinstance(state, dict):
        return {name: value for key, item in state.items() for name, value in _flat(item, f"{path}/{key}").items()}
    if isinstance(state, list | tuple):
        return {name: value for i, item in enumerate(state) for name, value in _flat(item, f"{path}/{i}").items()}
    return {path: state.tolist() if isinstance(state, torch.Tensor) else state}
