"""The benchmark commands, on 20 steps of tiny settings: that they work, not how fast anything is."""

from __future__ import annotations

import json
import re
import secrets
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import costs
import pytest
import speed
import torch
from loops.common import Account
from server import Server
from support import children, rounds
from support.contestants import CONTESTANTS, Contestant, Outcome, Unable, account_of, measure
from support.page import marks
from support.planted import planted_folder, planted_mnist
from support.rounds import race
from support.setting import CannotSettle, Setting, settle

TINY = ("generator.hidden=[8,8]", "discriminator.hidden=[8]", "train.batch_size=10")
QUICK = (*TINY, "tracking.enabled=false")
SETS = [word for item in QUICK for word in ("--set", item)]
forks = pytest.mark.usefixtures("forked")
RATE = re.compile(r"\| [\d.,]+ \|")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MNIST as far as a file's format goes: 130 images of noise, so that 20 steps of 10 go over an epoch's end."""
    return planted_mnist(tmp_path_factory.mktemp("data"), 130)


@pytest.fixture
def forked(server: Server, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured processes are forks of a parent that has imported torch already; nobody looks what memory they take."""
    folder = tmp_path_factory.mktemp("forks")

    def run(command: list[str], settings: dict[str, str], *given: object, **named: object) -> children.Ended:
        began, mark = time.time(), secrets.token_hex(8)
        ended = server.python(folder, *command[1:], environment={**settings, children.MARK: mark})
        children.wait_for_marked(mark)  # the tracker's process may still write in a folder that is about to be removed
        return children.Ended(ended.code, ended.text, began, 1, children.Seen(0.0, 0.0))

    def settled(command: list[str], **options: Any) -> SimpleNamespace:
        ended = server.python(folder, *command[1:], environment=options["env"])
        return SimpleNamespace(returncode=ended.code, stdout=ended.text)

    monkeypatch.setattr(children, "run", run)
    monkeypatch.setattr("support.setting.subprocess", SimpleNamespace(run=settled))


def row(text: str, title: str) -> str:
    """The first row of that title."""
    return next(line for line in text.splitlines() if line.startswith(f"| {title} |"))


@forks
@pytest.mark.slow
def test_speed(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    place = "speed mnist_adaptive (a second machine)"
    page.write_text("\n".join(["before", *marks("speed mnist_adaptive"), *marks(place), "after"]))
    words = ["--recipes", "mnist_adaptive", "--threads", "1", "--rounds", "1", "--steps", "20", "--loss-steps", "20", "--seeds", "1"]
    words += ["--contestants", "tutorial", "torchgan", "floor", "ganlab"]
    speed.main([*words, *SETS, "--data-root", str(data), "--write", "--page", str(page), "--beside", "a second machine"])
    said = capsys.readouterr().out
    assert "### `mnist_adaptive`, 1 thread\n" in said
    for title in ("the tutorial's loop", "the floor", "ganlab run"):
        assert RATE.search(row(said, title)), said
    assert "torchgan" not in said.partition("###")[2]  # it cannot play this game
    assert "Losses over 20 steps, 1 seeds." in said
    assert re.search(r"\| ganlab run \| \d\.\d+ \| -\d\.\d+ \| D (agrees|DIFFERS) \(within \d", said), said
    begin, end = marks(place)
    first = "\n".join(marks("speed mnist_adaptive"))
    assert page.read_text() == f"before\n{first}\n{begin}\n{said.strip()}\n\n{end}\nafter".replace("\n\n<!-- end", "\n<!-- end")


@forks
def test_a_page_without_the_place_is_told_of_before_anything_is_measured(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page.md").write_text("no place")
    monkeypatch.setattr(speed, "measured", lambda *given: pytest.fail("it was measured"))
    words = ["--recipes", "mnist_mlp", *SETS, "--data-root", str(data), "--write", "--page", str(tmp_path / "page.md"), "--beside", "mine"]
    with pytest.raises(SystemExit, match=r"page.md cannot be written: the page needs these two lines(.|\n)*speed mnist_mlp \(mine\)"):
        speed.main(words)


@forks
@pytest.mark.parametrize(("recipe", "more"), [("mnist_mlp", ()), ("mnist_keras_batchnorm", ("train.discriminator_batch_size=5",))])
def test_all_contestants_play_alike(recipe: str, more: tuple[str, ...], data: Path, tmp_path: Path) -> None:
    """Of each recipe's own contestants all but the optional ones make the steps, with as many updates as are due."""
    setting = settle(recipe, (*TINY, *more), data)
    told: list[str] = []
    keys = ("tutorial", "torchgan", "lightning", "floor")
    found = race(setting, [one for one in CONTESTANTS if one.key in keys], 1, tmp_path, steps=20, tell=told.append)
    for outcomes in found.outcomes.values():
        assert outcomes[0].steps == 20
        assert outcomes[0].updates == dict.fromkeys(("discriminator", "generator"), 20)
    assert {"tutorial", "floor"} <= found.outcomes.keys()
    for key in found.why_not:
        assert key in ("torchgan", "lightning"), told
        assert found.why_not[key].startswith(f"skipped: {key} cannot be imported here"), told


@forks
@pytest.mark.parametrize("library", ["torchgan", "lightning"])
def test_a_library_that_does_not_work_here_is_skipped_with_the_reason(library: str, data: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken" / library
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise RuntimeError('made for another torch')\n")
    setting = settle("mnist_mlp", TINY, data)
    (contestant,) = (one for one in CONTESTANTS if one.key == library)
    environment = children.environment(1, "passive")
    environment["PYTHONPATH"] = f"{broken.parent}:{environment['PYTHONPATH']}"
    command = [sys.executable, "-m", f"loops.{contestant.loops['mnist_mlp']}", str(setting.save(tmp_path / "setting.json"))]
    with pytest.raises(Unable) as caught:
        account_of(children.run(command, environment, look=False))
    why = f"{library} cannot be imported here (RuntimeError: made for another torch)"
    assert str(caught.value) == f"skipped: {why}; pip install 'ganlab[benchmarks]' brings it"


def test_a_device_that_is_not_there_is_named(data: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        speed.main(["--recipes", "mnist_mlp", "--device", "cuda:77", "--data-root", str(data)])
    assert str(ended.value).startswith("there is no device 'cuda:77' here: ")


@forks
def test_the_device_decides_who_plays_and_where(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = settle("mnist_mlp", TINY, data)
    on_cpu, on_gpu = ({one.key for one in CONTESTANTS if one.plays(setting.with_(device=device))} for device in ("cpu", "cuda:1"))
    assert on_cpu == {"tutorial", "torchgan", "lightning", "floor", "ganlab", "plain"}
    assert on_gpu == {"tutorial", "ganlab", "plain", "graphs", "graphs_tf32", "compiled"}
    commands: list[list[str]] = []

    def noted(command: list[str], *given: object, **named: object) -> children.Ended:
        commands.append(command)
        return children.Ended(1, "stop here", 0.0, 0, children.Seen(0.0, 0.0))

    monkeypatch.setattr(children, "run", noted)
    for key in ("graphs_tf32", "tutorial"):
        (contestant,) = (one for one in CONTESTANTS if one.key == key)
        with pytest.raises(Unable, match="stop here"):
            measure(contestant, setting.with_(device="cuda:1"), tmp_path, "passive")
    assert {"train.device=cuda:1", "train.cuda_graphs=true", "train.tf32=true"} <= set(commands[0])
    assert Setting.load(commands[1][-1]).device == "cuda:1"


@forks
def test_a_run_warms_up_for_intervals_of_logging(data: Path, tmp_path: Path) -> None:
    (contestant,) = (one for one in CONTESTANTS if one.key == "ganlab")
    setting = settle("mnist_mlp", (*QUICK, "train.log_every=10"), data).with_(steps=25, warm_up=20)
    outcome = measure(contestant, setting, tmp_path, "passive")
    (run,) = (tmp_path / "runs").iterdir()
    lines = [json.loads(line) for line in (run / "system.jsonl").read_text().splitlines()]
    first, second, _ = (10 / one["metrics"]["speed/steps_per_second"] for one in lines if "speed/steps_per_second" in one["metrics"])
    whole = json.loads((run / "run.json").read_text())["training_seconds"]
    assert outcome.seconds == pytest.approx(whole - first - second)
    assert (outcome.steps, outcome.rate) == (25, 5 / outcome.seconds)


@forks
def test_a_loop_warms_up_step_by_step(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([100.0, 150.0, 153.0])  # it begins; the timed steps begin; all are over
    monkeypatch.setattr("loops.common.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    account = Account(settle("mnist_mlp", TINY, data).with_(steps=5, warm_up=3))
    for _ in range(5):
        account.due()
    account.end()
    found = account_of(children.Ended(0, capsys.readouterr().out, 0.0, 0, children.Seen(0.0, 0.0)))
    assert (found.steps, found.seconds, found.rate) == (5, 3.0, 2 / 3.0)


@forks
def test_a_gpu_warms_up_for_an_interval_of_logging(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    def noted(contestant: Contestant, setting: Setting, *given: object, **named: object) -> Outcome:
        seen.append((setting.steps, setting.warm_up))
        return Outcome(setting.steps, setting.warm_up, 0.5, {}, {"generator": 1}, children.Ended(0, "", 0.0, 0, children.Seen(0.0, 0.0)))

    monkeypatch.setattr(rounds, "measure", noted)
    monkeypatch.setattr(rounds, "ready", lambda *given: "")
    (contestant,) = (one for one in CONTESTANTS if one.key == "tutorial")
    setting = settle("mnist_mlp", (*TINY, "train.log_every=30"), data)
    race(setting.with_(device="cuda"), [contestant], 1, tmp_path, seconds=2.0)
    race(setting.with_(device="cuda"), [contestant], 1, tmp_path, steps=7)
    race(setting, [contestant], 1, tmp_path, steps=7)
    assert seen == [(630, 30), (2430, 30), (37, 30), (7, 0)]  # the pilot: 6,000 images in 0.5 s


@pytest.mark.gpu
@pytest.mark.parametrize("recipe", ["mnist_mlp", "mnist_adaptive", "mnist_keras_batchnorm"])
def test_speed_on_a_gpu(recipe: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, and there is none here")
    more = ["--set", "train.discriminator_batch_size=5"] if recipe == "mnist_keras_batchnorm" else []
    words = ["--recipes", recipe, "--device", "cuda", "--threads", "1", "--rounds", "1", "--steps", "20", "--loss-steps", "0"]
    speed.main([*words, *SETS, *more, "--data-root", str(data)])
    said = capsys.readouterr().out
    assert "CPU only" not in said
    for title in ("the tutorial's loop", "ganlab run", "ganlab run, CUDA graphs", "ganlab run, CUDA graphs and TF32"):
        assert RATE.search(row(said, title)), said


@forks
def test_what_cannot_be_settled(data: Path, tmp_path: Path) -> None:
    with pytest.raises(CannotSettle, match=r"^--set generator.nonsense=1: network 'mlp' has no option 'nonsense'"):
        settle("mnist_mlp", ("generator.nonsense=1",), data)
    with pytest.raises(CannotSettle, match="the data set 'mnist' is not here"):
        settle("mnist_mlp", (), tmp_path)
    with pytest.raises(SystemExit, match=r"^mnist_mlp cannot be measured: the data set 'mnist' is not here"):
        speed.main(["--recipes", "mnist_mlp", "--data-root", str(tmp_path)])


@forks
def test_a_setting_survives_its_file(data: Path, tmp_path: Path) -> None:
    setting = settle("mnist_mlp", TINY, data).with_(steps=7, generator_rate=0.5)
    assert Setting.load(setting.save(tmp_path / "setting.json")) == setting
    assert setting.samples == 130 and setting.shape == (1, 28, 28) and setting.document["train"]["batch_size"] == 10


def test_contestants_find_their_modules_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    code = "import json, sys; print(json.dumps({'compiles_anew': sys.dont_write_bytecode}))"
    assert children.run([sys.executable, "-c", code], children.environment(1, "own"), look=False).told() == {"compiles_anew": False}


def test_what_a_process_took(tmp_path: Path) -> None:
    """A child on a terminal, the memory it took, and a grandchild that outlives it and is waited for."""
    late = tmp_path / "late"
    script = (
        "import subprocess, sys\n"
        "block = bytearray(b'x') * (80 << 20)\n"
        "print(sys.stdout.isatty())\n"
        f"subprocess.Popen([sys.executable, '-c', 'import sys, time; time.sleep(1); open(sys.argv[1], chr(119))', {str(late)!r}])\n"
    )
    seen: list[int] = []
    ended = children.run([sys.executable, "-c", script], children.environment(1, "own"), terminal=True, watch=seen.append, look=False)
    assert (ended.code, ended.last_line) == (0, "True")
    assert ended.peak > 80 << 20
    assert seen and late.exists()


@forks
@pytest.mark.slow
def test_costs_overhead(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = [word for item in TINY for word in ("--set", item)]  # with MLflow
    costs.main(["overhead", "--threads", "1", "--rounds", "1", "--steps", "20", *tiny, "--data-root", str(data)])
    said = capsys.readouterr().out
    for title in ("the bare engine", "+ metrics, JSON lines, sheets, checkpoints", "+ MLflow", "+ live display: `ganlab run`"):
        assert re.search(r"\| [\d.,]+ \| [+-][\d.]+% \|", row(said, title)), said


@forks
def test_costs_start(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    costs.main(["start", "--threads", "1", "--rounds", "1", *SETS, "--data-root", str(data)])
    said = capsys.readouterr().out
    titles = ("a bare script: `import torch`, the data", "`ganlab run`, to the end of its first step")
    bare, ours = (float(row(said, title).split("|")[2]) for title in titles)
    assert 0 < bare < 300 and 0 < ours < 300  # seconds since the start of a process, not since 1970


@pytest.mark.slow
def test_costs_memory(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["--set", "evaluation.samples=20", "--set", "evaluation.every=0", "--set", "evaluation.at_end=false"]
    costs.main(["memory", "--threads", "1", "--steps", "20", *SETS, *quick, "--data-root", str(data)])
    said = capsys.readouterr().out
    assert "over 20 steps memory is" in said
    for title in ("`ganlab run`, evaluations included", "the tutorial's loop and the resident data"):
        assert re.search(r"\| [\d,]+ \|", row(said, title)), said


@forks
@pytest.mark.slow
def test_costs_scaling(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = ["--batches", "4", "--widths", "--sizes", "120"]
    costs.main(["scaling", "--threads", "1", "--rounds", "1", "--steps", "20", *grid, *SETS, "--data-root", str(data)])
    said = capsys.readouterr().out
    for title in ("4", "120 resident", "120 streamed"):
        assert re.search(r"\| (overhead|memory|arithmetic) \| \d+% \|", row(said, title)), said


def test_planted_images_share_files_beyond_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.planted.DISTINCT", 3)
    folder = planted_folder(tmp_path / "images", 8)
    assert len(list(folder.iterdir())) == 8
    assert len({path.stat().st_ino for path in folder.iterdir()}) == 3
