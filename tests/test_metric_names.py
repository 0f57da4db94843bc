"""A recipe that keeps the best checkpoint by a metric is told, before the first step, where nothing gives that metric."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import Plugin, lines, trick
from test_cli import ganlab as command
from test_evaluation import BOUNDED, BROUGHT, FEATURED, SLOW, SPREAD

import ganlab
from ganlab.runs.metric_names import engine_names
from ganlab.testing import play, prepare

NONE = "no part of this recipe says that it gives a metric of that name"
ENGINE = [
    "accuracy/fake", "accuracy/real", "epoch/discriminator_loss", "epoch/generator_loss", "logit/fake", "logit/real", "loss/discriminator",
    "loss/discriminator.fake", "loss/discriminator.real", "loss/generator", "progress/epoch", "progress/images_seen", "score/fake",
    "score/real", "skipped/discriminator", "skipped/generator", "updates/discriminator", "updates/generator",
]  # fmt: skip


class Steady:
    """A trick that records, and adds a term."""

    @ganlab.hookimpl
    def loss_terms(self, run: Any, turn: Any) -> None:
        turn.loss_terms["evenness"] = 0 * turn.loss_terms["adversarial"] if turn.role == "generator" else torch.zeros(())
        run.record(f"steady/{turn.role}_share", 0.5)

    @ganlab.hookimpl
    def after_step(self, run: Any) -> None:
        run.record("steady/steps", 1.0)


def told(keep_best: str, *overrides: str, tricks: tuple[object, ...] = ()) -> list[str]:
    run = prepare(*tricks, overrides=[f'train.keep_best="{keep_best}"', *overrides], plugins=[BROUGHT, Plugin(tricks={"steady": Steady})])
    return list(run.info["announcements"])


def test_a_metric_that_nothing_gives_is_told_of_with_the_closest_right_word() -> None:
    expected = f"train.keep_best = 'loss/generatr': {NONE}; did you mean 'loss/generator'? (choices: {', '.join(ENGINE)})."
    assert told("loss/generatr") == [expected]
    assert told("frechet") == [f"train.keep_best = 'frechet': {NONE}; choices: {', '.join(ENGINE)}."]
    assert "did you mean 'quality/spread'?" in told("quality/spred", BOUNDED, SPREAD)[0]
    assert told("") == []


@pytest.mark.parametrize("name", [*ENGINE, "loss/discriminator.adversarial"])
def test_what_the_engine_logs_is_not_told_of(name: str) -> None:
    assert told(name) == []


def test_all_that_the_engine_says_it_logs_it_logs(tmp_path: Path) -> None:
    run = play(steps=9, overrides=["train.log_every=1", "train.batch_size=16", "defaults=false"], folder=tmp_path)
    logged = {name for line in lines(run) for name in line["metrics"]}
    assert {name for name in engine_names(run) if not name.startswith("skipped/")} <= logged


def test_what_metrics_measure_is_not_told_of() -> None:
    assert told("quality/spread", BOUNDED, SPREAD) == []


@pytest.mark.parametrize(
    ("name", "overrides", "why"),
    [
        (
            "quality/slow",
            (SLOW,),
            "metric 'slow' measures it at the end of the run only, when no checkpoint is chosen any more; choose another",
        ),
        (
            "final/spread",
            (SPREAD,),
            "metric 'spread' measures it at the end of the run only, when no checkpoint is chosen any more; choose another",
        ),
        ("quality/spread", (SPREAD, "evaluation.every=0"), "evaluation.every = 0 measures nothing during training; choose another"),
        ("quality/featured", (FEATURED,), "metric 'featured' does not measure these data: the recipe has no [judge]; choose another"),
        ("quality/spread", (), NONE),
    ],
)
def test_a_metric_that_is_not_measured_in_training_is_told_of_with_its_reason(name: str, overrides: tuple[str, ...], why: str) -> None:
    assert told(name, BOUNDED, *overrides)[0].startswith(f"train.keep_best = '{name}': {why}; ")


def test_what_tricks_record_is_not_told_of() -> None:
    steady = trick("steady")
    for name in ("steady/steps", "steady/generator_share", "loss/generator.evenness"):
        assert told(name, steady) == []
        assert told(name) != []
    assert told("gradient/generator_norm", trick("gradient_clipping")) == []
    assert told("health/variety", trick("health")) == []


def test_the_names_that_tricks_record_are_choices() -> None:
    class Watching:
        @ganlab.hookimpl
        def after_step(self, run: Any) -> None:
            run.record("watching/share", 1.0)

    assert told("watching/share", tricks=(Watching(),)) == []
    assert "did you mean 'watching/share'?" in told("watching/shear", tricks=(Watching(),))[0]


def test_what_tricks_only_read_is_told_of() -> None:
    assert "did you mean 'health/variety'?" in told("healht/variety", trick("health"))[0]
    assert told("clamp/real", trick("health")) != []
    assert told("loss/generatr", trick("health")) != []
    assert told("clamp/real", trick("clamp")) == []


def test_check_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("check", "ring", "--set", "train.keep_best=quality/mods") == 0
    printed = " ".join(capsys.readouterr().err.split())
    assert f"train.keep_best = 'quality/mods': {NONE}; did you mean 'quality/modes'?" in printed
    assert command("check", "ring", "--set", "train.keep_best=quality/modes") == 0
    assert "keep_best" not in capsys.readouterr().err
