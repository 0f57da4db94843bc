"""``ganlab compare``: groups, differences, verdicts and the report."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganlab.cli import main
from ganlab.comparison import Spread, confidence_interval, differences, grouped, main_metric, verdicts
from ganlab.comparison.page import SIGN, page
from ganlab.errors import UsageError
from ganlab.pictures import save_png
from ganlab.records.folder import RunFolder
from ganlab.records.results import RunResult
from ganlab.records.summaries import RunSummary, list_runs

BETTER = {"frechet_distance": "lower", "coverage": "higher", "samples_seen": "neither"}


def made(
    runs: Path, name: str, seed: int = 0, values: dict[str, float] | None = None, recipe: str = "[generator]\nlr = 1\n", **info: Any
) -> RunSummary:
    """The folder of a run, as far as a comparison reads it."""
    path = runs / f"20260101-000000-{name}-{len(list(runs.glob('*'))):04x}"
    (path / "samples").mkdir(parents=True)
    about = {"samples": 1000, "judge": "eyes", "judge_identity": "1"} | info.pop("about", {})
    collapsed, main_results = info.pop("collapsed", ""), info.pop("main_results", [])
    data = {
        "recipe": name,
        "seed": seed,
        "status": "finished",
        "training_seconds": 60.0,
        "created": float(seed),
        "data": {"fingerprint": "f"},
    }
    (path / "run.json").write_text(json.dumps(data | info))
    (path / "recipe.toml").write_text(f'name = "{name}"\n{recipe}\n[train]\nseed = {seed}\n[tracking]\nuri = "u{seed}"\n')
    lines = [
        {"step": step, "time": 0.0, "metrics": {"loss/generator": 1.0 / step, "quality/coverage": None if step == 2 else 0.5}}
        for step in (1, 2)
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    save_png(np.full((8, 8, 3), 40 * seed, np.uint8), path / "samples/step_000000100.png")
    if values is not None:
        evaluation = {"step": 100, "values": values, "better": {key: BETTER[key] for key in values}}
        evaluation |= {"about": about, "collapsed": collapsed, "main_results": main_results}
        (path / "evaluation.json").write_text(json.dumps(evaluation))
    return RunSummary(RunFolder(path), RunFolder(path).read_info())


def results(runs: Path, groups: dict[str, list[float]], metric: str = "frechet_distance", **more: Any) -> Any:
    """Groups of runs, of seeds 0, 1, 2 ..., with the given values."""
    runs_of = [made(runs, name, seed, {metric: value}, **more) for name, values in groups.items() for seed, value in enumerate(values)]
    return grouped([RunResult(run) for run in runs_of])


def ganlab(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


# -- groups ----------------------------------------------------------------------------------------------------------------


def test_runs_are_grouped_by_recipe(tmp_path: Path) -> None:
    runs = [made(tmp_path, "a", 1), made(tmp_path, "b", 0, recipe="[generator]\nlr = 2"), made(tmp_path, "a", 0)]
    groups = grouped([RunResult(run) for run in runs])
    assert [(group.name, [result.seed for result in group.results]) for group in groups] == [("a", [0, 1]), ("b", [0])]
    assert differences(groups) == {"generator.lr": [1, 2]}


def test_groups_with_one_name_are_named_after_their_differences(tmp_path: Path) -> None:
    base = '[[tricks]]\nuse = "clamp"\nmargin = 0.1\n[[tricks]]\nuse = "packing"\nenabled = %s\nsize = 2\n[generator]\nlr = %s'
    runs = [made(tmp_path, "a", recipe=base % pair) for pair in (("true", "1"), ("false", "1"), ("true", "2"))]
    groups = grouped([RunResult(run) for run in runs])
    assert [group.name for group in groups] == [
        "a generator.lr=1",
        "a generator.lr=1 without packing",
        "a generator.lr=2",
    ]
    assert differences(groups) == {"tricks.packing": ["on", "off", "on"], "tricks.packing.size": [2, "-", 2], "generator.lr": [1, 1, 2]}


def test_measurement_options_do_not_split_a_group(tmp_path: Path) -> None:
    runs = [made(tmp_path, "a", recipe=f"[evaluation]\nsamples = {count}\n[judge]\nseed = {count}") for count in (10, 20)]
    assert len(grouped([RunResult(run) for run in runs])) == 1


def test_a_run_resumed_with_a_changed_recipe_is_a_group_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = {"time": 0.0, "changed": {}, "step": 40, "recipe": ["lr = 2 (was 1)", "k = 1 (was 0)"]}
    resumed = {"time": 0.0, "changed": {"threads": 2}}
    resumed_run = made(tmp_path, "a", 0, {"coverage": 0.1}, resumed=[resumed, changed])
    whole = [made(tmp_path, "a", seed, {"coverage": 0.5}, resumed=[resumed]) for seed in (0, 1)]
    groups = grouped([RunResult(run) for run in (*whole, resumed_run)])
    assert [(group.name, group.seeds) for group in groups] == [("a", [0, 1]), ("a changed at step 40", [0])]
    assert ganlab("compare", "--runs-dir", str(tmp_path)) == 0
    assert f"{resumed_run.id} changed at step 40: lr = 2 (was 1); k = 1 (was 0)." in " ".join(capsys.readouterr().out.split())
    assert len(grouped([RunResult(made(tmp_path, "b", resumed=odd)) for odd in ([], [{}], [{"step": 3}])])) == 1
    for odd in (None, 3, [4], [{"recipe": 5}]):
        with pytest.raises(UsageError, match=re.escape(f"is damaged: its resumed is {odd!r}")):
            made(tmp_path, "b", resumed=odd)


def test_different_changes_at_one_step_are_different_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ("", "lr = 2 (was 1)", "lr = 2 (was 3)"):
        for seed in range(3):
            resumed = [{"step": 40, "recipe": [words]}] if words else []
            made(tmp_path, "a", seed, {"coverage": 0.5 + seed / 100}, resumed=resumed)
    assert ganlab("compare", "--runs-dir", str(tmp_path)) == 0
    out = [line.split("  ")[0] for line in capsys.readouterr().out.partition("against a\n")[2].splitlines()]
    assert out[:3] == ["a", "a changed at step 40", "a changed at step 40 (2)"]


def test_unreadable_files_give_empty_results(tmp_path: Path) -> None:
    run = made(tmp_path, "a", values={"coverage": 1.0})
    (run.folder.path / "evaluation.json").write_text("{]")
    (run.folder.path / "recipe.toml").write_text("= 3")
    result = RunResult(run)
    assert (result.values, result.options, result.collapsed) == ({}, {}, "")
    assert result.curves == {"loss/generator": [(1, 1.0), (2, 0.5)], "quality/coverage": [(1, 0.5)]}


# -- statistics ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "deviation", "text"),
    [
        (629.84, 218.6, "630 ± 220"),
        (0.01228, 0.0039, "0.0123 ± 0.0039"),
        (4.6, 1.52, "4.6 ± 1.5"),
        (-0.4, 9.97, "-0.4 ± 10.0"),
        (9.0, 0.0, "9 ± 0"),
        (1.5, 1e-12, "1.5 ± 1e-12"),
        (3e9, 2.34e8, "3e+09 ± 2.3e+08"),
    ],
)
def test_a_mean_is_rounded_to_the_decimals_of_its_deviation(mean: float, deviation: float, text: str) -> None:
    assert str(Spread(mean, deviation, 3)) == text


def test_the_standard_deviation_is_that_of_the_sample() -> None:
    spread = Spread.of([1.0, 3.0, math.nan])
    assert (spread.mean, spread.deviation, spread.count, str(spread)) == (2.0, math.sqrt(2), 2, "2.0 ± 1.4")
    assert (str(Spread.of([0.5])), str(Spread.of([]))) == ("0.5", "-")


def test_the_confidence_interval_covers_the_mean_in_95_percent() -> None:
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        values = list(generator.normal(3.0, 2.0, size=5))
        low, high = confidence_interval(values) or (math.nan, math.nan)
        hits += low < 3.0 < high
    assert hits / 2000 == pytest.approx(0.95, abs=0.015)
    assert confidence_interval([1.0]) is None


def test_the_rate_of_false_verdicts_is_below_5_percent(tmp_path: Path) -> None:
    """Three recipes do not differ: a verdict other than "no difference" is a false one."""
    generator = np.random.default_rng(1)
    groups = results(tmp_path, {"a": [0.0] * 4, "b": [0.0] * 4, "c": [0.0] * 4})
    false = 0
    for _ in range(600):
        for group in groups:
            for result in group.results:
                result.values["frechet_distance"] = float(generator.normal())
        false += any("no difference" not in verdict.words for verdict in verdicts(groups, "frechet_distance"))
    assert false / 600 < 0.08


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([10.0, 11.0, 12.0, 13.0], [5.0, 6.1, 7.0, 8.2], r"better than a \(4 seeds, p = .*\)"),
        ([5.0, 6.1, 7.0, 8.2], [10.0, 11.0, 12.0, 13.0], r"worse than a \(4 seeds, p = .*\)"),
        ([5.0, 9.0, 7.0, 8.2], [6.0, 8.0, 7.5, 8.0], r"no difference shown with 4 seeds \(p = .*\)"),
        ([5.0, 9.0, 7.0], [1.0, 0.8, 1.2, 0.9], r"better than a \(3 and 4 seeds, p = .*\)"),
        ([5.0], [1.0], "no verdict: one seed each says nothing about chance"),
        ([5.0, 6.0], [1.0], "no verdict: too few seeds"),
        ([5.0, 5.0], [1.0, 1.0], r"no difference shown with 2 seeds \(p = 0.5\)"),  # two seeds that agree prove nothing
        ([5.0] * 6, [1.0] * 6, r"better than a \(6 seeds, p = 0.031\)"),
        ([5.0, 5.0], [5.0, 5.0], r"no difference shown with 2 seeds \(p = 1\)"),
    ],
)
def test_verdicts(tmp_path: Path, first: list[float], second: list[float], words: str) -> None:
    (verdict,) = verdicts(results(tmp_path, {"a": first, "b": second}), "frechet_distance")
    assert re.fullmatch(words, verdict.words), verdict.words


def test_higher_may_be_better(tmp_path: Path) -> None:
    groups = results(tmp_path, {"a": [0.1, 0.12, 0.11], "b": [0.9, 0.95, 0.93]}, "coverage")
    assert verdicts(groups, "coverage")[0].words.startswith("better than a")


def test_runs_with_equal_seeds_are_paired(tmp_path: Path) -> None:
    """Seeds differ much and recipes little, but always in one direction: only the paired test shows it."""
    groups = results(tmp_path, {"a": [10.0, 50.0, 90.0, 30.0], "b": [9.0, 48.9, 89.2, 29.0]})
    (verdict,) = verdicts(groups, "frechet_distance")
    assert verdict.paired and verdict.words.startswith("better") and verdict.difference == pytest.approx(-0.975)


def test_p_values_are_corrected_for_the_number_of_comparisons(tmp_path: Path) -> None:
    """Holm's correction multiplies the smallest of four p-values by four."""
    first, near = [10.0, 11.0, 12.0, 10.5], [9.0, 10.3, 10.0, 9.9]
    alone = verdicts(results(tmp_path / "1", {"a": first, "b": near}), "frechet_distance")[0]
    noise = {name: [9.0 + i, 12.0, 11.0 - i / 2, 10.0] for i, name in enumerate("cde")}
    among = verdicts(results(tmp_path / "2", {"a": first, "b": near, **noise}), "frechet_distance")[0]
    assert alone.probability is not None and among.probability == pytest.approx(4 * alone.probability)
    assert alone.words.startswith("better") and among.words.startswith("no difference shown")


def test_collapsed_and_failed_runs_are_counted(tmp_path: Path) -> None:
    for seed in range(3):
        made(tmp_path, "a", seed, {"coverage": 0.8 + seed / 100})
        more: dict[str, Any] = {"status": "failed"} if seed == 2 else {"collapsed": "3 of 10 classes"} if seed else {}
        made(tmp_path, "b", seed, None if seed == 2 else {"coverage": 0.7 - seed / 2}, **more)
    groups = grouped([RunResult(run) for run in list_runs(tmp_path)])
    assert verdicts(groups, "coverage")[0].words.endswith("; collapsed in 1 of 3; failed in 1 of 3")


def test_the_main_metric_is_the_first_main_result_that_all_runs_have(tmp_path: Path) -> None:
    every = {"samples_seen": 1.0, "coverage": 1.0}
    values = {"a": {"frechet_distance": 1.0, **every}, "b": every}
    main_results = {"a": ["samples_seen", "frechet_distance", "coverage"], "b": ["samples_seen", "coverage"]}
    runs = [made(tmp_path, name, values=values[name], main_results=main_results[name]) for name in values]
    groups = grouped([RunResult(run) for run in runs])
    assert (main_metric(groups), main_metric(groups[:1]), main_metric([])) == ("coverage", "frechet_distance", None)


@pytest.mark.parametrize("main_results", [None, [], 3, [4], ["gone"]])
def test_without_main_results_the_first_metric_with_a_direction_counts(tmp_path: Path, main_results: object) -> None:
    """Evaluations of version 0.1 have none."""
    run = made(tmp_path, "a", values={"samples_seen": 1.0, "coverage": 1.0, "frechet_distance": 1.0}, main_results=main_results)
    assert main_metric(grouped([RunResult(run)])) == "coverage"


# -- the command -----------------------------------------------------------------------------------------------------------


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = tmp_path / "runs"
    for seed in range(3):
        made(runs, "plain", seed, {"frechet_distance": 20.0 + seed, "coverage": 0.5})
        made(runs, "clipped", seed, {"frechet_distance": 10.0 + seed / 2, "coverage": 0.6}, recipe="[generator]\nlr = 2\n")
    report = tmp_path / "report.html"
    assert ganlab("compare", "--runs-dir", str(runs), "--recipe", "plain", "--recipe", "clipped", "--html", str(report)) == 0
    assert capsys.readouterr().out == (
        "                         plain       clipped\n"
        "frechet distance ↓  21.0 ± 1.0  10.50 ± 0.50\n"
        "coverage ↑             0.5 ± 0       0.6 ± 0\n"
        "minutes                  1 ± 0         1 ± 0\n"
        "seeds                        3             3\n"
        "collapsed               0 of 3        0 of 3\n"
        "failed                  0 of 3        0 of 3\n"
        "mean ± standard deviation over seeds\n"
        "\n"
        "option        plain  clipped\n"
        "generator.lr  1      2\n"
        "\n"
        "verdict, by frechet distance:\n"
        "recipe   mean over seeds       against plain\n"
        "plain    95 % CI 18.5 to 23.5\n"
        "clipped  95 % CI 9.26 to 11.7  better than plain (3 seeds, p = 0.00076)\n"
        "\n"
        f"{report} has the curves and the samples, too\n"
    )
    assert ganlab("compare", "--runs-dir", str(runs), "--by", "coverage") == 0
    out = capsys.readouterr().out
    assert "verdict, by coverage:\nrecipe   mean over seeds     against clipped\nclipped  95 % CI 0.6 to 0.6\n" in out
    assert "\nplain    95 % CI 0.5 to 0.5  no difference shown with 3 seeds (p = 0.25)\n" in out


def test_the_report_is_self_contained_and_has_no_scripts(tmp_path: Path) -> None:
    evil = made(tmp_path, "<script>alert(1)</script>".replace("/", "-"), values={"coverage": 0.5})
    other = made(tmp_path, "other", values={"coverage": 0.4}, recipe='[data]\npath = "</td><img src=x>"')
    text = page(grouped([RunResult(evil), RunResult(other)]), "coverage")
    tags: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append((tag, dict(attrs)))

    Reader().feed(text)
    assert "script" not in {tag for tag, _ in tags} and "link" not in {tag for tag, _ in tags}
    sources = [attributes["src"] or "" for tag, attributes in tags if tag == "img"]
    assert [source.partition(";")[0] for source in sources] == ["data:image/svg+xml"] * 2 + ["data:image/png"] * 2
    assert "&lt;script&gt;" in text and "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)


def test_numbers_that_cannot_be_compared_cause_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "a", values={"coverage": 0.5})
    made(tmp_path, "b", values={"coverage": 0.5}, about={"samples": 10, "judge_identity": "2"}, data={"fingerprint": "g"})
    unmeasured = made(tmp_path, "b", seed=1)
    assert ganlab("compare", "--runs-dir", str(tmp_path)) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "These runs were measured with different numbers of samples: their numbers cannot be compared. "
        "`ganlab evaluate` measures them again." in out
    )
    assert "These runs were measured with different judges: their" in out
    assert "These runs were trained on different data, or on the same data in another range, which does no harm." in out
    assert f"1 of these runs ended without a generator to measure or a checkpoint to resume from: {unmeasured.id}" in out
    unmeasured.folder.checkpoints.mkdir()
    unmeasured.folder.checkpoint_path(5).touch()
    assert ganlab("compare", "--runs-dir", str(tmp_path)) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"1 of these runs ended before they had a generator to measure: ganlab resume {unmeasured.folder.path}" in out
    unmeasured.folder.generator.touch()
    assert ganlab("compare", "--runs-dir", str(tmp_path)) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"1 of these runs have not been measured: ganlab evaluate {unmeasured.folder.path}" in out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--recipe", "plian"], "no run in RUNS is of a recipe called 'plian'\nhint: did you mean 'plain'? (choices: plain)"),
        (["--by", "frechet"], "no run here has a metric 'frechet'\nhint: choices: coverage"),
        (["nothing"], "no run called 'nothing' in RUNS"),
    ],
)
def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], text: str) -> None:
    made(tmp_path, "plain", values={"coverage": 0.5})
    assert ganlab("compare", "--runs-dir", str(tmp_path), *words) == 2
    assert f"error: {text}".replace("RUNS", str(tmp_path)) in capsys.readouterr().err


def test_a_report_replaces_only_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs, report, other = str(tmp_path / "runs"), tmp_path / "report.html", tmp_path / "my.toml"
    made(tmp_path / "runs", "plain", values={"coverage": 0.5})
    other.write_text("precious = 1")
    assert [ganlab("compare", "--runs-dir", runs, "--html", str(report)) for _ in range(2)] == [0, 0]
    capsys.readouterr()
    assert ganlab("compare", "--runs-dir", runs, "--html", str(other)) == 2
    assert capsys.readouterr() == (
        "",
        f"error: {other} already exists, and is not a report of `ganlab compare`\nhint: name another file with --html\n",
    )
    assert other.read_text() == "precious = 1"
    (tmp_path / "empty.html").touch()
    assert [ganlab("compare", "--runs-dir", runs, "--html", str(tmp_path / name)) for name in ("empty.html", report.name)] == [0, 0]
    assert SIGN in report.read_text()
    capsys.readouterr()
    assert ganlab("compare", "--runs-dir", runs, "--html", str(other / "x.html")) == 1
    assert capsys.readouterr().err.endswith("x.html cannot be written: File exists\nhint: name another file with --html\n")


def test_without_runs_there_is_nothing_to_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ganlab("compare", "--runs-dir", str(tmp_path)) == 2
    assert "there are no finished runs in" in capsys.readouterr().err


# -- ganlab runs -----------------------------------------------------------------------------------------------------------


def listed(runs: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """The recipes and seeds of the runs that are listed, in their order."""
    assert ganlab("runs", "--runs-dir", str(runs), "--json", *words) == 0
    return [f"{run['recipe']}{run['seed']}" for run in json.loads(capsys.readouterr().out)]


def test_runs_are_filtered_and_sorted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "a", 0, {"frechet_distance": 3.0, "coverage": 0.3}, created=5.0)
    made(tmp_path, "a", 1, {"frechet_distance": 1.0, "coverage": 0.1}, created=4.0, recipe="[generator]\nlr = 2")
    made(tmp_path, "b", 2, {"frechet_distance": 2.0, "coverage": 0.2}, created=3.0, training_seconds=600.0)
    made(tmp_path, "b", 3, created=2.0, status="failed")
    assert listed(tmp_path, capsys) == ["b3", "b2", "a1", "a0"]
    assert listed(tmp_path, capsys, "--sort", "frechet_distance") == ["a1", "b2", "a0", "b3"]  # the best first, unmeasured last
    assert listed(tmp_path, capsys, "--sort", "coverage") == ["a0", "b2", "a1", "b3"]
    assert listed(tmp_path, capsys, "--sort", "minutes")[-1] == "b2"
    assert listed(tmp_path, capsys, "--recipe", "b", "--status", "finished") == ["b2"]
    assert listed(tmp_path, capsys, "--where", "generator.lr=2") == ["a1"]
    assert listed(tmp_path, capsys, "--where", "generator.lr=1", "--sort", "seed") == ["a0", "b2", "b3"]


def test_runs_are_filtered_by_options_of_the_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tricks = '[[tricks]]\nuse = "clamp"\nmargin = 0.1\n[[tricks]]\nuse = "packing"\n'
    made(tmp_path, "a", 0, recipe=tricks)
    made(tmp_path, "a", 1, recipe=f"{tricks}enabled = false\n")
    assert listed(tmp_path, capsys, "--where", "train.seed=1") == ["a1"]
    assert listed(tmp_path, capsys, "--where", "tracking.uri=u0") == ["a0"]
    assert listed(tmp_path, capsys, "--where", "tricks.clamp.margin=0.1") == ["a0", "a1"]
    for word in ("on", "off"):
        number = int(word == "off")
        assert listed(tmp_path, capsys, "--where", f"tricks.packing={word}") == [f"a{number}"]
        assert listed(tmp_path, capsys, "--where", f"tricks.packing.enabled={('true', 'false')[number]}") == [f"a{number}"]


def test_damaged_runs_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "a", 0)
    for name, text in (("half", '{"status":'), ("other", "[]")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(text, encoding="utf-8")
    assert ganlab("runs", "--runs-dir", str(tmp_path)) == 0
    shown = capsys.readouterr()
    half, other = shown.err.splitlines()
    assert half.startswith(f"note: one run is not listed: {tmp_path / 'half' / 'run.json'} cannot be read: Expecting value")
    assert other == f"note: one run is not listed: {tmp_path / 'other' / 'run.json'} is not the run.json of a run: it holds no JSON object"
    assert len(shown.out.splitlines()) == 2  # the head, and the run that can be
    (tmp_path / "half").rename(tmp_path / "a\x1b[31mred")
    assert ganlab("runs", "--runs-dir", str(tmp_path)) == 0
    assert r"a\x1b[31mred" in capsys.readouterr().err  # a stranger's name cannot command the terminal


def test_the_plus_minus_is_explained_where_there_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "a", 0, status="failed")
    made(tmp_path, "a", 1, status="failed")
    assert ganlab("compare", "--runs-dir", str(tmp_path)) == 0
    out = capsys.readouterr().out
    assert ("±" in out.partition("mean ±")[0]) is ("mean ± standard" in out)
    made(tmp_path, "b", 0, {"coverage": 0.5})
    assert ganlab("compare", "--runs-dir", str(tmp_path), "--recipe", "b") == 0
    assert "±" not in capsys.readouterr().out
    made(tmp_path, "b", 1, {"coverage": 0.75})
    assert ganlab("compare", "--runs-dir", str(tmp_path), "--recipe", "b") == 0
    assert "\nmean ± standard deviation over seeds\n" in capsys.readouterr().out


def test_the_table_has_columns_for_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "a", 0, {"frechet_distance": 31.234, "coverage": 0.3})
    made(tmp_path, "b", 1)
    assert ganlab("runs", "--runs-dir", str(tmp_path), "--metric", "coverage", "--sort", "frechet_distance") == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert (head.split()[-2:], [row.split()[-2:] for row in rows]) == (["coverage", "frechet_distance"], [["0.3", "31.2"], ["-", "-"]])
    assert ganlab("runs", "--runs-dir", str(tmp_path), "--status", "interrupted") == 0
    assert capsys.readouterr().out == f"none of the 2 runs in {tmp_path} matches\n"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--sort", "coverge"], "no run can be sorted by 'coverge'\nhint: did you mean 'coverage'? (choices:"),
        (["--metric", "modes"], "no run has a metric 'modes'\nhint: choices: coverage"),
        (["--recipe", "b"], "no run uses a recipe called 'b'\nhint: choices: a"),
        (["--where", "generator.lr"], "--where generator.lr has no value\nhint: type --where generator.lr=VALUE"),
        (["--where", "generator.rl=1"], "no run's recipe has 'generator.rl'\nhint: did you mean 'generator.lr'?"),
        (["--where", "q=1"], "no run's recipe has 'q'\nhint: the keys are those of --set; recipe.toml has them all"),
    ],
)
def test_mistakes_of_filters(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], text: str) -> None:
    made(tmp_path, "a", values={"coverage": 0.5})
    assert ganlab("runs", "--runs-dir", str(tmp_path), *words) == 2
    assert f"error: {text}" in capsys.readouterr().err


# -- untrusted folders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "evaluation",
    [
        {"values": {"coverage": 0.5}, "better": {"coverage": "sideways"}},
        {"values": {"coverage": 0.5}, "better": 5},
        {"values": {"coverage": 0.5}, "about": "x"},
        {"values": {"coverage": 0.5}, "about": {"samples": [1]}},
        {"values": {"coverage": 10**400}},
        {"values": {"coverage": math.nan}, "better": {"coverage": "higher"}},
        {"values": []},
        [],
    ],
)
def test_a_damaged_evaluation_causes_no_traceback(tmp_path: Path, evaluation: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        run = made(tmp_path, name, values={"coverage": 0.5})
        (run.folder.path / "evaluation.json").write_text(json.dumps(evaluation))
        (run.folder.path / "metrics.jsonl").write_text('{"step": 1, "time": 0.0, "metrics": {"quality/coverage": "x"}}\n')
    assert ganlab("compare", "--runs-dir", str(tmp_path), "--html", str(tmp_path / "page.html")) == 0
    assert "nan" not in capsys.readouterr().out
    (run.folder.path / "evaluation.json").write_text("[" * 100_000)
    assert ganlab("compare", "--runs-dir", str(tmp_path)) == 0


def test_links_of_a_strangers_run_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"values": {"coverage": 1.0}}')
    run = made(tmp_path / "runs", "a", values={"coverage": 0.5})
    for name in ("evaluation.json", "samples/step_000000100.png", "recipe.toml"):
        (run.folder.path / name).unlink()
        (run.folder.path / name).symlink_to(secret)
    result = RunResult(run)
    assert (result.values, result.last_sheet, result.options) == ({}, None, {})


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "a", recipe='[generator]\nlr = "\\u001b]0;pwned\\u0007"', values={"coverage": 0.5})
    made(tmp_path, "a", recipe="[generator]\nlr = 2", values={"coverage": 0.5})
    assert ganlab("compare", "--runs-dir", str(tmp_path)) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and r"\x1b]0;pwned\x07" in out


# -- misleading numbers -----------------------------------------------------------------------------------------------------


def test_there_is_no_verdict_if_runs_lack_the_number(tmp_path: Path) -> None:
    """The worst runs of the ring hit no mode, and have no divergence: the others alone must not make the recipe better."""
    better = {"frechet_distance": "lower", "coverage": "higher"}
    for seed in range(5):
        made(tmp_path, "a", seed, {"frechet_distance": 2.0 + seed / 10, "coverage": 0.5 + seed / 100})
        made(tmp_path, "b", seed, {"coverage": 0.1 + seed / 100} | ({"frechet_distance": 1.0 + seed / 10} if seed < 2 else {}))
    groups = grouped([RunResult(run) for run in list_runs(tmp_path)])
    assert better.keys() == groups[0].results[0].better.keys()
    assert main_metric(groups) == "coverage"
    (verdict,) = verdicts(groups, "frechet_distance")
    assert verdict.words == "no verdict: 3 of 5 runs of b have no such number, and they may be the worst"


def test_a_failed_run_does_not_prevent_a_verdict(tmp_path: Path) -> None:
    made(tmp_path, "a", 0, status="failed")
    for seed in range(1, 4):
        made(tmp_path, "a", seed, {"coverage": 0.5 + seed / 100})
        made(tmp_path, "b", seed, {"coverage": 0.9 + seed / 200})
    groups = grouped([RunResult(run) for run in list_runs(tmp_path)])
    assert main_metric(groups) == "coverage"
    assert verdicts(groups, "coverage")[0].words.startswith("better than a (3 seeds")


def test_the_last_finished_of_several_runs_with_one_seed_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "a", 0, {"coverage": 0.5}, created=1.0)
    made(tmp_path, "a", 0, {"coverage": 0.7}, created=2.0)
    made(tmp_path, "a", 0, {"coverage": 0.1}, created=3.0, status="failed")
    groups = grouped([RunResult(run) for run in list_runs(tmp_path)])
    assert (groups[0].measured("coverage"), groups[0].seeds) == ({0: 0.7}, [0])
    assert ganlab("compare", "--runs-dir", str(tmp_path)) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "a has several runs with one seed: of these, the last finished run counts." in out
    assert "had not finished training when measured." in out


def test_different_metric_options_cause_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k in (3, 5):
        made(tmp_path, "a", k, {"coverage": 0.5}, recipe=f'[[metrics]]\nuse = "neighbours"\nk = {k}')
    assert ganlab("compare", "--runs-dir", str(tmp_path)) == 0
    assert "The metrics of these runs have different options: their numbers cannot be compared." in " ".join(
        capsys.readouterr().out.split()
    )


def test_running_runs_are_listed_as_running(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = made(tmp_path, "plain", 0, {"coverage": 0.5})
    running = made(tmp_path, "plain", 1, status="running", host="another machine")
    idle = made(tmp_path, "plain", 2, status="interrupted")
    assert ganlab("compare", "--runs-dir", str(tmp_path), done.id, running.id, idle.id) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"1 of these runs ended without a generator to measure or a checkpoint to resume from: {idle.id}" in out
    assert f"1 of these runs are still running, and have no numbers yet: {running.id}" in out
