"""A run's folder: what is in it, how runs are found, listed, locked and removed; and the exported generator."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from engine_support import StopAt

import ganlab
from ganlab.errors import GanlabError, UsageError
from ganlab.numbers import round_down
from ganlab.records.folder import RunFolder, append_line, step_of
from ganlab.records.metric_lines import whole_lines
from ganlab.records.summaries import delete_run, find_run, list_runs
from ganlab.storage.atomic import write_text
from ganlab.testing import play


def make(runs: Path, *names: str, **info: Any) -> None:
    for name in names:
        (runs / name).mkdir(parents=True)
        (runs / name / "run.json").write_text(json.dumps({"status": "finished", "host": socket.gethostname(), **info}))


def test_what_is_in_a_runs_folder(tmp_path: Path) -> None:
    run = play(steps=4, overrides=["train.sample_every=4"], folder=tmp_path)
    assert re.fullmatch(r"\d{8}-\d{6}-tiny-[0-9a-f]{4}", run.id)
    there = sorted(str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file() and path.name != ".lock")
    assert there == [
        "checkpoints/step_000000004.safetensors",
        "generator.safetensors",
        "metrics.jsonl",
        "recipe.toml",
        "run.json",
        "samples/step_000000000.png",
        "samples/step_000000004.png",
        "system.jsonl",
    ]
    info = json.loads((run.path / "run.json").read_text())
    assert info == dict(run.info)
    assert (info["id"], info["recipe"], info["status"], info["seed"], info["device"]) == (run.id, "tiny", "finished", 0, "cpu")
    assert info["counters"] == {"step": 4, "epoch": 0, "discriminator_updates": 4, "generator_updates": 4, "images_seen": 32}
    assert info["data"] == {
        "use": "tiny",
        "size": 64,
        "fingerprint": run.dataset.fingerprint(),
        "fallback_from": None,
        "why": "",
    }
    assert info["versions"]["torch"].partition("+")[0] == str(torch.__version__).partition("+")[0]
    assert info["created"] <= info["started"] <= info["ended"]
    assert info["training_seconds"] > 0
    assert info["threads"] == torch.get_num_threads()
    assert set(info) >= {
        "ganlab",
        "git",
        "user",
        "host",
        "platform",
        "pid",
        "command",
        "device_name",
        "announcements",
        "failure",
        "resumed",
    }


def test_a_run_is_found_by_its_path_its_name_and_either_end_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "20260101-120000-ring-ab12", "20260102-120000-ring-cd34", "20260103-120000-mnist-ab56")
    for name in (str(tmp_path / "20260102-120000-ring-cd34"), "20260102-120000-ring-cd34", "20260102", "cd34", "ring-cd34"):
        assert find_run(tmp_path, name).id == "20260102-120000-ring-cd34"
    assert find_run(tmp_path, "last").id == "20260103-120000-mnist-ab56"
    make(tmp_path, "20260102-120000-ring-cd34-again")
    assert find_run(tmp_path, "20260102-120000-ring-cd34").id == "20260102-120000-ring-cd34"  # a whole name wins


def message(call: Any, *given: Any) -> str:
    with pytest.raises(UsageError) as caught:
        call(*given)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_run_that_is_not_there_or_not_the_only_one(tmp_path: Path) -> None:
    nothing = "there are none yet: `ganlab run mnist_adaptive` makes one"
    assert message(find_run, tmp_path / "none", "last") == f"no run called 'last' in {tmp_path / 'none'}\n{nothing}"
    make(tmp_path, "20260101-120000-ring-ab12", "20260102-120000-ring-cd34")
    assert message(find_run, tmp_path, "2026") == (
        f"more than one run in {tmp_path} is called '2026': 20260101-120000-ring-ab12, 20260102-120000-ring-cd34\ntype more of the name"
    )
    assert message(find_run, tmp_path, "20260101-120000-ring-ab13") == (
        f"no run called '20260101-120000-ring-ab13' in {tmp_path}\n"
        "did you mean '20260101-120000-ring-ab12'? (choices: 20260101-120000-ring-ab12, 20260102-120000-ring-cd34)"
    )


def test_listing_leaves_out_what_is_no_run(tmp_path: Path) -> None:
    make(tmp_path, "b", "a")
    (tmp_path / "notes").mkdir()
    (tmp_path / "file").write_text("")
    make(tmp_path, "torn")
    (tmp_path / "torn" / "run.json").write_text('{"status": ')
    assert [run.id for run in list_runs(tmp_path)] == ["a", "b"]
    assert list_runs(tmp_path / "none") == []
    text = message(RunFolder(tmp_path / "torn").read_info)
    assert text.startswith(f"{tmp_path / 'torn' / 'run.json'} cannot be read: ")
    assert text.endswith("\nis this a run's folder? `ganlab runs` lists them")


def test_a_record_that_is_gone_is_named(tmp_path: Path) -> None:
    make(tmp_path, "20260101-120000-ring-ab12")
    path = tmp_path / "20260101-120000-ring-ab12"
    (path / "checkpoints").mkdir(exist_ok=True)
    (path / "run.json").unlink()
    for name in (path.name, str(path)):
        assert message(find_run, tmp_path, name).startswith(f"{path / 'run.json'} cannot be read: No such file or directory")


def test_lines_that_are_torn_or_damaged_are_no_lines(tmp_path: Path) -> None:
    def lines(content: bytes, *step: int) -> list[str]:
        (tmp_path / "metrics.jsonl").write_bytes(content)
        return list(whole_lines(tmp_path / "metrics.jsonl", *step))

    good = b'{"step": 1, "time": 1.5, "metrics": {"a": 1}}\n'
    later = good.replace(b"1,", b"9,", 1)
    of_other_types = [
        b'{"step": %b, "time": 1, "metrics": {}}\n' % step for step in (b'"1"', b"true", b"1.0", b"-1", b"null", b"[]", b"NaN", b"1" * 5000)
    ]
    metrics = (b'"x"', b"true", b"[1]", b"{}", b"NaN", b"Infinity", b"1e400", b"1" + b"0" * 400, b"[" * 5000)
    of_other_types += [b'{"step": 1, "time": 1, "metrics": {"a": %b}}\n' % value for value in metrics]
    of_other_types += [b'{"step": 1, "time": 1, "metrics": {"\\ud800": 1}}\n', b"[" * 100_000 + b"\n"]
    torn = [b'{"step": 1, "ti\n', b"\xff" + good, b"[]\n", b"\0" * 20 + b"\n", b"\0" * 2**21 + b"\n", good[:-1]]
    for bad in (*torn, *of_other_types):
        assert lines(good + bad, 5) == [good.decode()]
    assert lines(good + later, 5) == [good.decode()]
    assert lines(good + later) == [good.decode(), later.decode()]


HOLD = """
import sys
from pathlib import Path
from ganlab.records.folder import RunFolder
folder = RunFolder(Path(sys.argv[1]))  # the lock goes when this does
folder.lock()
print("locked", flush=True)
sys.stdin.readline()
"""


def test_a_run_that_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    make(tmp_path, "mine", status="running")
    run = find_run(tmp_path, "mine")
    assert run.status == "interrupted"  # it says that it is running, and nobody writes it: it was killed
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "mine")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        assert find_run(tmp_path, "mine").status == "running"
        expected = "run mine is being written by another process\nwait for it, or stop it with Ctrl-C where it runs"
        assert message(RunFolder(tmp_path / "mine").lock) == expected
        assert message(delete_run, run) == expected
        other.communicate("\n")
    assert find_run(tmp_path, "mine").status == "interrupted"
    delete_run(run)
    assert list_runs(tmp_path) == []


def test_the_status_of_a_run_on_another_machine_is_believed(tmp_path: Path) -> None:
    make(tmp_path, "far", status="running", host="another")
    assert find_run(tmp_path, "far").status == "running"


def test_a_run_is_locked_while_it_goes_on_and_free_afterwards(tmp_path: Path) -> None:
    seen: list[bool] = []

    class Look:
        @ganlab.hookimpl
        def after_step(self, run: Any, step: int) -> None:
            seen.append(RunFolder(run.path).locked_elsewhere())
            assert find_run(tmp_path, "last").status == "running"

    run = play(Look(), steps=1, folder=tmp_path)
    assert seen == [True]
    assert not RunFolder(run.path).locked_elsewhere()
    assert play(StopAt(1), steps=5, folder=tmp_path).info["status"] == "interrupted"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    text = message(RunFolder.create, tmp_path / "runs", "ring")
    assert re.fullmatch(
        rf"the run's folder {tmp_path}/runs/\S+-ring-\w{{4}} cannot be made: .+\nchoose another place with --runs-dir", text
    )


def test_files_are_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "run.json"
    write_text(file, "old")
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(GanlabError, match=r"run\.json cannot be written: no space"):
        write_text(file, "new")
    assert file.read_text() == "old"


def test_a_line_of_metrics_is_json(tmp_path: Path) -> None:
    append_line(tmp_path / "m", 3, {"a/b": 1.5, "nan": float("nan"), "inf": float("-inf")})
    line = json.loads((tmp_path / "m").read_text(), parse_constant=lambda word: pytest.fail(word))
    assert (line["step"], line["metrics"]) == (3, {"a/b": 1.5, "nan": None, "inf": None})
    assert line["time"] == pytest.approx(time.time(), abs=60)


def test_the_order_of_checkpoints_is_that_of_their_steps(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.checkpoints.mkdir()
    for step in (2_000_000_000, 999_999_999, 5):
        folder.checkpoint_path(step).write_text("")
    (folder.checkpoints / ".step_000000009.safetensors.part").write_text("")
    (folder.checkpoints / "step_mine.safetensors").write_text("")
    assert [step_of(path) for path in folder.checkpoint_files()] == [5, 999_999_999, 2_000_000_000]


def test_the_generator_is_loaded_again_by_itself(tmp_path: Path) -> None:
    generator = 'generator={use="mlp",hidden=[8],batch_norm="after_activation",dropout=0.2,optimizer={use="adam"}}'
    noise = 'noise={use="uniform",dimension=5,location=0.5}'
    run = play(steps=5, overrides=[generator, noise, "train.dtype=float64"], folder=tmp_path)
    latent = torch.rand(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    before = torch.get_rng_state()
    for place in (run.path, run.path / "generator.safetensors", str(run.path), run.folder):
        loaded = ganlab.load_generator(place)
        torch.testing.assert_close(loaded(latent).detach(), run.generate(latent), rtol=1e-13, atol=1e-15)
        assert not loaded.training
    assert before.equal(torch.get_rng_state())
    assert loaded.info["step"] == 5
    assert (loaded.info["recipe"], loaded.info["use"], loaded.info["options"]["hidden"]) == ("tiny", "mlp", [8])
    samples = loaded.sample(7, seed=3)
    assert samples.shape == (7, 2)
    assert samples.equal(loaded.sample(7, seed=3))
    assert not samples.equal(loaded.sample(7, seed=4))
    assert not samples.requires_grad


def test_a_generator_that_is_missing_or_not_installed(tmp_path: Path) -> None:
    with pytest.raises(GanlabError, match=f"generator {tmp_path / 'generator.safetensors'} does not exist"):
        ganlab.load_generator(tmp_path)
    run = play(steps=1, folder=tmp_path)
    with pytest.raises(GanlabError) as caught:
        ganlab.load_generator(run.path)  # the tiny problem's networks are no plugin's
    assert caught.value.message == f"{run.path} needs the network 'tiny', which no installed plugin brings"


def test_sheets_are_as_many_as_a_person_will_look_at() -> None:
    assert [round_down(n) for n in (1, 2, 3, 4, 5, 9, 10, 19, 20, 49, 50, 99, 590, 1999, 123_456)] == [
        1, 2, 2, 2, 5, 5, 10, 10, 20, 20, 50, 50, 500, 1000, 100_000
    ]  # fmt: skip


def test_the_umask_is_left_as_it_was(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        play(steps=1, folder=tmp_path)
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


def test_a_run_whose_lock_cannot_be_seen_is_running_while_its_process_lives(tmp_path: Path) -> None:
    path = play(steps=1, folder=tmp_path).path
    info = json.loads((path / "run.json").read_text())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        record = {"status": "running", "pid": other.pid, "process_started": psutil.Process(other.pid).create_time()}

        def status(**more: object) -> str:
            (path / "run.json").write_text(json.dumps(info | record | more))
            return find_run(tmp_path, path.name).status

        assert status() == "running"
        assert status(process_started=record["process_started"] - 60) == "interrupted"  # the number belongs to another process by now
        assert status(boot=info["boot"] - 3600) == "interrupted"
        assert status(pid=2**40) == status(pid=None) == "interrupted"
        assert status(host="elsewhere", boot=0) == "running"  # nobody here can tell
    assert status() == "interrupted"


LOOK = """
import sys
from pathlib import Path
from ganlab.records.folder import RunFolder
print("looks", flush=True)
while True:
    RunFolder(Path(sys.argv[1])).locked_elsewhere()
"""


def test_readers_do_not_disturb_each_other_nor_the_writer(tmp_path: Path) -> None:
    make(tmp_path, "mine", status="running")
    folder = RunFolder(tmp_path / "mine")
    folder.lock()
    folder.unlock()  # the lock's file remains
    listers = [subprocess.Popen([sys.executable, "-c", LOOK, str(folder.path)], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for lister in listers:
            assert lister.stdout is not None
            assert lister.stdout.readline() == "looks\n"
        for _ in range(500):
            assert not RunFolder(folder.path).locked_elsewhere()
            folder.lock()
            folder.unlock()
    finally:
        for lister in listers:
            lister.kill()
            lister.communicate()
