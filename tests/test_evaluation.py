"""Samples are measured while a run goes on and at its end; by which metrics, on what, and what happens when one fails."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from engine_support import Plugin, StopAt, lines, reopened, resumed, same, weights

import ganlab
from ganlab.errors import PluginError, RecipeError
from ganlab.evaluation import Better, Evidence, JudgeSpec, Needs, NotMeasured, Stopped, pictures
from ganlab.recipe import load_recipe, to_toml
from ganlab.runs.run import Run
from ganlab.runs.training import execute
from ganlab.testing import catalogue, play, prepare


class Spread:
    """The standard deviation of the fakes: a metric in ten lines."""

    results: ClassVar[Mapping[str, Better]] = {"spread": "higher"}
    needs: ClassVar[Needs] = "samples"
    quick: ClassVar[bool] = True
    seen: ClassVar[list[Evidence]] = []

    def measure(self, evidence: Evidence) -> dict[str, float]:
        self.seen.append(evidence)
        return {"spread": float(evidence.fakes.values.std())}


class Slow(Spread):
    results: ClassVar[Mapping[str, Better]] = {"slow": "lower"}
    quick: ClassVar[bool] = False

    def measure(self, evidence: Evidence) -> dict[str, float]:
        return {"slow": 1.0}


class Featured(Spread):
    results: ClassVar[Mapping[str, Better]] = {"featured": "lower"}
    needs: ClassVar[Needs] = "features"

    def measure(self, evidence: Evidence) -> dict[str, float]:
        return {"featured": float((evidence.fakes.features - evidence.real.features.mean(0)).abs().mean())}


class Squares:
    """A judge whose features are the squares of what it sees."""

    description, identity, classes = "squares", "5a5a", 0
    specs: ClassVar[list[JudgeSpec]] = []

    def __init__(self, spec: JudgeSpec) -> None:
        self.specs.append(spec)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) ** 2

    def probabilities(self, images: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


def bounded(spec: ganlab.DatasetSpec) -> ganlab.ResidentDataset:
    """Points in [-1, 1], which count as images."""
    values = torch.linspace(-1, 1, 128).reshape(64, 2)
    return ganlab.ResidentDataset(values, range=(-1.0, 1.0), held_out=lambda: ganlab.ResidentDataset(values[:16], range=(-1.0, 1.0)))


BROUGHT = Plugin(metrics={"spread": Spread, "slow": Slow, "featured": Featured}, judges={"squares": Squares}, datasets={"bounded": bounded})
BOUNDED = 'data={use="bounded"}'


def measured(
    folder: Path | None, *overrides: str, plugins: tuple[object, ...] = (BROUGHT,), steps: int = 6, tricks: tuple[object, ...] = ()
) -> Run:
    return play(*tricks, folder=folder, steps=steps, overrides=["evaluation.quick_samples=20", *overrides], plugins=plugins)


def written(run: Run) -> dict[str, Any]:
    """What evaluation.json holds."""
    found: dict[str, Any] = json.loads((run.path / "evaluation.json").read_text())
    return found


def values(run: Run, name: str) -> dict[int, float]:
    return {line["step"]: line["metrics"][name] for line in lines(run) if name in line["metrics"]}


SPREAD, SLOW, FEATURED = (f'metrics.{name}={{use="{name}"}}' for name in ("spread", "slow", "featured"))


def test_hook_register_metrics(tmp_path: Path) -> None:
    Spread.seen.clear()
    run = measured(tmp_path, SPREAD, "evaluation.every=2", "evaluation.samples=50")
    assert set(values(run, "quality/spread")) == {2, 4, 6}
    assert set(values(run, "final/spread")) == {6}
    assert [len(evidence.fakes) for evidence in Spread.seen] == [20, 20, 20, 50]
    last = Spread.seen[-1]
    assert values(run, "final/spread")[6] == pytest.approx(float(last.fakes.values.std()))
    assert last.held_out is not None
    assert (len(last.held_out), len(last.real), len(last.training), last.dataset) == (50, 50, 64, run.dataset)
    assert not torch.equal(last.held_out.values, last.real.values)
    found = written(run)
    assert found["values"] == {"spread": values(run, "final/spread")[6]}
    assert (found["step"], found["about"], found["not_measured"]) == (6, {"samples": 50, "real": 50, "held_out": 50}, {})


def test_hook_register_judges(tmp_path: Path) -> None:
    Squares.specs.clear()
    run = measured(tmp_path, BOUNDED, FEATURED, 'judge={use="squares"}', "evaluation.every=3")
    spec = Squares.specs[0]
    assert len(Squares.specs) == 1  # it is made once, when it is first asked
    assert spec.data is run.dataset and spec.held_out is not None and len(spec.held_out) == 16
    about = written(run)["about"]
    assert about == {"samples": 64, "real": 64, "held_out": 16, "judge": "squares", "judge_identity": "5a5a"}
    assert set(values(run, "quality/featured")) == {3, 6}


def test_images_come_to_metrics_in_zero_to_one(tmp_path: Path) -> None:
    Spread.seen.clear()
    measured(tmp_path, BOUNDED, SPREAD, "evaluation.every=0")
    seen = Spread.seen[-1]
    assert seen.held_out is not None
    for samples in (seen.fakes, seen.real, seen.training, seen.held_out):
        assert (samples.values.dtype, float(samples.values.min()) >= 0, float(samples.values.max()) <= 1) == (torch.float32, True, True)
    assert torch.allclose(seen.training.values.sort(0).values, torch.linspace(0, 1, 128).reshape(64, 2), atol=1e-6)


def test_what_is_cut_off_and_what_is_not() -> None:
    data = ganlab.ResidentDataset(torch.zeros(2, 1), range=(-1.0, 3.0))
    assert pictures(data, torch.tensor([[-2.0], [1.0], [4.0]]).double()).tolist() == [[0.0], [0.5], [1.0]]
    data.range = None
    assert pictures(data, torch.tensor([[-2.0]])).tolist() == [[-2.0]]


def test_training_is_the_same_with_and_without(tmp_path: Path) -> None:
    class Gambler(Spread):
        def measure(self, evidence: Evidence) -> dict[str, float]:
            torch.manual_seed(5)
            return {"spread": float(torch.rand(()))}

    plain = measured(None, "evaluation.every=1")
    watched = measured(tmp_path, 'metrics.gambler={use="gambler"}', "evaluation.every=1", plugins=(Plugin(metrics={"gambler": Gambler}),))
    assert same(weights(plain), weights(watched))


def test_every_run_is_held_against_the_same_real_samples(tmp_path: Path) -> None:
    Spread.seen.clear()
    for seed in (1, 2):
        measured(tmp_path, SPREAD, f"train.seed={seed}", "evaluation.every=6", "evaluation.at_end=false", 'data={use="bounded"}')
    first, second = Spread.seen
    assert torch.equal(first.real.values, second.real.values)
    assert not torch.equal(first.fakes.values, second.fakes.values)


def test_what_is_slow_waits_for_the_end_and_interrupted_runs_have_none(tmp_path: Path) -> None:
    run = measured(tmp_path, SLOW, SPREAD, "evaluation.every=2")
    assert (set(values(run, "quality/slow")), set(values(run, "final/slow"))) == (set(), {6})
    halted = measured(tmp_path, SPREAD, "evaluation.every=2", tricks=(StopAt(4),))
    assert (set(values(halted, "quality/spread")), set(values(halted, "final/spread"))) == ({2, 4}, set())
    assert not (halted.path / "evaluation.json").exists()
    assert not (measured(tmp_path, SPREAD, "evaluation.at_end=false").path / "evaluation.json").exists()


def test_the_interval_is_about_a_tenth_of_the_run_unless_said(tmp_path: Path) -> None:
    assert list(values(measured(None or tmp_path, SPREAD, steps=25), "quality/spread")) == [*range(2, 26, 2), 25]
    assert list(values(measured(tmp_path, SPREAD, "evaluation.every=0", steps=25), "quality/spread")) == []
    logged = measured(tmp_path, SPREAD, "train.log_every=5", "evaluation.every=7", steps=32)
    assert list(values(logged, "quality/spread")) == [10, 15, 25, 30, 32]  # the first line after 7, 14, 21, 28, and the last


def test_resuming_equals_never_having_stopped(tmp_path: Path) -> None:
    options = (BOUNDED, SPREAD, FEATURED, 'judge={use="squares"}', "evaluation.every=2", "train.keep_best=quality/spread")
    whole = measured(tmp_path / "whole", *options)
    halted = measured(tmp_path / "halted", *options, tricks=(StopAt(3),))
    again = resumed(halted.path, plugins=(BROUGHT,))
    drop_time = [(line["step"], line["metrics"]) for line in lines(again)]
    assert drop_time == [(line["step"], line["metrics"]) for line in lines(whole)]
    assert written(again)["values"] == written(whole)["values"]


def test_what_was_measured_at_the_end_goes_when_the_run_goes_on(tmp_path: Path) -> None:
    options = (SPREAD, "evaluation.every=3", "train.checkpoint_every=3")
    long = measured(tmp_path / "long", *options, steps=9)
    short = measured(tmp_path / "short", *options, steps=6)
    assert list(values(short, "final/spread")) == [6]
    again = reopened(short.path, overrides=("train.steps=9",), plugins=(BROUGHT,))
    assert not (short.path / "evaluation.json").exists()
    execute(again)
    assert not [text for text in again.info["announcements"] if "lines are missing" in text]
    assert (list(values(again, "final/spread")), written(again)["values"]) == ([9], written(long)["values"])
    assert [line["metrics"] for line in lines(again)] == [line["metrics"] for line in lines(long)]


def test_the_best_checkpoint_may_be_by_a_metric(tmp_path: Path) -> None:
    run = measured(
        tmp_path, SPREAD, "evaluation.every=1", "train.checkpoint_every=1", "train.keep_checkpoints=1",
        "train.keep_best=quality/spread", "train.best_is=highest",
    )  # fmt: skip
    found = values(run, "quality/spread")
    best = max(found, key=lambda step: found[step])
    assert run.info["best_checkpoint"]["path"] == f"checkpoints/step_{best:09d}.safetensors"


def test_a_metric_that_raises_stops_nothing_and_is_named(tmp_path: Path) -> None:
    class Broken(Spread):
        results: ClassVar[Mapping[str, Better]] = {"broken": "lower"}

        def measure(self, evidence: Evidence) -> dict[str, float]:
            raise ValueError("no such moment")

    run = measured(tmp_path, 'metrics.broken={use="broken"}', SPREAD, plugins=(BROUGHT, Plugin(metrics={"broken": Broken})))
    assert run.step == 6
    told = [text for text in run.info["announcements"] if "broken" in text]
    words = "metric 'broken' (plugin plugin1, the test) raised ValueError: no such moment"
    assert len(told) == 1 and told[0].startswith(f"A metric is not measured: {words}\nTraceback (of the plugin's own code)")
    found = written(run)
    assert list(found["values"]) == ["spread"]
    assert found["not_measured"] == {"broken": words}


class Noting(Featured):
    """Says what its number is of, and nothing of few samples."""

    results: ClassVar[Mapping[str, Better]] = {"noting": "lower"}

    def measure(self, evidence: Evidence) -> dict[str, float]:
        if len(evidence.fakes) < 64:
            raise NotMeasured("these are too few")
        evidence.note("feature_dimensions", evidence.fakes.features.shape[1])
        evidence.note("samples", -1)
        return {"noting": 1.0}


def test_what_metrics_note_stands_beside_the_numbers(tmp_path: Path) -> None:
    plugins = (BROUGHT, Plugin(metrics={"noting": Noting}))
    run = measured(tmp_path, BOUNDED, 'metrics.noting={use="noting"}', 'judge={use="squares"}', plugins=plugins)
    about = written(run)["about"]
    assert (about["feature_dimensions"], about["samples"]) == (2, 64)  # what the engine says of an evaluation stands


def test_what_cannot_be_measured_is_written_down_and_not_warned_of(tmp_path: Path) -> None:
    plugins = (BROUGHT, Plugin(metrics={"noting": Noting}))
    given = (BOUNDED, SPREAD, 'metrics.noting={use="noting"}', 'judge={use="squares"}', "evaluation.samples=63")
    run = measured(tmp_path, *given, plugins=plugins)
    assert written(run)["not_measured"] == {"noting": "these are too few"}
    assert (list(written(run)["values"]), run.info["announcements"]) == (["spread"], [])


def test_a_metric_gives_what_it_promises(tmp_path: Path) -> None:
    class Liar(Spread):
        def measure(self, evidence: Evidence) -> dict[str, float]:
            return {"other": 1.0}

    run = measured(tmp_path, 'metrics.liar={use="liar"}', plugins=(Plugin(metrics={"liar": Liar}),))
    assert "gives ['other'], which its `results` do not name" in run.info["announcements"][0]


def test_two_metrics_of_one_result_are_refused() -> None:
    with pytest.raises(PluginError, match="metrics 'spread' and 'again' both give 'spread'"):
        measured(None, SPREAD, 'metrics.again={use="spread"}')


def test_samples_that_are_not_finite_are_not_measured(tmp_path: Path) -> None:
    run = measured(tmp_path, SPREAD)
    report = run.evaluations.evaluator.measure(torch.full((20, 2), math.nan), quick=False)
    assert (report.values, report.missing) == ({}, {"spread": "the samples are not finite"})


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        ((FEATURED,), "it is for images"),
        ((FEATURED, BOUNDED), "the recipe has no [judge]"),
        ((FEATURED, BOUNDED, 'judge={use="squares",enabled=false}'), "the recipe has no [judge]"),
        (('metrics.modes={use="modes"}',), "the data set does not know its modes"),
    ],
)
def test_what_does_not_fit_the_data_is_said(tmp_path: Path, overrides: tuple[str, ...], why: str) -> None:
    run = measured(tmp_path, SPREAD, *overrides)
    assert list(written(run)["not_measured"].values()) == [why]


def test_a_judge_that_cannot_be_had_is_told_of_once(tmp_path: Path) -> None:
    def none(spec: JudgeSpec) -> Squares:
        raise ganlab.UsageError("there is no such network", "fetch it")

    plugins = (BROUGHT, Plugin(judges={"none": none}))
    run = measured(tmp_path, BOUNDED, SPREAD, FEATURED, 'judge={use="none"}', "evaluation.every=1", plugins=plugins)
    assert run.info["announcements"] == ["Metrics that need a judge are not measured. there is no such network\nfetch it"]
    assert written(run)["not_measured"] == {"featured": "there is no judge: there is no such network"}


def test_measuring_does_not_count_as_training(tmp_path: Path) -> None:
    class Sleeper(Spread):
        def measure(self, evidence: Evidence) -> dict[str, float]:
            time.sleep(0.2)
            return super().measure(evidence)

    run = measured(tmp_path, 'metrics.sleeper={use="sleeper"}', "evaluation.every=1", plugins=(Plugin(metrics={"sleeper": Sleeper}),))
    asleep = [line["metrics"] for line in map(json.loads, (run.path / "system.jsonl").read_text().splitlines())]
    assert sum(found.get("speed/quick_evaluation_seconds", 0.0) for found in asleep) > 1.2
    assert run.info["training_seconds"] < 1.0


def test_metrics_stand_in_the_resolved_recipe_and_are_set_like_tricks(tmp_path: Path) -> None:
    source = tmp_path / "mine.toml"
    source.write_text(
        'extends = "ring"\n[[metrics]]\nuse = "modes"\nwithin = 2\n[[metrics]]\nname = "wide"\nuse = "modes"\nenabled = false\n'
    )
    recipe = load_recipe(source, catalogue(), ["metrics.modes.found_by=0.5", "judge.enabled=false"])
    modes = recipe.metrics[0]
    assert [choice.name for choice in recipe.metrics if choice.use == "modes"] == ["modes"]
    assert (modes.options, recipe.judge) == ({"within": 2.0, "found_by": 0.5}, None)
    again = tmp_path / "again.toml"
    again.write_text(to_toml(recipe))
    assert load_recipe(again, catalogue()).document == recipe.document
    assert {"name": "wide", "use": "modes", "enabled": False, "within": 3.0, "found_by": 0.1} in recipe.document["metrics"]


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("metrics.mode.within=2", "the recipe has no metric 'mode'; did you mean 'modes'?"),
        ("metrics.modes.within=-1", "metrics.modes.within"),
        ('metrics.x={use="clamp"}', "metrics.x.use: there is no metric 'clamp'; it is a trick, for [[tricks]]"),
        ('judge={use="modes"}', "judge.use: there is no judge 'modes'; it is a metric, for [[metrics]]"),
        ("evaluation.samples=3", "evaluation.samples"),
        ("judge=3", "judge must be a table, not 3"),
    ],
)
def test_mistakes_are_told_where_they_are(override: str, text: str) -> None:
    with pytest.raises(RecipeError) as error:
        load_recipe("ring", catalogue(), [override])
    assert text in str(error.value)


# -- what goes wrong -------------------------------------------------------------------------------------------------------


def test_stopped_while_it_is_measured_the_run_goes_on_with_that(tmp_path: Path) -> None:
    class Halting(Spread):
        quick: ClassVar[bool] = False
        runs: ClassVar[list[Run]] = []

        def measure(self, evidence: Evidence) -> dict[str, float]:
            for run in self.runs:
                run.stop()
            return super().measure(evidence)

    class Watch:
        @ganlab.hookimpl
        def before_run(self, run: Run) -> None:
            Halting.runs.append(run)

    plugins = (BROUGHT, Plugin(metrics={"halting": Halting}))
    run = measured(tmp_path, 'metrics.halting={use="halting"}', SLOW, plugins=plugins, tricks=(Watch(),))
    assert (run.info["status"], (run.path / "evaluation.json").exists()) == ("interrupted", False)
    Halting.runs.clear()
    again = resumed(run.path, plugins=plugins)
    assert (again.info["status"], set(written(again)["values"])) == ("finished", {"spread", "slow"})


class Dawdling(Squares):
    """A judge that takes its time, in which it is asked to stop."""

    runs: ClassVar[list[Run]] = []
    made: ClassVar[list[int]] = []

    def __init__(self, spec: JudgeSpec) -> None:
        self.made.append(1)
        for run in self.runs:
            run.stop()
        if spec.stopping():
            raise Stopped
        super().__init__(spec)

    class Watch:
        @ganlab.hookimpl
        def before_run(self, run: Run) -> None:
            Dawdling.runs[:] = [run]


DAWDLING = (BROUGHT, Plugin(judges={"dawdling": Dawdling}))
DAWDLED = (BOUNDED, FEATURED, SPREAD, 'judge={use="dawdling"}', "train.checkpoint_every=100")


@pytest.mark.parametrize("every", [0, 4, 6])
def test_stopped_while_its_judge_is_made_a_run_loses_nothing(tmp_path: Path, every: int) -> None:
    """In the first quick evaluation, in the last one, or at the end."""
    Dawdling.runs.clear()
    options = (*DAWDLED, f"evaluation.every={every}")
    whole = measured(tmp_path / "whole", *options, plugins=DAWDLING)
    Dawdling.made.clear()
    halted = measured(tmp_path / "halted", *options, plugins=DAWDLING, tricks=(Dawdling.Watch(),))
    assert (halted.info["status"], halted.step, halted.info["announcements"]) == ("interrupted", every or 6, [])
    assert not (halted.path / "evaluation.json").exists()
    Dawdling.runs.clear()
    again = resumed(halted.path, plugins=DAWDLING)
    assert again.info["status"] == "finished"
    for name in ("quality/featured", "quality/spread", "final/featured", "loss/generator"):
        assert values(again, name) == values(whole, name)
    assert written(again)["values"] == written(whole)["values"]
    assert not [text for text in again.info["announcements"] if "lines are missing" in text]
    split = [line for line in lines(again) if set(line["metrics"]) == {"quality/spread", "quality/featured"}]
    assert [line["step"] for line in split] == ([every] if every else [])


def bad_data(spec: ganlab.DatasetSpec) -> ganlab.ResidentDataset:
    def gone() -> ganlab.ResidentDataset:
        raise OSError("the disk is gone")

    return ganlab.ResidentDataset(torch.rand(64, 2), range=(0.0, 1.0), held_out=gone, complete=gone)


def test_data_that_cannot_tell_what_they_hold_out_stop_nothing(tmp_path: Path) -> None:
    plugins = (BROUGHT, Plugin(datasets={"bad": bad_data}))
    run = measured(tmp_path, SPREAD, FEATURED, 'judge={use="squares"}', 'data={use="bad"}', plugins=plugins)
    assert run.info["status"] == "finished"
    told = [text.splitlines()[0] for text in run.info["announcements"]]
    assert told[0].startswith("Samples are not compared with held-out data. dataset 'bad', in held_out(), raised OSError")
    assert told[1].startswith("Metrics that need a judge are not measured. dataset 'bad', in complete(), raised OSError: the disk is gone")
    assert list(written(run)["values"]) == ["spread"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "there is not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "there is not enough memory"),
    ],
)
def test_a_metric_without_memory_stops_nothing(tmp_path: Path, error: Exception, words: str) -> None:
    class Greedy(Spread):
        def measure(self, evidence: Evidence) -> dict[str, float]:
            raise error

    run = measured(tmp_path, 'metrics.greedy={use="greedy"}', SLOW, plugins=(BROUGHT, Plugin(metrics={"greedy": Greedy})))
    if isinstance(error, MemoryError):
        assert written(run)["not_measured"] == {"greedy": words}
    assert (run.info["status"], set(written(run)["values"])) == ("finished", {"slow"})


def test_what_is_no_number_is_no_result(tmp_path: Path) -> None:
    class Lost(Spread):
        results: ClassVar[Mapping[str, Better]] = {"lost": "lower", "found": "lower"}
        main_results = ("lost", "found")

        def measure(self, evidence: Evidence) -> dict[str, float]:
            return {"lost": math.nan, "found": 1.0}

    run = measured(tmp_path, 'metrics.lost={use="lost"}', plugins=(Plugin(metrics={"lost": Lost}),))
    assert (written(run)["values"], written(run)["not_measured"]) == ({"found": 1.0}, {"lost": "it is not a finite number"})
    assert written(run)["main_results"] == ["found"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"results": None}, "has no `results`"),
        ({"results": {"a": "smaller"}}, "results['a'] is 'smaller'\nchoices: higher, lower, neither"),
        ({"main_results": ["spred"]}, "`main_results` names 'spred', which has no direction in `results`"),
        ({"needs": "sample"}, "`needs` is 'sample'\ndid you mean 'samples'?"),
        ({"quick": None}, "`quick` is None"),
        ({"measure": None}, "has no method measure"),
    ],
)
def test_a_metric_that_lacks_something_is_refused_before_the_first_step(change: dict[str, Any], words: str) -> None:
    odd = type("Odd", (Spread,), change)
    with pytest.raises(PluginError) as error:
        measured(None, 'metrics.odd={use="odd"}', plugins=(Plugin(metrics={"odd": odd}),))
    assert str(error.value).startswith("metric 'odd' (plugin plugin0, the test)") and words in str(error.value)


def test_a_judge_that_fails_to_classify_is_named_and_stops_nothing(tmp_path: Path) -> None:
    class Eyes:
        description, identity, classes = "eyes", "1", 2

        def features(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1)

        def classify(self, features: torch.Tensor) -> torch.Tensor:
            raise OSError("blind")

    class Classy(Spread):
        needs: ClassVar[Needs] = "probabilities"

        def measure(self, evidence: Evidence) -> dict[str, float]:
            return {"spread": float(evidence.fakes.probabilities.std())}

    plugins = (BROUGHT, Plugin(judges={"eyes": lambda spec: Eyes()}, metrics={"classy": Classy}))
    run = measured(tmp_path, BOUNDED, SLOW, 'metrics.classy={use="classy"}', 'judge={use="eyes"}', plugins=plugins)
    assert (run.info["status"], set(written(run)["values"])) == ("finished", {"slow"})
    assert any("judge 'eyes'" in text and "blind" in text for text in run.info["announcements"])


def test_a_judge_that_lacks_something_stops_nothing(tmp_path: Path) -> None:
    plugins = (BROUGHT, Plugin(judges={"odd": lambda spec: object()}))
    run = measured(tmp_path, BOUNDED, FEATURED, SPREAD, 'judge={use="odd"}', "evaluation.every=1", plugins=plugins)
    assert run.info["status"] == "finished"
    told = [text for text in run.info["announcements"] if "judge 'odd'" in text]
    assert len(told) == 1 and "has no `description`" in told[0]


@pytest.mark.parametrize("part", ["collapsed", "note"])
def test_all_of_a_metric_is_watched(tmp_path: Path, part: str) -> None:
    class Odd(Spread):
        def measure(self, evidence: Evidence) -> dict[str, float]:
            if part == "note":
                evidence.note("mean", evidence.fakes.values.mean())  # type: ignore[arg-type]
            return super().measure(evidence)

        def collapsed(self, values: Mapping[str, float], dataset: Any) -> str:
            return {}["nothing"] if part == "collapsed" else ""

    run = measured(tmp_path, 'metrics.odd={use="odd"}', SLOW, plugins=(BROUGHT, Plugin(metrics={"odd": Odd})))
    assert run.info["status"] == "finished"
    assert written(run)["not_measured"]["odd"].startswith("metric 'odd' (plugin plugin1, the test) raised ")


# -- modes -----------------------------------------------------------------------------------------------------------------


def ring_metrics(points: torch.Tensor, **options: float) -> dict[str, float]:
    overrides = [f"metrics.modes.{name}={value}" for name, value in options.items()]
    run = prepare(recipe="ring", steps=1, overrides=['data={use="ring"}', 'metrics.modes={use="modes"}', *overrides])
    return run.evaluations.evaluator.measure(points, quick=True).values


def ring_points(modes: int, count: int = 8000) -> torch.Tensor:
    """Points of the first ``modes`` of eight, on the ring of the defaults."""
    generator = torch.Generator().manual_seed(0)
    angles = 2 * math.pi / 8 * (torch.arange(count) % modes)
    centres = 2 * torch.stack((angles.cos(), angles.sin()), dim=1)
    return centres + 0.02 * torch.randn(count, 2, generator=generator)


@pytest.mark.parametrize("modes", [1, 3, 8])
def test_modes_finds_the_modes_that_are_there(modes: int) -> None:
    found = ring_metrics(ring_points(modes))
    assert found["modes"] == modes
    assert found["reverse_kl"] == pytest.approx(math.log(8 / modes), abs=1e-3)
    assert found["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.005)  # the radius of a Gaussian in the plane is Rayleigh's


def test_modes_of_samples_that_hit_none() -> None:
    assert ring_metrics(torch.zeros(100, 2)) == {"modes": 0.0, "high_quality": 0.0}


def test_modes_counts_a_mode_by_its_share() -> None:
    points = torch.cat([ring_points(1, 990), ring_points(2, 20)[1::2]])  # 1 % in the second mode: 8 % of its share
    assert ring_metrics(points)["modes"] == 1
    assert ring_metrics(points, found_by=0.05)["modes"] == 2
    assert ring_metrics(points, within=0.1)["high_quality"] == pytest.approx(1 - math.exp(-0.005), abs=0.01)
