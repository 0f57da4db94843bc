"""The trick ``loss_plot``: what is drawn, and when."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import ganlab_figures
from ganlab_figures import Captions, LossPlot, curve, draw, draw_losses, draw_scores, read_metrics, running_mean, updates_per_step

LOSSES = {
    "loss/discriminator": [1.2, 1.0, 0.8],
    "loss/generator": [0.7, 0.9, 1.1],
    "score/real": [0.5, 0.6, 0.7],
    "score/fake": [0.5, 0.4, 0.3],
}


def points(**series: list[float]) -> dict[str, ganlab_figures.Points]:
    return {name.replace("__", "/"): (100 * np.arange(1, len(values) + 1), np.array(values)) for name, values in series.items()}


def metrics(**more: list[float]) -> dict[str, ganlab_figures.Points]:
    return points(**LOSSES) | points(**more)


def write_lines(path: Path, count: int = 3) -> None:
    lines = [{"step": 100 * (i + 1), "time": 0.0, "metrics": {name: values[i] for name, values in LOSSES.items()}} for i in range(count)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def fake_run(path: Path, use: str = "bce", loss: str = "sum", logits: bool = True) -> SimpleNamespace:
    return SimpleNamespace(
        path=path,
        id="20260102-030405-ring-1a2b",
        recipe=SimpleNamespace(losses={"discriminator": SimpleNamespace(use=use)}),
        losses={"discriminator": SimpleNamespace(logits=logits)},
        schedule=SimpleNamespace(discriminator_loss=loss),
        steps_per_epoch=100,
    )


def test_reading_leaves_out_what_is_not_finite_and_what_a_crash_tore(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text(
        '{"step": 1, "time": 0, "metrics": {"a": 1.0, "b": null}}\n{"step": 2, "ti\n'
        '{"step": 3, "time": 0, "metrics": {"a": 2.0, "b": 5.0}}\n',
        encoding="utf-8",
    )
    found = read_metrics(file)
    assert {name: (list(steps), list(values)) for name, (steps, values) in found.items()} == {"a": ([1, 3], [1.0, 2.0]), "b": ([3], [5.0])}
    assert read_metrics(tmp_path / "missing.jsonl") == {}


def test_losses_have_a_line_for_each_player_and_one_to_compare_with() -> None:
    ax = Figure().subplots()
    draw_losses(ax, metrics(), Captions("t", equilibrium=(math.log(4), "log 4")))
    assert [line.get_label() for line in ax.lines] == ["discriminator", "generator", "log 4"]
    assert list(ax.lines[0].get_ydata()) == [1.2, 1.0, 0.8]
    assert list(ax.lines[2].get_ydata()) == [math.log(4)] * 2
    assert ax.get_yscale() == "linear"


def test_losses_of_several_decades_get_a_logarithmic_scale_unless_one_is_negative() -> None:
    for generator, scale in (([1e-3, 1.0, 5.0], "log"), ([-1e-3, 1.0, 500.0], "linear")):
        ax = Figure().subplots()
        draw_losses(ax, points(loss__discriminator=[1.0, 1.0, 1.0], loss__generator=generator), Captions("t"))
        assert ax.get_yscale() == scale


def test_scores_are_probabilities_only_where_the_loss_has_logits() -> None:
    ax = Figure().subplots()
    draw_scores(ax, metrics(), Captions("t"))
    assert [line.get_label() for line in ax.lines] == ["D(x), real", "D(G(z)), fake", "1/2"]
    assert ax.get_ylim() == (-0.02, 1.02)
    ax = Figure().subplots()
    draw_scores(ax, metrics(), Captions("t", probabilities=False))
    assert [line.get_label() for line in ax.lines] == ["real", "fake"]
    assert ax.get_title(loc="center") == "D's mean score"


def test_updates_are_drawn_only_when_they_are_uneven() -> None:
    even = points(updates__discriminator=[100, 200, 300], updates__generator=[100, 200, 300])
    assert updates_per_step(even) == {}
    found = updates_per_step(points(updates__discriminator=[100, 200, 300], updates__generator=[50, 50, 350]))
    assert list(found["generator"][1]) == [0.5, 0.0, 3.0]
    assert list(found["discriminator"][1]) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(("uneven", "panels"), [(False, 2), (True, 3)])
def test_the_picture_grows_with_its_panels(tmp_path: Path, uneven: bool, panels: int) -> None:
    updates = {"updates__discriminator": [100, 200, 300], "updates__generator": [50 if uneven else 100, 200, 300]}
    draw(metrics(**updates), Captions("t", steps_per_epoch=100), tmp_path / "losses.png")
    with Image.open(tmp_path / "losses.png") as picture:
        assert picture.size == (880, round(110 * (1.1 + 2.3 * panels)))
    assert [file.name for file in tmp_path.iterdir()] == ["losses.png"]


def test_a_long_curve_is_faint_under_its_running_mean() -> None:
    ax = Figure().subplots()
    values = np.tile([0.0, 1.0], 150)
    curve(ax, (np.arange(300), values), "#000000", "name")
    raw, mean = ax.lines
    assert (raw.get_alpha(), mean.get_label()) == (0.3, "name")
    assert np.ptp(mean.get_ydata()[10:-10]) < 0.2


def test_running_mean() -> None:
    values = np.arange(300.0) ** 2
    mean = running_mean((np.arange(300), values))[1]
    assert mean[0] == values[0]
    assert mean[-1] == pytest.approx(values[-1])
    assert mean[150] == pytest.approx(values[147:154].mean())


def test_the_line_to_compare_with_is_that_of_the_loss(tmp_path: Path) -> None:
    of = Captions.of
    assert of(fake_run(tmp_path)).equilibrium == (math.log(4), "log 4: D can only guess")
    assert of(fake_run(tmp_path, loss="mean")).equilibrium == (math.log(2), "log 2: D can only guess")
    assert of(fake_run(tmp_path, use="hinge")).equilibrium is None
    assert of(fake_run(tmp_path, logits=False)).probabilities is False


def test_it_is_drawn_at_the_end_and_before_only_for_one_percent_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(ganlab_figures, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    drawn: list[float] = []

    def slow(*_: object) -> None:
        drawn.append(clock[0])
        clock[0] += 2.0  # what a drawing takes

    monkeypatch.setattr(ganlab_figures, "draw", slow)
    write_lines(tmp_path / "metrics.jsonl")
    run, trick = fake_run(tmp_path), LossPlot()
    trick.before_run()
    for _ in range(500):
        clock[0] += 1.0
        trick.after_epoch(run)
    assert drawn == [1061.0, 1264.0, 1467.0]  # after 100 times 0.6 s, then after 100 times 2 s each
    trick.after_run(run)
    assert len(drawn) == 4


def test_the_trick_draws_into_the_runs_folder_and_nothing_where_nothing_was_logged(tmp_path: Path) -> None:
    trick = LossPlot()
    trick.after_run(fake_run(tmp_path))
    assert not (tmp_path / "losses.png").exists()
    write_lines(tmp_path / "metrics.jsonl", count=1)
    trick.after_run(fake_run(tmp_path))
    assert (tmp_path / "losses.png").stat().st_size > 5000
