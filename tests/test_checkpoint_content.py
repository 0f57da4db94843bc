"""Checkpoints and generators with a right checksum and wrong content: one clear error, or an older checkpoint is used."""

# ruff: noqa: E501 - tables of words
from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from folder_mutations import DEEP, rewrite
from sample_support import RING, ganlab_says, made

import ganlab
from ganlab.errors import GanlabError
from ganlab.runs.checkpoint_content import read_checkpoint

Change = Callable[[Any, dict[str, torch.Tensor]], object]


def _groups(state: Any, **options: object) -> None:
    for group in state["generator"]["optimizer"]["param_groups"]:
        group.update(options)


def _tensors(part: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    """Change all tensors whose names have ``part`` in them."""
    return lambda state, tensors: tensors.update({name: change(value) for name, value in tensors.items() if part in name})


#: What a checkpoint holds, and what the error says.
CHECKPOINTS: dict[str, tuple[Change, str]] = {
    "step -5": (lambda state, tensors: state.update(step=-5), "step: input should be greater than or equal to 0"),
    "step in words": (lambda state, tensors: state.update(step="ten"), "step: input should be a valid integer"),
    "step True": (lambda state, tensors: state.update(step=True), "step: input should be a valid integer"),
    "another step": (lambda state, tensors: state.update(step=7), "is of step 7, and not of the one in its name"),
    "a huge step": (lambda state, tensors: state.update(step=10**30), "step: input should be less than or equal to"),
    "many batches": (lambda state, tensors: state.update(batches_drawn=2**62), "batches_drawn: input should be less than or equal to"),
    "no tricks": (lambda state, tensors: state.pop("tricks"), "has no tricks: another version of ganlab wrote it"),
    "deep": (lambda state, tensors: state.update(tricks=DEEP), "it is nested more than 100 levels deep"),
    "no metrics": (lambda state, tensors: state.update(metrics={}), "metrics/waiting: field required"),
    "a recipe of lists": (lambda state, tensors: state.update(recipe={"train.steps": [1]}), "recipe/train.steps/str: input should be"),
    "complex weights": (_tensors("generator/network", lambda weight: weight.to(torch.complex64)), "the weights are of the type torch.complex64"),
    "shapes": (_tensors("generator/network", lambda weight: weight[None]), "is of another generator than this recipe's: size mismatch for"),
    "no state": (lambda state, tensors: state["generator"]["optimizer"].pop("state"), "is not what ganlab writes: KeyError: 'state'"),
    "no groups": (lambda state, tensors: state["generator"]["optimizer"].update(param_groups=[]), "different number of parameter groups"),
    "lr in words": (lambda state, tensors: _groups(state, lr="fast"), "of another optimizer of the generator than this recipe's: the option lr is 'fast'"),
    "one beta": (lambda state, tensors: _groups(state, betas=[0.5]), "the option betas is [0.5]"),
    "shapes of averages": (_tensors("exp_avg", lambda average: average.repeat(2, *[1] * (average.dim() - 1))), "the averages of a parameter of shape"),
    "tricks": (lambda state, tensors: state.update(tricks=dict.fromkeys(state["tricks"])), "cannot be loaded: trick 'health'"),
}  # fmt: skip
READ = ("step -5", "step in words", "step True", "another step", "a huge step", "many batches", "no tricks", "deep", "no metrics", "a recipe of lists", "complex weights")  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 20 steps with three checkpoints."""
    return made(tmp_path_factory.mktemp("content"), "ring", RING).path


@pytest.fixture
def run(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, tmp_path / "runs" / "one")
    return Path("runs/one")


def last(run: Path) -> Path:
    return sorted(run.glob("checkpoints/*.safetensors"))[-1]


@pytest.mark.parametrize("name", READ)
def test_a_checkpoint_of_other_content_is_one_sentence(name: str, run: Path) -> None:
    change, words = CHECKPOINTS[name]
    rewrite(last(run), change)
    with pytest.raises(GanlabError) as caught:
        read_checkpoint(last(run))
    assert words in caught.value.message and "\n" not in caught.value.message and caught.value.message.count(str(last(run))) == 1
    assert caught.value.hint


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_resume_uses_the_checkpoint_before(name: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, words = CHECKPOINTS[name]
    rewrite(last(run), change)
    code, _, said = ganlab_says(capsys, "resume", run, "--quiet", "--set", "train.steps=21")
    said = " ".join(said.split())
    assert code == 0, said
    assert words in said and "It is skipped; step_000000010.safetensors is used." in said


@pytest.mark.parametrize("name", ["step -5", "shapes", "lr in words", "tricks"])
def test_where_no_checkpoint_fits_nothing_is_touched(name: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in run.glob("checkpoints/*.safetensors"):
        rewrite(path, CHECKPOINTS[name][0])
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    code, _, said = ganlab_says(capsys, "resume", run, "--quiet", "--set", "train.steps=21")
    assert code in (1, 2) and said.startswith("error: ")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_where_the_recipe_has_changed_the_newest_checkpoint_is_not_given_up(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The change is the reason that it does not fit: an older one would not fit either, and the newest must not go."""
    code, _, said = ganlab_says(capsys, "resume", run, "--quiet", "--changed", "--set", "generator.hidden=[8]", "--set", "train.steps=21")
    assert code == 1 and "step_000000020.safetensors is of another generator" in said.replace("\n", "")
    assert last(run).name == "step_000000020.safetensors"


@pytest.mark.parametrize("name", ["step -5", "shapes", "complex weights", "deep"])
def test_other_commands_say_what_is_wrong(name: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in run.glob("checkpoints/*.safetensors"):
        rewrite(path, CHECKPOINTS[name][0])
    init_from = [word for key, value in RING.items() for word in ("--set", f"{key}={str(value).lower()}")]
    for words in (
        ["sample", run, "--checkpoint", "last", "--out", "a.png"],
        ["evaluate", run, "--checkpoint", "20"],
        ["export", run, "--checkpoint", "last", "--out", "exported"],
        ["run", "ring", *init_from, "--set", f"train.init_from={run}"],
        ["run", "ring", *init_from, "--set", f"train.init_from={last(run)}"],
    ):
        code, _, said = ganlab_says(capsys, *words)
        assert code in (1, 2) and said.startswith("error: "), (words, said)
        assert "step_000000020" in said.replace("\n", "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state, tensors: state.update(use=3), "use: input should be a valid string"),
        (lambda state, tensors: state.update(step=-5), "step: input should be greater than or equal to 0"),
        (lambda state, tensors: state.update(options=DEEP), "it is nested more than 100 levels deep"),
        (lambda state, tensors: state.update(noise=3), "noise: input should be a valid dictionary"),
        (lambda state, tensors: state.update(range=["a", 1]), "range/0: input should be a valid number"),
        (lambda state, tensors: state.update(recipe=None), "recipe: input should be a valid string"),
        (lambda state, tensors: state.pop("spec"), "spec: field required"),
        (lambda state, tensors: state["spec"].update(role="judge"), "spec/role: input should be 'generator'"),
        (lambda state, tensors: state["spec"].update(input_shape={"$": "tuple", "items": [0]}), "spec/input_shape/0: input should be greater"),
        (lambda state, tensors: state["spec"].update(output_shape=[2**31, 2**31]), "does not fit the installed network 'mlp': "),
        (lambda state, tensors: state.update(options={"hidden": [8]}), "does not fit the installed network 'mlp': "),
        (lambda state, tensors: state.update(options={"hidden": ["x"]}), "does not fit the installed network 'mlp': hidden.0"),
        (lambda state, tensors: state["noise"].update(options={"shape": [3]}), "does not fit the installed network 'mlp': "),
        (_tensors("network", lambda weight: weight.to(torch.float8_e4m3fn)), "the weights are of the type torch.float8_e4m3fn"),
        (_tensors("network", lambda weight: weight[None]), "does not fit the installed network 'mlp': size mismatch for"),
        (lambda state, tensors: state.update(network={}), "does not fit the installed network 'mlp': "),
    ],
)  # fmt: skip
def test_a_generator_of_other_content_is_one_sentence(change: Change, words: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewrite(run / "generator.safetensors", change)
    with pytest.raises(GanlabError) as caught:
        ganlab.load_generator(run)
    assert words in caught.value.message and "\n" not in caught.value.message
    for command in (["sample", run, "--out", "a.png"], ["export", run, "--out", "exported"], ["evaluate", run]):
        code, _, said = ganlab_says(capsys, *command)
        assert code == 1 and said.startswith("error: ") and "generator.safetensors" in said


@pytest.mark.parametrize("name", ["generator.safetensors", "checkpoints/step_000000020.safetensors", "samples/step_000000020.png"])
def test_a_pipe_is_not_opened(name: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / name).unlink()
    os.mkfifo(run / name)
    for words in (["sample", run, "--out", "a.png"], ["sample", run, "--animate", "--out", "a.gif"], ["sample", run, "--checkpoint", "20", "--out", "b.png"],
                  ["evaluate", run], ["export", run, "--out", "exported"], ["runs"], ["compare", "--html", "page.html"]):  # fmt: skip
        code, _, said = ganlab_says(capsys, *words)
        assert code in (0, 1, 2) and (not code or said.startswith("error: ")), said
    with pytest.raises(GanlabError, match=r"is damaged: it is no regular file|does not exist"):
        ganlab.load_generator(run / name)


def test_a_link_that_a_person_names_is_followed(run: Path, tmp_path: Path) -> None:
    """Folders of the Hugging Face hub hold links."""
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "generator.safetensors").symlink_to((run / "generator.safetensors").absolute())
    assert ganlab.load_generator(tmp_path / "linked").sample(2).shape == (2, 2)


def test_a_list_of_runs_has_the_well_ones_and_names_the_others(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("nulls", '{"counters": null}'), ("far", '{"created": 1e300}'), ("mlflow", '{"mlflow": [1]}')):
        (run.parent / name).mkdir()
        (run.parent / name / "run.json").write_text(text)
    code, out, said = ganlab_says(capsys, "runs")
    said = " ".join(said.split())
    assert code == 0 and "one " in out and "mlflow" in out
    assert "one run is not listed: runs/far/run.json is damaged: its created is 1e+300" in said
    assert "one run is not listed: runs/nulls/run.json is damaged: its counters is None" in said
    code, out, said = ganlab_says(capsys, "compare")
    assert code == 0 and "ring" in out
    assert "one run is not compared: runs/far/run.json is damaged" in " ".join(said.split())


@pytest.mark.parametrize(
    "text", [None, "[" * 100_000, "[1]", '"definition"', '{"source": "ring"}', "", '{"source": 1, "overrides": 2, "keys": 3}']
)
def test_the_definition_of_a_sweep_that_cannot_be_read_is_named(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("runs/sets/one/set.json")
    path.parent.mkdir(parents=True)
    if text is None:
        os.mkfifo(path)
    else:
        path.write_text(text)
    code, _, said = ganlab_says(capsys, "run", "ring", "--seeds", "2", "--name", "one")
    assert code == 2 and said.startswith("error: "), said
    assert "runs/sets/one/set.json is damaged" in said or "exists already with another definition" in said


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/dev/zero", "\0"])
def test_a_made_up_id_is_no_path(name: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = json.loads((run / "run.json").read_text()) | {"id": name}
    for folder in ({}, {"host": "elsewhere"}):
        (run / "run.json").write_text(json.dumps(info | {"folder": folder}))
        code, _, said = ganlab_says(capsys, "resume", run, "--quiet")
        assert code == 2 and "is finished" in said
