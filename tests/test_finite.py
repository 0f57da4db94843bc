"""Numbers that are not finite: kept away from the weights in the turn they come up in, reported with their cause, and acted upon."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import RICH, Capture, Plugin, StopAt, hooked, lines, reopened, resumed, same, trick, weights
from torch import Tensor

import ganlab
from ganlab.errors import NonFiniteError, PluginError
from ganlab.game.guard import Guard
from ganlab.runs.run import Run
from ganlab.runs.training import execute
from ganlab.storage.checkpoint import load
from ganlab.testing import TinyLoss, TinyNetwork, play, prepare, tiny_data

HELP = "\ntry a lower learning rate, or the tricks clamp and gradient_clipping"
STOP = HELP + '; with train.non_finite = "skip" or "rollback", training continues'
SKIP, ROLLBACK = "train.non_finite=skip", "train.non_finite=rollback"


class Spoil:
    """Makes a player's turn not finite at these steps, so often, in one of the hooks in which a trick may do so."""

    def __init__(self, *steps: int, times: int = 1, role: str = "generator", where: str = "loss_terms") -> None:
        self.left, self.role, self.where = dict.fromkeys(steps, times), role, where
        self.rates: list[tuple[int, float, float]] = []

    def due(self, turn: ganlab.Turn, where: str) -> bool:
        due = turn.role == self.role and where == self.where and self.left.get(turn.step, 0) > 0
        self.left[turn.step] = self.left.get(turn.step, 0) - due
        return due

    @ganlab.hookimpl
    def before_scores(self, turn: ganlab.Turn) -> None:
        if self.due(turn, "before_scores"):
            assert turn.fake is not None
            turn.fake = turn.fake * math.inf

    @ganlab.hookimpl
    def after_scores(self, turn: ganlab.Turn) -> None:
        if self.due(turn, "after_scores"):
            assert turn.fake_scores is not None
            turn.fake_scores = turn.fake_scores * math.nan
        if self.due(turn, "in_place"):
            assert turn.fake_scores is not None
            turn.fake_scores.mul_(math.nan)

    @ganlab.hookimpl
    def loss_terms(self, turn: ganlab.Turn) -> None:
        if self.due(turn, "loss_terms"):
            turn.loss_terms["adversarial"] = turn.loss_terms["adversarial"] * math.nan
        if self.due(turn, "new_term"):
            turn.loss_terms["mine"] = turn.loss_terms["adversarial"] * math.inf

    @ganlab.hookimpl
    def before_update(self, turn: ganlab.Turn) -> None:
        if self.due(turn, "before_update"):
            gradient = turn.player.parameters[0].grad
            assert gradient is not None
            gradient.data[0, 0] = math.inf

    @ganlab.hookimpl
    def after_step(self, run: Run, step: int) -> None:
        rates = [run.players[role].optimizer.param_groups[0]["lr"] for role in ("generator", "discriminator")]  # type: ignore[index]
        self.rates.append((step, *rates))


def fails(folder: Path | None, *tricks: object, steps: int = 10, overrides: tuple[str, ...] = (), **options: Any) -> str:
    given = ["train.checkpoint_every=3", "train.log_every=2", "train.keep_checkpoints=9", *overrides]
    with pytest.raises(NonFiniteError) as caught:
        play(*tricks, steps=steps, overrides=given, folder=folder, **options)
    return str(caught.value)


def goes_on(folder: Path, *tricks: object, overrides: tuple[str, ...] = (), **options: Any) -> Run:
    return play(*tricks, steps=10, overrides=["train.checkpoint_every=3", "train.log_every=2", *overrides], folder=folder, **options)


def saved(folder: Path) -> list[int]:
    """The steps of the checkpoints of the one run in a folder."""
    (run,) = folder.iterdir()
    return sorted(load(path)["step"] for path in (run / "checkpoints").iterdir())


# -- the report ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "what"),
    [
        (
            "before_scores",
            "loss term 'adversarial' is nan in step 7: Spoil, in its hook before_scores, has changed turn.fake",
        ),
        (
            "after_scores",
            "loss term 'adversarial' is nan in step 7: Spoil, in its hook after_scores, has changed turn.fake_scores",
        ),
        ("in_place", "loss term 'adversarial' is nan in step 7: Spoil, in its hook after_scores, has changed turn.fake_scores"),
        (
            "loss_terms",
            "loss term 'adversarial' is nan in step 7: Spoil, in its hook loss_terms, has changed the loss term 'adversarial'",
        ),
        ("new_term", "loss term 'mine' is inf in step 7: Spoil, in its hook loss_terms, has changed the loss term 'mine'"),
        (
            "before_update",
            "gradient is not finite in step 7: Spoil, in its hook before_update, has changed the gradients",
        ),
    ],
)
def test_the_report_names_term_player_hook_and_step(where: str, what: str) -> None:
    quiet = hooked(after_scores=lambda turn: None, loss_terms=lambda turn: None, before_update=lambda turn: None)
    assert fails(None, quiet, Spoil(7, where=where), quiet) == f"the generator's {what}{STOP}"


def test_of_two_tricks_the_first_that_did_it_is_named() -> None:
    class Later(Spoil):
        pass

    text = fails(None, Spoil(4, where="after_scores"), Later(4, where="after_scores"), trick_list := Later(4, where="before_update"))
    assert "Spoil, in its hook after_scores" in text
    assert trick_list.left[4] == 0
    text = fails(None, Later(4, where="before_update"), Spoil(4, where="before_update"))
    assert "Later, in its hook before_update" in text


def test_a_trick_that_works_on_what_was_spoilt_before_is_not_blamed() -> None:
    class Spoilt(TinyNetwork):
        def forward(self, x: Tensor) -> Tensor:
            self.calls = getattr(self, "calls", 0) + 1
            return super().forward(x) * (math.nan if self.calls == 7 else 1.0)

    options: dict[str, Any] = {"plugins": [Plugin(networks={"spoilt": Spoilt})]}
    where = 'discriminator={use="spoilt",optimizer={use="tiny"}}', trick("clamp"), trick("gradient_clipping")
    text = fails(None, overrides=where, **options)
    assert text == (
        "the discriminator's loss term 'real' is nan in step 3: turn.real_scores was not finite, before any trick could change it" + STOP
    )


def test_data_that_are_not_finite_are_named() -> None:
    def torn(spec: ganlab.DatasetSpec) -> ganlab.ResidentDataset:
        data = tiny_data(spec)
        data.images[:] = math.inf
        return data

    text = fails(None, overrides=('data={use="torn"}',), plugins=[Plugin(datasets={"torn": torn})])
    assert text.startswith("the discriminator's loss term 'real' is ")
    assert "in step 1: turn.real was not finite, before any trick could change it\n" in text


def test_a_gradient_that_is_not_finite_where_the_loss_is() -> None:
    class Root(TinyLoss):
        def generator(self, turn: ganlab.Turn) -> Tensor:
            assert turn.fake_scores is not None
            return (turn.fake_scores * 0).abs().sqrt().mean(0)  # 0, with a slope of infinity

    text = fails(None, overrides=('loss={use="root"}',), plugins=[Plugin(losses={"root": Root})])
    assert text == "the generator's gradient is not finite in step 1" + STOP


def test_a_sum_of_finite_terms_that_is_not_finite() -> None:
    def huge(turn: ganlab.Turn) -> None:
        if turn.role == "generator":
            assert turn.fake_scores is not None
            turn.loss_terms = {name: turn.fake_scores.mean() * 0 + 3e38 for name in "ab"}

    assert fails(None, hooked(loss_terms=huge)) == f"the generator's loss, the sum of a, b, is inf in step 1{STOP}"


def test_a_repeat_is_named() -> None:
    def spoil(turn: ganlab.Turn) -> None:
        if turn.repeat == 2:
            turn.loss_terms["adversarial"] = turn.loss_terms["adversarial"] * math.inf

    again = hooked(play_again=lambda turn: turn.role == "generator" and turn.repeat < 3, loss_terms=spoil)
    assert "the generator's loss term 'adversarial' is inf in step 1, repeat 2: Mine, in its hook" in fails(None, again)


# -- stop ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["after_scores", "loss_terms", "before_update"])
@pytest.mark.parametrize("order", ["discriminator_first", "generator_first", "simultaneous"])
@pytest.mark.parametrize("role", ["generator", "discriminator"])
def test_no_update_reaches_the_weights_from_then_on(tmp_path: Path, role: str, order: str, where: str) -> None:
    spoil = Spoil(5, role=role, where=where if where != "loss_terms" or role == "generator" else "after_scores")
    seen: dict[int, list[dict[str, Tensor]]] = {}
    watch = hooked(after_update=lambda run, turn: seen.setdefault(turn.step, []).append(weights(run)))
    fails(tmp_path, spoil, watch, overrides=(f"schedule.order={order}",))
    assert saved(tmp_path) == [3, 5]
    (run,) = tmp_path.iterdir()
    state = load(run / "checkpoints/step_000000005.safetensors")
    kept = {f"{player}.{name}": value for player in ("generator", "discriminator") for name, value in state[player]["network"].items()}
    second = (role == "generator") == (order == "discriminator_first") and order != "simultaneous"
    second = second or (order == "simultaneous" and len(seen[5]) == 2 and not same(seen[5][0], seen[4][-1]))
    assert same(kept, seen[5][0] if second else seen[4][-1])
    assert all(value.isfinite().all() for value in kept.values())


def test_the_run_that_stopped_is_saved_and_goes_on(tmp_path: Path) -> None:
    text = fails(tmp_path, Spoil(8))
    assert text.startswith("the generator's loss term 'adversarial' is nan in step 8: ")
    (path,) = tmp_path.iterdir()
    info = json.loads((path / "run.json").read_text())
    assert (info["status"], info["last_checkpoint"]) == ("failed", "checkpoints/step_000000008.safetensors")
    assert info["failure"].startswith("NonFiniteError: the generator's loss term 'adversarial' is nan in step 8")
    assert info["counters"]["generator_updates"] == 7
    run = resumed(path)
    assert (run.step, run.info["status"], run.players["generator"].updates) == (10, "finished", 9)
    assert [line["step"] for line in lines(run) if "loss/generator" in line["metrics"]] == [2, 4, 6, 8, 10]
    assert all(value is not None for line in lines(run)[-1:] for value in line["metrics"].values())


@pytest.mark.parametrize("role", ["generator", "discriminator"])
@pytest.mark.parametrize("order", ["discriminator_first", "simultaneous"])
def test_running_statistics_are_put_back_as_they_were_before_the_turn(tmp_path: Path, order: str, role: str) -> None:
    norm = [f'{name}={{use="tiny",batch_norm=true,optimizer={{use="tiny"}}}}' for name in ("generator", "discriminator")]
    fails(tmp_path, Spoil(5, role=role, where="before_scores"), overrides=(*norm, f"schedule.order={order}"))
    assert saved(tmp_path) == [3, 5]
    run = resumed(next(tmp_path.iterdir()))
    assert run.info["status"] == "finished"
    assert all(value.isfinite().all() for value in weights(run).values())


def test_weights_that_an_update_of_finite_gradients_has_spoilt_are_not_saved(tmp_path: Path) -> None:
    def overflow(run: Run, turn: ganlab.Turn) -> None:
        if turn.step == 5 and turn.role == "generator":
            with torch.no_grad():
                turn.player.parameters[0].fill_(math.inf)

    told: list[str] = []
    run = prepare(hooked(after_update=overflow), steps=9, overrides=["train.checkpoint_every=3"], folder=tmp_path)
    run.tell = told.append
    with pytest.raises(NonFiniteError, match=r"the discriminator's loss term 'fake' is nan in step 6: turn\.fake was not finite"):
        execute(run)
    assert saved(tmp_path) == [3]
    assert told == [
        "No checkpoint of step 6 could be saved: the generator's weights are not finite at step 6",
    ]


def test_a_running_statistic_that_is_not_a_number_is_not_saved(tmp_path: Path) -> None:
    def spoil(run: Run, step: int) -> None:
        if step == 5:
            dict(run.players["generator"].network.named_buffers())["before.0.running_mean"].fill_(math.nan)

    norm = 'generator={use="tiny",batch_norm=true,optimizer={use="tiny"}}'
    text = fails(tmp_path, hooked(after_step=spoil), overrides=(norm,))
    assert text == f"the generator's 'before.0.running_mean', a running statistic, is not a number at step 6{HELP}"
    assert saved(tmp_path) == [3]


# -- skip ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("use", ["adam", "adamw", "sgd", "adagrad", "rmsprop"])
def test_a_skipped_update_leaves_weights_and_optimizer_state_alone(tmp_path: Path, use: str) -> None:
    states: list[Any] = []

    def look(run: Run, turn: ganlab.Turn) -> None:
        if turn.role == "generator":
            state = run.players["generator"].optimizer_state()["state"]
            states.append({"weights": weights(run), "state": {str(key): dict(value) for key, value in state.items()}})
            for value in states[-1]["state"].values():
                value |= {name: part.clone() for name, part in value.items() if isinstance(part, Tensor)}

    optimizer = f'generator={{use="tiny",optimizer={{use="{use}",lr=0.01}}}}'
    goes_on(tmp_path, Spoil(5), hooked(after_update=look), overrides=(SKIP, optimizer))
    before, after, next_one = states[3], states[4], states[5]
    mine = [name for name in before["weights"] if name.startswith("generator")]
    assert all(before["weights"][name].equal(after["weights"][name]) for name in mine)
    assert not all(after["weights"][name].equal(next_one["weights"][name]) for name in mine)
    for key, state in before["state"].items():
        assert all(torch.equal(torch.as_tensor(value), torch.as_tensor(after["state"][key][name])) for name, value in state.items())


def test_skipped_updates_are_counted_and_told_of_once(tmp_path: Path) -> None:
    run = goes_on(tmp_path, Spoil(5, 8), overrides=(SKIP,))
    assert run.counters["generator_updates"] == 8
    assert run.info["announcements"] == [
        "the generator's loss term 'adversarial' is nan in step 5: Spoil, in its hook loss_terms, has changed the loss term 'adversarial'. "
        "This update is skipped. Up to 10 updates that are not finite are skipped (train.non_finite_most); "
        "skipped/generator counts them."
    ]
    logged = [line["metrics"] for line in lines(run) if "loss/generator" in line["metrics"]]
    assert [metrics["skipped/generator"] for metrics in logged] == [0, 0, 1, 1, 0]
    assert [metrics["skipped/discriminator"] for metrics in logged] == [0, 0, 0, 0, 0]
    assert all(math.isfinite(metrics["loss/generator"]) for metrics in logged)  # each interval has another, finite turn


def test_it_skips_no_more_than_it_is_told(tmp_path: Path) -> None:
    text = fails(tmp_path, Spoil(*range(4, 10)), overrides=(SKIP, "train.non_finite_most=3"))
    assert "is nan in step 7: " in text
    assert text.endswith(f" (3 updates were skipped already: train.non_finite_most){HELP}")
    assert saved(tmp_path) == [3, 6, 7]


def test_a_resumed_run_has_skipped_as_one_that_was_never_stopped(tmp_path: Path) -> None:
    class Always:
        """At a fixed step: what a trick without state may do, and be resumed."""

        @ganlab.hookimpl
        def loss_terms(self, turn: ganlab.Turn) -> None:
            if turn.step in (4, 6, 9) and turn.role == "generator":
                turn.loss_terms["adversarial"] = turn.loss_terms["adversarial"] * math.nan

    norm = 'discriminator={use="tiny",batch_norm=true,optimizer={use="adam",lr=0.01}}'
    options: dict[str, Any] = {"steps": 12, "overrides": [SKIP, norm, "train.log_every=4", "train.non_finite_most=3"]}
    never = play(Always(), folder=tmp_path / "never", **options)
    stopped = play(Always(), StopAt(5), folder=tmp_path / "stopped", **options)
    run = resumed(stopped.path, Always())
    assert same(weights(never), weights(run))
    assert lines(never) == lines(run)
    assert never.game.guard.times == run.game.guard.times == 3


def test_adaptive_generator_steps_lives_with_skipped_updates(tmp_path: Path) -> None:
    capture = Capture()
    for role in ("generator", "discriminator"):
        spoil = Spoil(5, times=3, role=role, where="after_scores")
        given = (SKIP, trick("adaptive_generator_steps", generator_loss_below=5.0, rest_per_loss=0.0, max_updates=4))
        run = goes_on(tmp_path / role, spoil, capture, overrides=given)
        assert run.info["status"] == "finished"
        assert spoil.left[5] < 3


# -- rollback --------------------------------------------------------------------------------------------------------------


def test_it_goes_back_to_the_last_checkpoint_and_on_with_half_the_learning_rate(tmp_path: Path) -> None:
    spoil = Spoil(8)
    run = goes_on(tmp_path, spoil, overrides=(ROLLBACK,))
    assert [step for step, _, _ in spoil.rates] == [1, 2, 3, 4, 5, 6, 7, 8, 7, 8, 9, 10]
    assert [rate for _, rate, _ in spoil.rates] == [rate for _, _, rate in spoil.rates] == [0.1] * 8 + [0.05] * 4
    assert (run.step, run.info["status"], run.info["failure"]) == (10, "finished", None)
    assert run.info["announcements"] == [
        "the generator's loss term 'adversarial' is nan in step 8: Spoil, in its hook loss_terms, has changed the loss term 'adversarial'. "
        "The run went back to step 6 and continues with learning rates multiplied by 0.5 (1 of at most 10 times)."
    ]
    assert [line["step"] for line in lines(run)] == [2, 4, 6, 8, 8, 10]  # one of the 8 has the means of the first epoch
    assert all(value is not None for line in lines(run) for value in line["metrics"].values())
    assert all(p.isfinite().all() for player in run.players.values() for p in player.parameters)
    assert run.players["generator"].updates == 10


def test_learning_rates_fall_each_time_also_from_the_same_checkpoint(tmp_path: Path) -> None:
    spoil = Spoil(4, times=2)
    run = goes_on(tmp_path, spoil, overrides=(ROLLBACK, "train.rollback_lr_factor=0.1"))
    assert [rate for _, rate, _ in spoil.rates] == pytest.approx([0.1] * 4 + [0.01] + [0.001] * 7)
    assert len(run.info["announcements"]) == 2
    assert run.info["announcements"][1].endswith("(2 of at most 10 times).")


def test_learning_rates_fall_further_after_a_newer_checkpoint(tmp_path: Path) -> None:
    spoil = Spoil(4, 8)
    goes_on(tmp_path, spoil, overrides=(ROLLBACK,))
    assert {step: rate for step, rate, _ in spoil.rates} == pytest.approx(
        {1: 0.1, 2: 0.1, 3: 0.1, 4: 0.05, 5: 0.05, 6: 0.05, 7: 0.025, 8: 0.025, 9: 0.025, 10: 0.025}
    )


def test_it_gives_up_after_so_many_times(tmp_path: Path) -> None:
    text = fails(tmp_path, Spoil(6, times=99), overrides=(ROLLBACK, "train.non_finite_most=2"))
    assert text.endswith(f" (2 returns to a checkpoint were made already: train.non_finite_most){HELP}")
    info = json.loads((next(tmp_path.iterdir()) / "run.json").read_text())
    assert (info["status"], len(info["announcements"])) == ("failed", 2)
    assert saved(tmp_path) == [3, 6]


def test_without_a_checkpoint_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    fails(tmp_path, Spoil(1), overrides=(ROLLBACK,))
    assert saved(tmp_path) == [1]
    fails(None, Spoil(7), overrides=(ROLLBACK,))  # a run without a folder


def test_a_damaged_checkpoint_is_not_gone_back_to(tmp_path: Path) -> None:
    def damage(step: int, path: Path) -> None:
        if step in (6, bad[0]):
            path.write_bytes(path.read_bytes()[:-4] + b"what")

    bad = [6]
    run = goes_on(tmp_path / "a", Spoil(8), hooked(after_checkpoint=damage), overrides=(ROLLBACK,))
    assert run.info["status"] == "finished"
    damaged = f"checkpoint {run.path / 'checkpoints/step_000000006.safetensors'} is damaged: its checksum does not match its content"
    assert run.info["announcements"][0] == f"{damaged}. It is skipped; step_000000003.safetensors is used."
    assert "The run went back to step 3 " in run.info["announcements"][1]
    bad[0] = 3
    fails(tmp_path / "b", Spoil(8), hooked(after_checkpoint=damage), overrides=(ROLLBACK,))


def test_weights_that_are_spoilt_are_gone_back_from_too(tmp_path: Path) -> None:
    done: list[int] = []

    def overflow(turn: ganlab.Turn) -> None:
        if turn.step == 6 and turn.role == "generator" and not done:
            done.append(turn.step)
            with torch.no_grad():
                turn.player.parameters[0].fill_(math.inf)

    run = goes_on(tmp_path, hooked(after_update=overflow), overrides=(ROLLBACK,))
    assert run.info["status"] == "finished"
    assert run.info["announcements"][0].startswith("the generator's weights are not finite at step 6. The run went back to step 3 ")


def test_other_errors_are_not_its_business(tmp_path: Path) -> None:
    def wrong(step: int) -> None:
        if step == 5:
            raise ValueError("a mistake of its own")

    with pytest.raises(PluginError, match="a mistake of its own"):
        goes_on(tmp_path, hooked(after_step=wrong), overrides=(ROLLBACK,))


# -- and where all is finite -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["skip", "rollback"])
@pytest.mark.parametrize("more", [(), (trick("clamp"), trick("gradient_clipping"), trick("r1_penalty"))])
def test_the_look_changes_no_number(policy: str, more: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"steps": 12, "overrides": [*RICH, *more]}
    first = play(steps=12, overrides=[*RICH, *more, f"train.non_finite={policy}"])
    monkeypatch.setattr(Guard, "update", lambda self, turn: turn.player.apply())
    monkeypatch.setattr(Guard, "begin_group", lambda self: None)
    assert same(weights(first), weights(play(**options)))


def test_metrics_that_are_not_finite_are_told_of_where_the_loss_is(tmp_path: Path) -> None:
    def note(run: Run, turn: ganlab.Turn) -> None:
        run.record("mine/value", math.nan if turn.step == 3 and turn.role == "generator" else 2.0)

    run = goes_on(tmp_path, hooked(loss_terms=note))
    assert run.info["announcements"] == ["mine/value had values that are not finite, up to step 4; its means are of the others."]
    assert [line["metrics"]["mine/value"] for line in lines(run) if "mine/value" in line["metrics"]] == [2.0] * 5


def test_reopened_runs_keep_their_count(tmp_path: Path) -> None:
    run = goes_on(tmp_path, Spoil(5), StopAt(8), overrides=(SKIP,))
    assert reopened(run.path).game.guard.times == 1


def test_a_trick_that_only_watches_is_not_looked_at() -> None:
    looks: list[int] = []

    class Watching:
        only_watches = True

        @ganlab.hookimpl
        def before_update(self, turn: ganlab.Turn) -> None:
            looks.append(len(turn.trace.changes))

    class Changing:
        @ganlab.hookimpl
        def before_update(self, turn: ganlab.Turn) -> None:
            looks.append(len(turn.trace.changes))

    play(Watching(), Changing(), Watching(), steps=1)
    assert looks == [0, 0, 1] * 2
