"""``ganlab evaluate``: the samples of a run that is over are measured from its folder."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from engine_support import StopAt, hooked, reopened

from ganlab.cli import evaluate, main
from ganlab.errors import PluginError
from ganlab.quality.report import Report
from ganlab.records.summaries import RunSummary
from ganlab.runs.device import find_device
from ganlab.runs.evaluate import Measured
from ganlab.runs.training import execute
from ganlab.testing import play

RING = ('data={use="ring",samples=1000}', "evaluation.samples=500")
METRIC = """
import ganlab


class Mine:
    results, needs, quick = {"answer": "higher"}, "samples", False

    def measure(self, evidence):
        return {"answer": 42.0}


@ganlab.hookimpl
def register_metrics(register):
    register("mine", Mine)
"""


def ganlab(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


def trained(
    folder: Path, *overrides: str, data: tuple[str, ...] = RING, recipe: str = "ring", steps: int = 30, tricks: tuple[object, ...] = ()
) -> Path:
    given = [*data, 'metrics.modes={use="modes"}', *overrides]
    return play(*tricks, recipe=recipe, steps=steps, overrides=given, folder=folder).path


def written(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((path / "evaluation.json").read_text())
    return {key: value for key, value in found.items() if key != "seconds"}


def test_it_finds_what_the_run_found_at_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = trained(tmp_path)
    before = written(path)
    (path / "evaluation.json").unlink()
    assert ganlab("evaluate", str(path)) == 0
    assert written(path) == before
    assert [name for name in ("reverse_kl", "high_quality") if name in before["values"]] == before["main_results"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"{path.name}, step 30"
    assert json.loads((path / "evaluation.json").read_text())["seconds"] > 0
    assert lines[3].split() == ["modes", f"{before['values']['modes']:.0f}", "higher", "is", "better"]
    assert ["real", "500"] in [line.split() for line in lines]


def test_what_metrics_have_noted_is_shown_in_three_digits(capsys: pytest.CaptureFixture[str]) -> None:
    about = {"samples": 10000, "judge": "light and contrast", "distance_of_held_out": 0.029141414910554886}
    evaluate.show(Measured(cast(RunSummary, SimpleNamespace(id="a-run")), Report(about=about), 30, None, False))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[-4:-1] == [["samples", "10,000"], ["judge", "light", "and", "contrast"], ["distance", "of", "held", "out", "0.0291"]]


def test_an_interrupted_run_is_measured_where_it_stopped(tmp_path: Path) -> None:
    path = trained(tmp_path, steps=30, tricks=(StopAt(12),))
    assert not (path / "evaluation.json").exists()
    assert ganlab("evaluate", str(path)) == 0
    assert written(path)["step"] == 12


def test_measuring_otherwise_is_shown_and_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = trained(tmp_path)
    before = written(path)
    assert ganlab("evaluate", str(path), "--json", "--set", "evaluation.samples=100", "--set", "metrics.modes.within=1000") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["run"], found["about"]["samples"], found["values"]["high_quality"]) == (path.name, 100, 1.0)
    assert written(path) == before


def test_a_checkpoint_is_measured_and_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A checkpoint of step 10 has the numbers of a run of the same seed that ended there."""
    path, short = trained(tmp_path, "train.checkpoint_every=10"), trained(tmp_path, steps=10)
    before = (path / "evaluation.json").read_text()
    assert ganlab("evaluate", str(path), "--checkpoint", "10") == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[1] == f"{path.name}, step 10" and "written" not in told.out and "gone on" not in told.err + told.out
    assert (path / "evaluation.json").read_text() == before
    assert ganlab("evaluate", str(path), "--checkpoint", "10", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["values"] == written(short)["values"] != written(path)["values"]
    assert ganlab("evaluate", str(path), "--checkpoint", "last", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["values"] == written(path)["values"]


def test_a_run_is_measured_by_a_metric_that_was_written_after_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = trained(tmp_path)
    before = {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}
    (tmp_path / "mine.py").write_text(METRIC)
    chosen = ["--set", f"plugins=[{str(tmp_path / 'mine.py')!r}]", "--set", 'metrics.mine={use="mine"}']
    assert ganlab("evaluate", str(path), "--json", *chosen) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["values"]["answer"] == 42.0 and found["values"].items() > written(path)["values"].items()
    assert {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()} == before


def test_where_there_is_no_end_a_checkpoint_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = trained(tmp_path, "train.checkpoint_every=10")
    (path / "generator.safetensors").unlink()
    assert ganlab("evaluate", str(path)) == 2
    assert f"the file is gone hint: use its last checkpoint: `ganlab evaluate {path} --checkpoint last`" in " ".join(
        capsys.readouterr().err.split()
    )
    assert ganlab("evaluate", str(path), "--checkpoint", "last") == 0
    assert ganlab("evaluate", str(path), "--checkpoint", "7") == 2
    assert f"run {path.name} has no checkpoint of step 7" in " ".join(capsys.readouterr().err.split())


def test_several_runs_and_a_wrong_name_among_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [trained(tmp_path), trained(tmp_path)]
    assert ganlab("evaluate", "--runs-dir", str(tmp_path), *(path.name for path in paths)) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if ", step" in line] == [f"{path.name}, step 30" for path in paths]
    (paths[0] / "evaluation.json").unlink()
    assert ganlab("evaluate", "--runs-dir", str(tmp_path), paths[0].name, "nonsense") == 2
    assert not (paths[0] / "evaluation.json").exists()


def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = trained(tmp_path)
    assert ganlab("evaluate", str(path), "--set", "train.seed=3") == 2
    assert capsys.readouterr().err == (
        "error: `ganlab evaluate` measures a run as it is, and train.seed would make it another\n"
        "hint: --set may change evaluation, metrics, judge, plugins, and options of data that leave the images the same\n"
    )
    info = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(info | {"status": "running", "host": "another machine"}))
    assert ganlab("evaluate", str(path)) == 2
    assert " ".join(capsys.readouterr().err.split()) == (
        f"error: run {path.name} is running: its generator.safetensors is from before it was resumed "
        f"hint: wait until it ends, or press Ctrl-C or use its last checkpoint: `ganlab evaluate {path} --checkpoint last`"
    )
    (path / "generator.safetensors").unlink()
    for status, why in (("interrupted", "it was killed"), ("failed", "it failed")):
        (path / "run.json").write_text(json.dumps(info | {"status": status}))
        assert ganlab("evaluate", str(path)) == 2
        assert " ".join(capsys.readouterr().err.split()) == (
            f"error: run {path.name} has no generator.safetensors: {why} "
            f"hint: resume it: `ganlab resume {path}` "
            f"or use its last checkpoint: `ganlab evaluate {path} --checkpoint last`"
        )
    (path / "run.json").write_text(json.dumps(info | {"status": "running", "host": "another machine"}))
    assert ganlab("evaluate", str(path)) == 2
    assert " ".join(capsys.readouterr().err.split()).startswith(
        f"error: run {path.name} has no generator.safetensors: it is still being trained hint: wait until it ends, or press Ctrl-C or use "
    )


def test_ctrl_c_leaves_runs_as_they_were(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    digits = {"data": ('data={use="digits"}', "evaluation.at_end=false", "evaluation.every=0", 'metrics.score={use="classifier_score"}')}
    judged = (*digits["data"], 'judge={use="classifier",images=3000}')
    paths = [trained(tmp_path), trained(tmp_path, data=judged, recipe="mnist_mlp", steps=2)]
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "cache"))
    (paths[0] / "evaluation.json").unlink()
    shown: list[int] = []

    def interrupted(*_: Any) -> Any:
        shown.append(1)
        if len(shown) == 5:
            raise KeyboardInterrupt
        return kept(*_)

    from ganlab_judges import training

    kept = training.shifted
    monkeypatch.setattr(training, "shifted", interrupted)
    assert ganlab("evaluate", *map(str, paths)) == 130
    told = " ".join(capsys.readouterr().err.split())
    assert told == f"note: stopped. Not measured, and unchanged: {paths[1].name}; measured: {paths[0].name}"
    assert ((paths[0] / "evaluation.json").exists(), (paths[1] / "evaluation.json").exists()) == (True, False)
    assert [path.suffix for path in (tmp_path / "cache/judges").iterdir()] == [".lock"]
    monkeypatch.setattr(training, "shifted", kept)
    assert ganlab("evaluate", str(paths[1])) == 0


def test_networks_of_a_plugin_file_are_found(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(
        "import torch, ganlab\n"
        "class Plain(torch.nn.Module):\n"
        "    def __init__(self, spec):\n"
        "        super().__init__()\n"
        "        self.layer = torch.nn.Linear(*spec.input_shape, *spec.output_shape)\n"
        "    def forward(self, x):\n"
        "        return self.layer(x)\n"
        "@ganlab.hookimpl\n"
        "def register_networks(register):\n"
        "    register('plain', Plain)\n"
    )
    recipe = tmp_path / "mine.toml"
    recipe.write_text('extends = "ring"\nplugins = ["plain.py"]\n[generator]\nuse = "plain"\n')
    path = trained(tmp_path / "runs", recipe=str(recipe))
    before = written(path)
    assert ganlab("evaluate", str(path)) == 0
    assert written(path) == before


def test_a_strangers_run_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "nothing.py").write_text(
        "import ganlab\nprint('RUN')\n@ganlab.hookimpl\ndef register_losses(register):\n    register('none', lambda: None)\n"
    )
    recipe = tmp_path / "mine.toml"
    recipe.write_text('extends = "ring"\nplugins = ["nothing.py"]\n')
    path = trained(tmp_path / "runs", recipe=str(recipe))
    monkeypatch.setenv("GANLAB_STATE", str(tmp_path / "another"))
    capsys.readouterr()
    assert ganlab("evaluate", str(path)) == 2
    told = capsys.readouterr()
    assert "RUN" not in told.out and f"`ganlab evaluate {path} --trust`" in " ".join(told.err.split())
    assert ganlab("evaluate", str(path), "--trust") == 0


# -- runs that have gone on since their generator was written --------------------------------------------------------------


def gone_on(folder: Path) -> Path:
    """A run that ended at step 30, was given 60 and failed in step 45, of which its last checkpoint is."""
    path = trained(folder, "train.checkpoint_every=10", "train.log_every=1")

    def fail(step: int) -> None:
        if step == 45:
            raise RuntimeError("power cut")

    run = reopened(path, hooked(after_step=lambda step: fail(step)), overrides=("train.steps=60",))
    with pytest.raises(PluginError):
        execute(run)
    assert not (path / "evaluation.json").exists()
    return path


def test_numbers_of_before_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = gone_on(tmp_path)
    capsys.readouterr()
    assert ganlab("evaluate", str(path)) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[1] == f"{path.name}, step 30 (the run is at step 45 now)"
    assert " ".join(told.err.split()) == (
        f"note: run {path.name} has been resumed and is now at step 45, but its generator.safetensors is still from step 30: the "
        f"numbers are of that step. `ganlab resume {path}` resumes the run and measures it at its end."
    )
    assert ganlab("evaluate", str(path), "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["step"], found["gone_on_to_step"]) == (30, 45)
    assert ganlab("compare", str(path)) == 0
    said = capsys.readouterr().out
    assert f"{path.name} was resumed and is now at step 45; its numbers are from step 30." in said and "had not finished" not in said


@pytest.mark.parametrize("verb", ["sample", "export"])
def test_a_generator_of_before_says_so(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = gone_on(tmp_path)
    out = str(tmp_path / ("sheet.png" if verb == "sample" else "exported"))
    capsys.readouterr()
    assert ganlab(verb, str(path), "--out", out) == 0
    assert " ".join(capsys.readouterr().err.split()) == (
        f"note: run {path.name} has been resumed and is now at step 45, but its generator.safetensors is still from step 30: that one "
        f"is used. To use its last checkpoint: `ganlab {verb} {path} --checkpoint last`"
    )
    assert ganlab(verb, str(path), "--out", out, "--checkpoint", "last", "--force") == 0
    told = capsys.readouterr()
    assert ", step 45" in told.out and "has been resumed" not in told.err


def test_of_a_run_that_ended_nothing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = gone_on(tmp_path)
    execute(reopened(path))
    capsys.readouterr()
    for words in (["evaluate"], ["sample", "--out", str(tmp_path / "sheet.png")], ["compare"]):
        assert ganlab(words[0], str(path), *words[1:]) == 0
        told = capsys.readouterr()
        assert "gone on" not in told.err + told.out and "has been resumed" not in told.err


def test_a_device_that_is_not_here_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = trained(tmp_path)
    (path / "recipe.toml").write_text((path / "recipe.toml").read_text().replace('device = "cpu"', 'device = "cuda:77"'))
    capsys.readouterr()
    assert ganlab("evaluate", str(path), "--trust") == 0
    here = str(find_device("auto"))
    assert " ".join(capsys.readouterr().err.split()) == (
        f"note: run {path.name} was made on 'cuda:77', which is not available here. It is measured on '{here}'; last digits may differ."
    )
