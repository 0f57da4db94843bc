"""The trick ``health`` on made-up numbers: what it tells, when, once and again, and what it advises."""

from __future__ import annotations

import functools
import math
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from ganlab.errors import GanlabError
from ganlab.recipe import load_recipe, shipped_recipes
from ganlab.registry.catalogue import Catalogue
from ganlab.runs.run import Run
from ganlab.testing import prepare
from ganlab_health.advice import Advice
from ganlab_health.findings import FINDINGS, NAMES
from ganlab_health.watch import Health, Name

PAGE = Path(__file__).parent.parent / "docs" / "health.md"
WELL = {
    "loss/discriminator": 1.1,
    "loss/generator": 0.9,
    "score/real": 0.6,
    "score/fake": 0.4,
    "accuracy/real": 0.7,
    "accuracy/fake": 0.7,
    "health/variety": 0.9,
    "health/discriminator_gradient_norm": 3.0,
    "health/generator_gradient_norm": 3.0,
    "clamp/real": 0.0,
    "clamp/fake": 0.01,
    "adaptive/capped": 0.0,
    "gradient/generator_norm": 15.0,
    "gradient/generator_clipped": 1.0,
}
#: For each finding the numbers that show it, beside those of a run that is well; None takes one away.
SICK: dict[str, dict[str, float | None]] = {
    "discriminator_at_zero": {"loss/discriminator": 0.009},
    "discriminator_always_right": {"accuracy/real": 1.0, "accuracy/fake": 1.0},
    "generator_stalled": {"loss/generator": -0.09},
    "adaptive_capped": {"adaptive/capped": 5.0},
    "scores_clamped": {"clamp/fake": 0.51},
    "discriminator_gradient_large": {"health/discriminator_gradient_norm": 101.0},
    "generator_gradient_large": {"gradient/generator_norm": 101.0, "gradient/generator_clipped": 0.5},
    "generator_gradient_clipped": {"gradient/generator_norm": 26.0},
    "fakes_alike": {"health/variety": 0.009},
    "logarithm_of_nothing": {"loss/discriminator": 17.0, "loss/generator": 0.1, "clamp/real": None, "clamp/fake": None},
    "both_losses_high": {"loss/discriminator": 1.76},
}


NOT_TRAINED = {"generator_not_trained", "discriminator_not_trained"}


class Announcing:
    """A run that is not played, but for its own record of what was announced. Runs of one recipe are built once."""

    def __init__(self, *arguments: str) -> None:
        self.built, self.info = built(*arguments), dict[str, Any]()
        self.told: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.built, name)

    def announce(self, text: str) -> None:
        self.told.append(text)

    tell = announce


@functools.cache
def built(recipe: str, *overrides: str) -> Run:
    return prepare(recipe=recipe, steps=100_000, overrides=overrides)


class Patient:
    """A run that is not played: it is told numbers, one interval of 100 steps after the other."""

    def __init__(self, *overrides: str, recipe: str = "mnist_mlp", **options: Any) -> None:
        clip = "tricks.clip={use='gradient_clipping',player='generator'}"
        self.run: Any = Announcing(recipe, clip, *overrides)
        self.trick, self.told, self.step = Health(**options), self.run.told, 0
        self.trick.before_run(self.run)

    def live(self, intervals: int, *, every: int = 100, **changes: float | None) -> list[str]:
        """Go on for some intervals; returns what was told in them."""
        before = len(self.told)
        for _ in range(intervals):
            self.step += every
            given = (
                WELL
                | {f"updates/{role}": float(self.step) for role in self.run.players}
                | {name.replace("__", "/"): value for name, value in changes.items()}
            )
            self.trick.on_metrics(self.run, self.step, {name: value for name, value in given.items() if value is not None})
        return self.told[before:]


def changes_of(name: str) -> dict[str, float | None]:
    return {key.replace("/", "__"): value for key, value in SICK[name].items()}


def names(told: list[str]) -> list[str]:
    return [re.search(r"\((\w+)\)", text)[1] for text in told]  # type: ignore[index]


def test_a_run_that_is_well_hears_nothing() -> None:
    assert Patient().live(100) == []


@pytest.mark.parametrize("name", SICK)
def test_a_finding_is_told_after_its_patience_and_once(name: str) -> None:
    patient, finding = Patient(), next(finding for finding in FINDINGS if finding.name == name)
    intervals = 1 if finding.begin else round(10 * finding.patience)
    assert patient.live(10) == []
    assert patient.live(intervals - 1, **changes_of(name)) == []
    (told,) = patient.live(1, **changes_of(name))
    since = 1100 if finding.begin else 1001
    assert told.startswith(f"Health, at step {patient.step:,} ({name}): ") and f", since step {since:,}. {finding.means}" in told
    assert name not in names(patient.live(20, **changes_of(name)))


@pytest.mark.parametrize("name", SICK)
def test_it_is_told_again_only_after_it_had_gone_away(name: str) -> None:
    patient, finding = Patient(), next(finding for finding in FINDINGS if finding.name == name)
    patience = round(10 * finding.patience)
    well = {key: None for key, value in changes_of(name).items() if value is None}
    assert names(patient.live(patience, **changes_of(name))) == [name]
    patient.live(patience - 1, **well)
    assert name not in names(patient.live(patience, **changes_of(name)))
    patient.live(2 * patience, **well)
    assert name in names(patient.live(patience, **changes_of(name)))


@pytest.mark.parametrize("name", SICK)
def test_a_finding_may_be_ignored(name: str) -> None:
    assert name not in names(Patient(ignore=(name,)).live(60, **changes_of(name)))


def test_one_good_interval_breaks_a_streak() -> None:
    patient = Patient()
    for _ in range(5):
        assert patient.live(9, loss__discriminator=0.001) == []
        patient.live(1)


def test_five_intervals_are_wanted_however_long_they_are() -> None:
    patient = Patient()
    assert patient.live(4, every=2000, loss__discriminator=0.001) == []
    assert names(patient.live(1, every=2000, loss__discriminator=0.001)) == ["discriminator_at_zero"]


def test_with_a_line_for_each_step_it_looks_every_twenty_and_counts_every_cap() -> None:
    patient = Patient()
    assert patient.live(4, every=1, adaptive__capped=1) == []
    assert patient.trick.looked == 0
    assert patient.live(15, every=1) == []
    (told,) = patient.live(1, every=1, adaptive__capped=1)
    assert "in 5 of the last 20 steps, since step 1." in told


def test_a_number_that_is_missing_says_nothing_and_ends_nothing() -> None:
    patient = Patient()
    patient.live(5, health__variety=0.001)
    assert patient.live(5, health__variety=None) == []
    assert names(patient.live(1, health__variety=0.001)) == ["fakes_alike"]  # five looks in between were blind


def test_numbers_that_are_none_do_no_harm() -> None:
    for value in (math.nan, math.inf, -math.inf):
        Patient().live(40, **{name.replace("/", "__"): value for name in WELL})
    assert Patient().live(40, **dict.fromkeys((name.replace("/", "__") for name in WELL), None)) == []


def test_what_says_the_same_and_more_is_told_alone() -> None:
    patient = Patient()
    told = names(patient.live(60, loss__discriminator=0.001, accuracy__real=1.0, accuracy__fake=1.0))
    assert told == ["discriminator_at_zero"]
    assert names(Patient("tricks.clip.enabled=false").live(30, loss__discriminator=20.0, clamp__real=None, clamp__fake=None)) == [
        "logarithm_of_nothing"
    ]


def test_a_mean_of_both_sides_counts_double() -> None:
    halved = Patient("schedule.discriminator_turn=one_pass", "schedule.discriminator_loss=mean")
    assert halved.live(20, loss__discriminator=0.006) == []
    assert names(halved.live(20, loss__discriminator=0.004)) == ["discriminator_at_zero"]


def test_penalties_are_no_part_of_the_loss_and_a_side_is_no_whole() -> None:
    parts: dict[str, Any] = {"loss__discriminator.real": 0.003, "loss__discriminator.fake": 0.003}
    assert names(Patient().live(20, loss__discriminator=2.0, **parts)) == ["discriminator_at_zero"]
    assert Patient().live(20, **parts | {"loss__discriminator.fake": 0.008}) == []


def test_a_loss_that_may_be_negative_has_no_zero_to_reach() -> None:
    critic = Patient("loss.use=relativistic_bce")
    critic.live(1, loss__discriminator=-0.5)
    assert critic.live(30, loss__discriminator=0.001) == []
    assert names(Patient("loss.use=relativistic_bce").live(30, loss__discriminator=0.001)) == ["discriminator_at_zero"]


def test_scores_that_are_no_logits_leave_out_what_needs_probabilities() -> None:
    raw = Patient("loss.use=relativistic_bce")
    for loss in (2.0, 20.0):
        assert raw.live(60, loss__discriminator=loss, loss__generator=-0.05, accuracy__real=None, clamp__real=None, clamp__fake=None) == []


def test_a_generator_that_is_meant_to_wait_is_not_missed() -> None:
    ahead = Patient("tricks.ahead={use='discriminator_head_start',steps=5000}")
    assert ahead.live(40, loss__discriminator=0.001, accuracy__real=1, accuracy__fake=1, updates__generator=0, health__variety=0.0) == []
    (told, _) = Patient().live(20, loss__discriminator=0.001, updates__generator=0, health__variety=0.0)
    assert "the generator has never been updated" in told


def test_clipping_of_everything_is_well_while_norms_are_near_the_limit() -> None:
    assert Patient().live(30, gradient__generator_norm=24.0) == []
    assert Patient().live(30, gradient__generator_norm=90.0, gradient__generator_clipped=0.98) == []
    assert Patient("tricks.clip.max_norm=4.0").live(30, gradient__generator_norm=90.0) == []


def test_a_spread_that_was_there_and_is_lost() -> None:
    patient = Patient()
    patient.live(3)
    (told,) = patient.live(20, health__variety=0.15)
    assert "their spread is 15.00% of the real samples', down from 90%, since step 301." in told
    assert Patient().live(60, health__variety=0.15) == []  # it never was there


def test_both_losses_are_high_only_while_the_generator_loses_too() -> None:
    assert Patient().live(20, loss__discriminator=1.76, loss__generator=0.69) == []
    assert Patient().live(20, loss__discriminator=1.76, loss__generator=-0.70) == []
    assert "generator is not updated" in Patient().live(20, loss__discriminator=1.76, loss__generator=None)[0]


def test_a_run_that_never_started() -> None:
    (told,) = Patient().live(30, loss__discriminator=1.38, loss__generator=0.69, health__variety=0.2)
    assert told.startswith("Health, at step 2,000 (never_started)") and "since step 1." in told
    assert Patient().live(30, loss__discriminator=1.38, loss__generator=0.69) == []  # its fakes are like the data: equilibrium
    patient = Patient()
    patient.live(1, loss__discriminator=1.2)
    assert patient.live(30, loss__discriminator=1.38, loss__generator=0.69, health__variety=0.2) == []  # it has moved before


def falling(patient: Patient, intervals: int, **changes: Any) -> list[str]:
    told = []
    for number in range(intervals):
        told += patient.live(1, loss__generator=2.0 - number / intervals, **changes)
    return told


def test_a_loss_that_falls_in_vain() -> None:
    (told,) = falling(Patient(), 30, score__real=0.4, score__fake=0.45)
    assert "(loss_falls_in_vain): the generator's loss fell from" in told and "higher scores than real samples, since step 100." in told
    assert falling(Patient(), 30) == []  # fakes fool D more and more, and vary: this is what is wanted
    assert falling(Patient(), 15, score__real=0.4, score__fake=0.45) == []  # not for long
    assert Patient().live(60, score__real=0.4, score__fake=0.45) == []  # does not fall


def test_a_loss_that_falls_with_the_variety_of_the_fakes() -> None:
    def told(first: float, last: float) -> list[str]:
        patient, found = Patient(variety_lost=0.01), []
        for number in range(30):
            share = number / 30
            found += patient.live(1, loss__generator=2.0 - share, health__variety=first + (last - first) * share)
        return names(found)

    assert told(0.8, 0.2) == ["loss_falls_in_vain"]
    assert told(1.0, 0.6) == [] and told(1.5, 0.6) == [] and told(0.2, 0.45) == []


def test_a_loss_that_fell_and_rises_again_does_not_fall() -> None:
    patient = Patient()
    for loss in (2.0, 1.0, 1.5):  # the thirds of the first 21 intervals
        assert patient.live(7, loss__generator=loss, score__real=0.4, score__fake=0.45) == []


def test_a_clamp_keeps_logarithms_from_nothing() -> None:
    assert Patient().live(60, loss__discriminator=17.0, loss__generator=0.1) == []


@pytest.mark.parametrize("error", [OSError("No space left on device"), GanlabError("run.json cannot be written", "free some space")])
def test_a_warning_that_cannot_be_written_is_told_and_fails_nothing(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = Patient()

    def full(text: str) -> None:
        raise error

    monkeypatch.setattr(patient.run, "announce", full)
    assert names(patient.live(20, loss__discriminator=0.001)) == ["discriminator_at_zero"]


@pytest.mark.parametrize("name", [*SICK, "well"])
def test_its_state_may_be_saved_at_any_moment(name: str) -> None:
    changes = changes_of(name) if name in SICK else {}
    whole = Patient()
    expected = whole.live(25, **changes)
    for cut in (1, 7, 12):
        first, second = Patient(), Patient()
        told = first.live(cut, **changes)
        second.trick.load_state_dict(first.trick.state_dict())
        assert second.trick == first.trick
        second.step = first.step
        assert told + second.live(25 - cut, **changes) == expected
        assert second.trick.state_dict() == whole.trick.state_dict()


def test_the_state_stays_small() -> None:
    patient = Patient()
    patient.live(3000, every=1, adaptive__capped=1.0)
    assert len(patient.trick.history.past) <= 42 and len(patient.trick.history.cap_hits) <= 1000


@pytest.mark.parametrize("recipe", sorted(shipped_recipes()))
def test_everything_that_is_advised_can_be_set(recipe: str, tmp_path: Path) -> None:
    catalogue, source = Catalogue.of_installed(), tmp_path / "mine.toml"
    for more in ("", "[[tricks]]\nuse = 'clamp'\nenabled = false\n", "[generator.optimizer]\nuse = 'sgd'\nlr = 1\n"):
        if recipe == "mnist_adaptive" and "sgd" in more:
            continue  # its fallback sets an option of Adam
        source.write_text(f"extends = '{recipe}'\n{more}", encoding="utf-8")
        run = prepare(recipe=source)
        advice = Advice(run)
        tries = {text for finding in FINDINGS for text in finding.tries(advice)}
        assert len(tries) > 5 and ("`--set tricks.clamp.enabled=true`" in tries) == ("enabled" in more)
        before = load_recipe(source, catalogue, []).document
        for text in tries:
            (given,) = re.findall(r"`--set ([^`]+)`", text)
            assert load_recipe(source, catalogue, [given]).document != before, f"{given} changes nothing"


def test_advice_is_of_the_recipe_at_hand() -> None:
    (told,) = Patient().live(20, loss__discriminator=0.001)
    assert "`--set discriminator.optimizer.lr=6e-05` (now 0.0002)" in told and "dropout" not in told  # it has some
    (told,) = Patient(recipe="mnist_adaptive").live(1, adaptive__capped=5.0)
    assert "`--set loss.saturating=false`" in told


def test_every_finding_has_its_name_its_page_and_an_example() -> None:
    assert get_args(Name) == NAMES
    assert {finding.name for finding in FINDINGS} - set(SICK) == {
        "discriminator_gradient_clipped",
        "loss_falls_in_vain",
        "never_started",
    } | NOT_TRAINED
    text = PAGE.read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE))
    assert tuple(sections) == NAMES
    for finding in FINDINGS:
        section = " ".join(sections[finding.name].replace("\n> ", " ").split())
        assert finding.means in section and "Source:" in section, finding.name


def test_it_is_on_unless_switched_off() -> None:
    recipe = load_recipe("ring", Catalogue.of_installed(), [])
    assert "health" in [trick.name for trick in recipe.tricks]
