"""Checkpoint files: what goes in comes out, damage is noticed, and what was there before outlives a failed write."""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import Capture, Plugin, StopAt, hooked, lines, resumed, same, trick, weights
from safetensors import safe_open
from safetensors.torch import save_file

import ganlab
from ganlab.errors import GanlabError, PluginError
from ganlab.storage import checkpoint
from ganlab.storage.checkpoint import load, save
from ganlab.testing import play, prepare

TREES: list[Any] = [
    {},
    {"a": 1, "b": 2.5, "c": "text", "d": None, "e": True, "f": [], "g": {}, "h": ()},
    {"nested": {"list": [1, [2, [3]], {"x": (4, (5,))}], "tuple": (torch.ones(2), "y", None)}},
    {"int keys": {1: "one", -2: torch.zeros(1), 3: {4: {5: [6]}}}, "mixed": {1: "a", "1": "b", 1.5: "c"}},
    {"floats": [math.inf, -math.inf, 1e-320, 0.1 + 0.2, 1e308, -0.0], "big": 2**200},
    {"same path": {"a/b": torch.ones(1), "a": {"b": torch.zeros(1)}, "1": torch.ones(2), "x": {1: torch.ones(1), "1": torch.zeros(1)}}},
    {"dollar": {"$": "tensor", "name": "trap"}, "$": {"$": "tuple", "items": [1]}, "": {"": torch.ones(1)}, "/": torch.zeros(3)},
    {"text": 'quo"te \\ \n \u2603 \U0001f600', "\u2603": torch.ones(1)},
    {
        "dtypes": [
            torch.tensor(3),
            torch.tensor([True, False]),
            torch.zeros(0, 4),
            torch.arange(6, dtype=torch.uint8),
            torch.ones(2, dtype=torch.float64),
            torch.ones(2, dtype=torch.bfloat16),
            torch.ones(2, dtype=torch.float16),
            torch.tensor([math.nan, math.inf]),
        ]
    },
    {"views": [torch.arange(12).reshape(3, 4).T, torch.ones(5)[::2], torch.ones(1, 1).expand(3, 4), torch.nn.Parameter(torch.ones(2))]},
]


def equal(a: Any, b: Any) -> bool:
    """Equal, types and order of keys included."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a.nan_to_num(7), b.nan_to_num(7)) and a.shape == b.shape
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and [type(k) for k in a] == [type(k) for k in b] and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b) and (not isinstance(a, float) or math.copysign(1, a) == math.copysign(1, b))


@pytest.mark.parametrize("number", range(len(TREES)))
def test_a_tree_comes_back_as_it_was(number: int, tmp_path: Path) -> None:
    save(tmp_path / "x.safetensors", TREES[number])
    assert equal(load(tmp_path / "x.safetensors"), TREES[number])


def test_two_tensors_that_share_memory_come_back_as_two(tmp_path: Path) -> None:
    shared = torch.arange(4.0)
    save(tmp_path / "x", {"a": shared, "b": shared, "c": shared[:2]})
    back = load(tmp_path / "x")
    back["a"][0] = 9
    assert (back["b"][0], back["c"][0]) == (0, 0)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"a": {"b": {1, 2}}}, "a/b is a set; a state holds tensors, numbers, strings, lists and dicts"),
        ({"a": [0, object()]}, "a/1 is a object; a state holds tensors, numbers, strings, lists and dicts"),
        ({"a": {(1, 2): 3}}, "a has the key (1, 2); keys are strings and numbers"),
        ({"a": torch.Generator()}, "a is a Generator; a state holds tensors, numbers, strings, lists and dicts"),
    ],
)
def test_what_cannot_be_saved_is_refused_with_its_place(state: Any, why: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError) as caught:
        save(tmp_path / "x", state)
    assert str(caught.value) == why
    assert list(tmp_path.iterdir()) == []


def test_equal_states_are_equal_files_that_anybody_may_read(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        for name in ("a", "b"):
            save(tmp_path / name, TREES[2])
    finally:
        os.umask(before)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_it_holds_no_pickle_and_says_what_it_is(tmp_path: Path) -> None:
    save(tmp_path / "x", {"n": {"w": torch.ones(2)}, "step": 3})
    with safe_open(tmp_path / "x", framework="pt") as file:
        (key,) = file.metadata()
        header = json.loads(file.metadata()[key])
        assert list(file.keys()) == ["n/w"]
    assert (key, header["format"], header["state"]["step"]) == ("ganlab", "ganlab checkpoint 1", 3)


def damaged(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(GanlabError) as caught:
        load(path)
    return str(caught.value)


HINT = "remove it, and the checkpoint before it is used"


def test_a_truncated_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save(path, {"w": torch.ones(50)})
    whole = path.read_bytes()
    for length in (0, 4, 40, len(whole) - 1):
        text = damaged(path, whole[:length])
        assert text.startswith(f"checkpoint {path} is damaged: ")
        assert text.endswith(f"\n{HINT}")


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save(path, {"w": torch.ones(20), "step": 3, "names": ["a", "b"]})
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        data = bytearray(whole)
        data[place] ^= 4
        text = damaged(path, bytes(data))
        assert text.startswith((f"checkpoint {path} is damaged", f"{path} is not a checkpoint")), place
    tail = bytearray(whole)
    tail[-8:] = bytes(8)
    assert damaged(path, bytes(tail)) == f"checkpoint {path} is damaged: its checksum does not match its content\n{HINT}"


def test_other_files_are_not_taken_for_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"w": torch.ones(2)}, path, {"format": "pt"})
    with pytest.raises(GanlabError) as caught:
        load(path)
    assert str(caught.value) == f"{path} is not a checkpoint of this version of ganlab (its format: unknown)"
    save(path, {"w": torch.ones(2)}, "generator")
    with pytest.raises(GanlabError) as caught:
        load(path)
    assert str(caught.value) == f"{path} is not a checkpoint of this version of ganlab (its format: ganlab generator 1)"
    path.write_text("no safetensors at all")
    with pytest.raises(GanlabError, match=f"generator {path} is damaged: .*\nget an undamaged copy of it"):
        load(path, "generator")
    with pytest.raises(GanlabError) as caught:
        load(tmp_path / "none")
    assert str(caught.value) == f"checkpoint {tmp_path / 'none'} does not exist"
    with pytest.raises(GanlabError, match="is damaged"):
        load(tmp_path)
    save_file({"w": torch.ones(2)}, path, {"ganlab": "[1, 2]"})
    with pytest.raises(GanlabError, match="is damaged"):
        load(path)


def test_a_file_that_was_made_by_hand_is_no_traceback(tmp_path: Path) -> None:
    """Its checksum is right, and its content is not what ganlab writes."""
    for document in ({"$": "tensor", "name": "gone"}, {"$": "tuple"}, [1, 2], {"$": "dict", "items": 3}, None):
        header = {"format": "ganlab checkpoint 1", "sha256": checkpoint.checksum({}, document), "state": document}
        save_file({}, tmp_path / "x", {"ganlab": json.dumps(header)})
        with pytest.raises(GanlabError, match=f"checkpoint {tmp_path / 'x'} is not what ganlab writes"):
            load(tmp_path / "x")


def test_a_newer_format_is_not_guessed_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    save(tmp_path / "x", {})
    monkeypatch.undo()
    with pytest.raises(GanlabError) as caught:
        load(tmp_path / "x")
    assert str(caught.value) == f"{tmp_path / 'x'} is not a checkpoint of this version of ganlab (its format: ganlab checkpoint 2)"


def unwritable(text: str) -> Any:
    def fail(*args: Any, **options: Any) -> None:
        raise OSError(text)

    return fail


def test_the_old_file_outlives_a_failed_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.safetensors"
    save(path, {"w": torch.ones(3)})
    monkeypatch.setattr("ganlab.storage.atomic.os.fsync", unwritable("No space left on device"))
    with pytest.raises(GanlabError) as caught:
        save(path, {"w": torch.zeros(3)})
    assert str(caught.value) == (
        f"{path} cannot be written: No space left on device\nfree some space, or choose another folder with --runs-dir"
    )
    monkeypatch.undo()
    assert load(path)["w"].eq(1).all()
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GanlabError) as caught:
        save(tmp_path / "file" / "x", {})
    assert str(caught.value).startswith(f"{tmp_path / 'file' / 'x'} cannot be written: ")


def test_a_full_disk_ends_the_run_as_failed_with_its_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, saved = checkpoint.write_bytes, []

    def full(path: Path, content: bytes) -> None:
        saved.append(path)
        if len(saved) == 2:
            raise GanlabError(f"{path} cannot be written: No space left on device")
        real(path, content)

    monkeypatch.setattr(checkpoint, "write_bytes", full)
    with pytest.raises(GanlabError, match="No space left on device"):
        play(steps=9, overrides=["train.checkpoint_every=3"], folder=tmp_path)
    (run,) = tmp_path.iterdir()
    info = json.loads((run / "run.json").read_text())
    assert (info["status"], info["last_checkpoint"]) == ("failed", "checkpoints/step_000000003.safetensors")
    assert load(run / info["last_checkpoint"])["step"] == 3


class Hoarder:
    """A trick with a state that no checkpoint can hold."""

    @ganlab.hookimpl
    def after_step(self) -> None: ...

    def state_dict(self) -> dict[str, Any]:
        return {"seen": {1, 2}}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def test_a_trick_whose_state_cannot_be_saved_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError) as caught:
        play(steps=2, overrides=[trick("hoarder", "mine")], plugins=[Plugin(tricks={"hoarder": Hoarder})], folder=tmp_path)
    assert caught.value.message == (
        "trick 'hoarder' named 'mine' (plugin plugin0, the test), in its state_dict, raised TypeError: "
        "seen is a set; a state holds tensors, numbers, strings, lists and dicts"
    )


class Forgetful(Hoarder):
    """A trick that cannot read what it wrote."""

    def state_dict(self) -> dict[str, Any]:
        return {"a": 1}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        raise KeyError("b")


def test_a_trick_that_cannot_read_its_state_is_named(tmp_path: Path) -> None:
    options: dict[str, Any] = {"overrides": [trick("forgetful")], "plugins": [Plugin(tricks={"forgetful": Forgetful})]}
    run = play(steps=2, folder=tmp_path, **options)
    with pytest.raises(PluginError) as caught:
        run.restore(run.checkpoints()[0])
    assert caught.value.message == "trick 'forgetful' (plugin plugin0, the test), in its load_state_dict, raised KeyError: 'b'"


def test_a_checkpoint_of_other_networks_or_tricks_is_refused(tmp_path: Path) -> None:
    path = play(steps=2, folder=tmp_path).checkpoints()[0]
    other = prepare(overrides=['generator={use="mlp",hidden=[4],optimizer={use="sgd"}}'])
    with pytest.raises(GanlabError) as caught:
        other.restore(path)
    assert caught.value.message.startswith(f"checkpoint {path} is of another generator than this recipe's: Missing key(s) in state_dict: ")
    assert caught.value.hint == "weights fit the same network only: put its options back, or start a new run with `ganlab run`"
    with pytest.raises(GanlabError) as caught:
        prepare(overrides=[trick("r1_penalty")]).restore(path)
    assert str(caught.value) == f"checkpoint {path} has the state of other tricks than this recipe: []"


def test_old_checkpoints_go_once_a_newer_one_is_there(tmp_path: Path) -> None:
    run = play(steps=10, overrides=["train.checkpoint_every=2", "train.keep_checkpoints=2"], folder=tmp_path)
    assert [load(path)["step"] for path in run.checkpoints()] == [8, 10]
    assert run.info["last_checkpoint"] == "checkpoints/step_000000010.safetensors"
    assert len(list((run.path / "checkpoints").iterdir())) == 2


@pytest.mark.parametrize(("best_is", "pick"), [("lowest", min), ("highest", max)])
def test_the_best_and_round_steps_are_kept_too(best_is: str, pick: Any, tmp_path: Path) -> None:
    rules = ["train.keep_checkpoints=1", "train.keep_checkpoints_every=6", "train.keep_best=loss/generator", f"train.best_is={best_is}"]
    capture, given = Capture(), ["train.checkpoint_every=2", *rules]
    run = play(capture, steps=15, overrides=given, folder=tmp_path)
    values = {step: metrics["loss/generator"] for step, metrics in capture.metrics}
    best = pick((step for step in values if step % 2 == 0 or step == 15), key=lambda step: values[step])
    assert [load(path)["step"] for path in run.checkpoints()] == sorted({6, 12, 15, best})
    name = f"checkpoints/step_{best:09d}.safetensors"
    assert run.info["best_checkpoint"] == {"path": name, "metric": "loss/generator", "value": values[best]}
    stopped = play(StopAt(9), steps=15, overrides=given, folder=tmp_path / "stopped")
    again = resumed(stopped.path)
    assert [path.name for path in again.checkpoints()] == [path.name for path in run.checkpoints()]
    assert again.info["best_checkpoint"] == run.info["best_checkpoint"]


def test_a_best_metric_that_is_not_logged_is_told(tmp_path: Path) -> None:
    run = play(steps=8, overrides=["train.keep_best=frechet"], folder=tmp_path)
    (text,) = (text for text in run.info["announcements"] if "keep_best" in text)
    assert text.startswith("train.keep_best = 'frechet': no metric of that name has been logged up to now; ")
    assert "loss/generator" in text
    assert "best_checkpoint" not in run.info


def test_a_best_metric_of_a_trick_may_have_any_name(tmp_path: Path) -> None:
    name = "/".join(("mine", "share"))  # no constant of the trick's code
    share = hooked(after_step=lambda run, step: run.record(name, float(step)))
    run = play(share, steps=8, overrides=[f"train.keep_best={name}"], folder=tmp_path)
    assert run.info["best_checkpoint"]["metric"] == name
    assert not any("keep_best" in text for text in run.info["announcements"])
    misspelt = play(share, steps=8, overrides=["train.keep_best=mine/shear"], folder=tmp_path)
    (text,) = (text for text in misspelt.info["announcements"] if "keep_best" in text)
    assert "has been logged up to now; did you mean 'mine/share'?" in text


def test_the_best_may_be_by_a_mean_over_an_epoch(tmp_path: Path) -> None:
    run = play(steps=17, overrides=["train.keep_best=epoch/generator_loss", "train.checkpoint_every=8"], folder=tmp_path)
    assert run.info["best_checkpoint"]["metric"] == "epoch/generator_loss"
    assert run.info["announcements"] == []


def test_checkpoints_also_come_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("ganlab.runs.checkpoints.time.monotonic", lambda: now[0])

    class Slow:
        """Every step takes 20 seconds."""

        @ganlab.hookimpl
        def after_step(self) -> None:
            now[0] += 20.0

    by_clock = ["train.checkpoint_minutes=1.1", "train.checkpoint_every=1000", "train.keep_checkpoints=99"]
    run = play(Slow(), steps=10, overrides=by_clock, folder=tmp_path)
    assert [load(path)["step"] for path in run.checkpoints()] == [4, 8, 10]
    plain = play(steps=10, overrides=["train.checkpoint_every=1000"], folder=tmp_path)
    assert same(weights(run), weights(plain))
    assert lines(run) == lines(plain)


def test_checkpoints_come_once_an_epoch_and_at_the_end_unless_the_recipe_says_otherwise(tmp_path: Path) -> None:
    run = play(steps=20, overrides=["train.keep_checkpoints=9"], folder=tmp_path)
    assert [load(path)["step"] for path in run.checkpoints()] == [8, 16, 20]


def test_going_back_drops_what_came_after(tmp_path: Path) -> None:
    run = play(steps=8, overrides=["train.checkpoint_every=2", "train.keep_checkpoints=9", "train.sample_every=2"], folder=tmp_path)
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"step": 9, "torn')
    run.restore(run.checkpoints()[1])
    assert run.step == 4
    assert [load(path)["step"] for path in run.checkpoints()] == [2, 4]
    assert [json.loads(line)["step"] for line in (run.path / "metrics.jsonl").read_text().splitlines()] == [1, 2, 3, 4]
    assert sorted(path.stem for path in (run.path / "samples").iterdir()) == [f"step_{step:09d}" for step in (0, 2, 4)]
    assert run.counters == {"step": 4, "epoch": 0, "discriminator_updates": 4, "generator_updates": 4, "images_seen": 32}
