"""Who is measured, as data: another contestant is another line of :data:`CONTESTANTS`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import children
from support.children import Ended
from support.setting import CannotSettle, Setting, laid, settle

PLAIN_GAME = ("mnist_mlp", "mnist_large_batch")
LOOPS = {"mnist_mlp": "pytorch_mlp", "mnist_large_batch": "pytorch_mlp", "mnist_adaptive": "adaptive", "mnist_keras_batchnorm": "keras"}


@dataclass(frozen=True)
class Contestant:
    """One way to train a recipe.

    Attributes:
        key, title: how it is asked for, and how it stands in the table.
        loops: the program that is run for each recipe (a module of ``loops``); empty: ``ganlab run``.
        overrides: beside those of the setting; of ``ganlab run``, or of a program that has the engine in it.
        compares: whether it trains: then its losses are held against the tutorial's.
        quiet: ``ganlab run --quiet``, without a terminal.
        device: ``cpu`` or ``cuda``: only there is it of any use; empty: on both.
    """

    key: str
    title: str
    loops: Mapping[str, str] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    compares: bool = True
    quiet: bool = False
    device: str = ""

    def plays(self, setting: Setting) -> bool:
        """Whether it knows that recipe, and is of any use on that device."""
        if self.device and (self.device == "cuda") != setting.on_gpu:
            return False
        return not self.loops or Path(setting.recipe).stem in self.loops


#: Every layer for itself, and torch's own dropout.
PLAIN = tuple(f"{role}.{option}" for role in ("generator", "discriminator") for option in ("fast=false", 'dropout_masks="torch"'))
GRAPHS = ("train.cuda_graphs=true",)
CONTESTANTS = (
    Contestant("tutorial", "the tutorial's loop", LOOPS),
    Contestant("torchgan", "torchgan's Trainer", dict.fromkeys(PLAIN_GAME, "torchgan_trainer"), device="cpu"),
    Contestant("lightning", "Lightning module", dict.fromkeys(PLAIN_GAME, "lightning_module"), device="cpu"),
    Contestant("floor", "the floor", dict.fromkeys(LOOPS, "floor"), compares=False, device="cpu"),
    Contestant("ganlab", "ganlab run"),
    Contestant("plain", "ganlab run, plain path", overrides=PLAIN),
    Contestant("graphs", "ganlab run, CUDA graphs", overrides=GRAPHS, device="cuda"),
    Contestant("graphs_tf32", "ganlab run, CUDA graphs and TF32", overrides=(*GRAPHS, "train.tf32=true"), device="cuda"),
    Contestant("compiled", "ganlab run, torch.compile", overrides=("train.compile=true",), device="cuda"),
)


class Unable(Exception):
    """A contestant cannot be measured, and why."""


@dataclass(frozen=True)
class Outcome:
    """One measurement.

    Attributes:
        steps, warm_up: all, and those before the timed ones. seconds: of the timed ones alone.
        losses: means over the second half of the steps. updates: of each player.
        ended: the process.
    """

    steps: int
    warm_up: int
    seconds: float
    losses: dict[str, float]
    updates: dict[str, int]
    ended: Ended

    @property
    def rate(self) -> float:
        """Steps per second."""
        return (self.steps - self.warm_up) / self.seconds


def ready(contestant: Contestant, setting: Setting) -> str:
    """Why this ganlab cannot run the contestant's overrides; empty where it can."""
    if contestant.overrides:
        try:
            settle(setting.recipe, (*setting.overrides, *contestant.overrides), setting.data_root)
        except CannotSettle as error:
            return f"this ganlab does not know it: {str(error).partition('; choices')[0]}"
    return ""


def measure(contestant: Contestant, setting: Setting, folder: Path, policy: str, look: bool = True) -> Outcome:
    """Run one contestant's process.

    Args:
        folder: for what the process needs and leaves behind.
        policy: how threads wait; see :func:`support.children.environment`.
        look: look around before it.

    Raises:
        Unable: it said that it cannot be run here, or failed.
    """
    environment = children.environment(setting.threads, policy)
    if not contestant.loops:
        return run_ganlab(setting, folder, environment, contestant.overrides, quiet=contestant.quiet, look=look)
    setting = setting.with_(overrides=(*setting.overrides, *contestant.overrides))
    module = contestant.loops[Path(setting.recipe).stem]
    command = [sys.executable, "-m", f"loops.{module}", str(setting.save(folder / "setting.json"))]
    return account_of(children.run(command, environment, look=look))


def account_of(ended: Ended) -> Outcome:
    """What a program of ``loops`` has told of itself.

    Raises:
        Unable: it said that it cannot be run here, or failed.
    """
    try:
        told = ended.told()
    except ValueError as error:
        raise Unable(f"failed: {error}") from None
    if "skipped" in told:
        raise Unable(f"skipped: {told['skipped']}")
    return Outcome(told["steps"], told["warm_up"], told["seconds"], told["losses"], told["updates"], ended)


def run_ganlab(
    setting: Setting,
    folder: Path,
    environment: Mapping[str, str],
    overrides: tuple[str, ...] = (),
    *,
    quiet: bool = False,
    evaluate: bool = False,
    look: bool = True,
    watch: Any = None,
) -> Outcome:
    """``ganlab run`` as a person would, in a terminal; ``training_seconds`` of run.json is what counts, less that of the warm-up.

    Sheets and checkpoints come at the intervals of the recipe's full budget, and the first and the last of them in any case.

    Args:
        quiet: in no terminal, and with ``--quiet``.
        evaluate: measure samples as the recipe says; else not at all: it takes longer than a short training, and is not counted.
        watch: called with the process's number.

    Raises:
        Unable: it failed.
    """
    intervals = {"train.steps": setting.steps, "train.seed": setting.seed, "train.threads": setting.threads}
    intervals |= {"train.checkpoint_every": setting.checkpoint_every, "train.sample_every": setting.sample_every}
    intervals |= {"train.log_every": 10} if setting.losses else {}
    words = [f"{name}={value}" for name, value in intervals.items()] + [f"train.device={setting.device}"]
    words += [] if evaluate else ["evaluation.every=0", "evaluation.at_end=false"]
    runs = folder / "runs"
    known = set(runs.iterdir()) if runs.is_dir() else set()
    command = [sys.executable, "-m", "ganlab", "run", setting.recipe, "--runs-dir", str(runs), "--data-root", setting.data_root]
    command += ["--quiet"] * quiet
    command += [word for item in laid([*setting.overrides, *words, *overrides]) for word in ("--set", item)]
    ended = children.run(command, environment, terminal=not quiet, watch=watch, look=look)
    made = [path for path in (set(runs.iterdir()) if runs.is_dir() else set()) - known if (path / "run.json").is_file()]
    if ended.code or len(made) != 1:
        raise Unable(f"failed: {ended.last_line}")
    info = json.loads((made[0] / "run.json").read_text(encoding="utf-8"))
    counters = info["counters"]
    updates = {role: counters[f"{role}_updates"] for role in ("discriminator", "generator")}
    seconds = info["training_seconds"] - _seconds_up_to(made[0], setting.warm_up)
    return Outcome(counters["step"], setting.warm_up, seconds, _losses(made[0], setting.steps), updates, ended)


def _seconds_up_to(run: Path, step: int) -> float:
    """How long a run's training took up to a step at the end of a logging interval."""
    seconds, before = 0.0, 0
    for line in map(json.loads, (run / "system.jsonl").read_text(encoding="utf-8").splitlines()):
        rate = line["metrics"].get("speed/steps_per_second")
        if rate is not None and line["step"] <= step:
            seconds, before = seconds + (line["step"] - before) / rate, line["step"]
    return seconds


def _losses(run: Path, steps: int) -> dict[str, float]:
    """Both players' mean losses over the lines of the second half of a run."""
    found: dict[str, list[float]] = {"discriminator": [], "generator": []}
    for line in map(json.loads, (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()):
        for role, values in found.items():
            value = line["metrics"].get(f"loss/{role}")
            if line["step"] > steps // 2 and value is not None:
                values.append(value)
    return {role: sum(values) / len(values) for role, values in found.items() if values}
