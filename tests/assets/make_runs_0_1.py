"""Makes the run folders in ``runs_0.1``. Run it with ganlab 0.1.0 installed:

    python tests/assets/make_runs_0_1.py

Later versions must go on listing, resuming and using these folders, so they are not made again. The networks are tiny and the data are
eight points, whose numbers are the same on each machine. What tells of the machine and of the person is replaced by neutral words.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import PIL.Image

import ganlab

OUT = Path(__file__).resolve().parent / "runs_0.1"
STEPS = 12
SHEET = (32, 32)  # pixels
ADAM = {"use": "adam", "lr": 0.01}
RICH = {
    "generator": {"use": "mlp", "hidden": [4], "batch_norm": "before_activation", "optimizer": ADAM},
    "discriminator": {"use": "mlp", "hidden": [4], "dropout": 0.2, "optimizer": {"use": "rmsprop", "lr": 0.001, "momentum": 0.5}},
}
SMALL: dict[str, Any] = {
    "data.samples": 64,
    "data.standard_deviation": 0.0,
    "noise.dimension": 3,
    "generator.hidden": [4],
    "discriminator.hidden": [4],
    "train.steps": STEPS,
    "train.batch_size": 8,
    "train.log_every": 2,
    "train.sample_every": 6,
    "train.samples": 4,
    "train.checkpoint_every": 3,
    "train.keep_checkpoints": 1,
    "train.device": "cpu",
    "train.threads": 1,
    "evaluation.every": 0,
    "evaluation.samples": 32,
    "tracking.enabled": False,
    "tricks.loss_plot.enabled": False,
    "tricks.system_metrics.enabled": False,
}
TRICKS = {
    "tricks.adaptive_generator_steps": {"use": "adaptive_generator_steps", "generator_loss_below": 0.8, "max_updates": 3},
    "tricks.spectral_normalization": {"use": "spectral_normalization"},
    "tricks.r1_penalty": {"use": "r1_penalty", "every": 4},
    "tricks.gradient_clipping": {"use": "gradient_clipping", "max_norm": 0.5},
}
RECIPE = 'extends = "ring"\nplugins = ["mine.py"]\n'
PLUGIN = '''"""A trick that counts steps, and networks that are shown labels."""

import torch
from torch import nn

import ganlab


class Count:
    """Counts steps."""

    count = 0

    @ganlab.hookimpl
    def after_step(self, run):
        self.count += 1
        run.record("mine/count", float(self.count))

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


class Labelled(nn.Module):
    """One hidden layer, to which the label's embedding is added."""

    def __init__(self, spec):
        super().__init__()
        self.first, self.last = nn.Linear(spec.input_shape[0], 4), nn.Linear(4, spec.output_shape[0])
        self.embedding = nn.Embedding(spec.classes, 4)

    def forward(self, x, labels):
        return self.last(torch.relu(self.first(x) + self.embedding(labels)))


@ganlab.hookimpl
def register_tricks(register):
    register("count", Count)


@ganlab.hookimpl
def register_networks(register):
    register("labelled", Labelled)
'''


class ending:
    """Inside, the data end the run at their n-th batch: by a signal, or by numbers that are not finite."""

    def __init__(self, step: int, how: signal.Signals | None) -> None:
        self.step, self.how, self.calls = step, how, 0

    def __enter__(self) -> None:
        fetch = self.fetch = ganlab.ResidentDataset.fetch

        def ended(data: ganlab.ResidentDataset, indices: Any) -> ganlab.Batch:
            self.calls += 1
            batch = fetch(data, indices)
            if self.calls == self.step and self.how is not None:
                os.kill(os.getpid(), self.how)
            return ganlab.Batch(batch.images * float("nan"), batch.labels) if self.calls == self.step and self.how is None else batch

        ganlab.ResidentDataset.fetch = ended  # type: ignore[method-assign,assignment]

    def __exit__(self, *error: object) -> None:
        ganlab.ResidentDataset.fetch = self.fetch  # type: ignore[method-assign,assignment]


class Script:
    """A trick with a state that a script brings; the test has one of the same name."""

    def __init__(self) -> None:
        self.steps = 0

    @ganlab.hookimpl
    def after_step(self) -> None:
        self.steps += 1

    def state_dict(self) -> dict[str, int]:
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.steps = state["steps"]


def run(folder: Path, overrides: dict[str, Any] | None = None, recipe: str = "ring", **brought: Any) -> Path:
    """A run in ``folder``: its own folder."""
    given = {key: value for key, value in (SMALL | (overrides or {})).items() if value is not None}
    try:
        ganlab.run(recipe, given, runs_dir=folder, display=False, **brought)
    except ganlab.GanlabError as error:
        print(error)
    (path,) = folder.glob("*-*")
    return path


def interrupted(folder: Path, overrides: dict[str, Any] | None = None, step: int = 7, **more: Any) -> Path:
    """A run that Ctrl-C ended."""
    with ending(step, signal.SIGINT):
        return run(folder, overrides, **more)


def make(folder: Path) -> dict[str, Path]:
    """All runs but those of a set, by kind."""
    (folder / "mine.py").write_text(PLUGIN)
    (folder / "plugin.toml").write_text(RECIPE)
    own = str(folder / "plugin.toml")
    sizes: dict[str, Any] = {"generator.hidden": None, "discriminator.hidden": None}
    labelled = {player: {"use": "labelled", "optimizer": ADAM} for player in ("generator", "discriminator")}
    double = {"train.dtype": "float64", "schedule.order": "simultaneous", "loss": {"use": "relativistic_bce"}}
    made = {
        "finished": run(folder / "finished"),
        "interrupted": interrupted(folder / "interrupted", RICH | sizes),
        "tricks": interrupted(folder / "tricks", TRICKS),
        "plugin_file": interrupted(folder / "plugin_file", {"tricks.count": {"use": "count"}}, recipe=own),
        "labels": interrupted(folder / "labels", labelled | sizes | {"tricks.packing.enabled": False}, recipe=own),
        "script_trick": interrupted(folder / "script_trick", tricks=[Script()]),
        "float64": interrupted(folder / "float64", double),
    }
    with ending(8, None):
        made["failed"] = run(folder / "failed", {"tricks.packing.enabled": False})
    made["resumed_changed"] = interrupted(folder / "resumed_changed", step=6)
    with ending(3, signal.SIGINT):
        ganlab.resume(made["resumed_changed"], {"generator.optimizer.lr": 0.002}, changed=True, display=False)
    subprocess.run([sys.executable, __file__, "killed", str(folder / "killed")], check=False)
    (made["killed"],) = (folder / "killed").iterdir()
    return made


def make_set(folder: Path) -> dict[str, Path]:
    """The runs of a set of two seeds."""
    words = [f"--set={key}={json.dumps(value)}" for key, value in SMALL.items()]
    command = [sys.executable, "-m", "ganlab", "run", "ring", "--seeds", "2", "--name", "small", "--jobs", "1", "--runs-dir", str(folder)]
    subprocess.run([*command, *words], check=True, cwd=folder.parent)
    runs = {json.loads((path / "run.json").read_text())["seed"]: path for path in folder.glob("*-*")}
    definition = json.loads((folder / "sets/small/set.json").read_text()) | {"command": "ganlab run ring --seeds 2 --name small"}
    (OUT / "sets/small").mkdir(parents=True)
    (OUT / "sets/small/set.json").write_text(json.dumps(definition, indent=2) + "\n")
    return {f"set_seed_{seed}": path for seed, path in runs.items()}


def keep(kind: str, path: Path) -> None:
    """Copy a run's folder to the assets, with nothing in it that tells of the machine, and small."""
    out = OUT / kind
    shutil.copytree(path, out, ignore=shutil.ignore_patterns(".lock", "__pycache__"))
    for sheet in out.glob("samples/*.png"):
        PIL.Image.open(sheet).resize(SHEET).save(sheet)
    info = json.loads((out / "run.json").read_text())
    info |= {"user": "user", "host": "host", "platform": "Linux", "device_name": "CPU", "git": None, "command": ["ganlab"]}
    for file in info.get("plugins", []):
        file["from"] = f"/home/user/{file['name']}"
    (out / "run.json").write_text(json.dumps(info, indent=2) + "\n")


def last_metrics(path: Path) -> dict[str, float]:
    """The metrics of the last step of a copy of a run, after it has gone on to the end."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(path, Path(folder) / "run"))
        info = json.loads((copy / "run.json").read_text())
        overrides = {"train.steps": 18} if info["status"] == "finished" else {}
        ganlab.resume(copy, overrides, tricks=[Script() for _ in info.get("script_tricks", [])], trust=True, display=False)
        lines = [json.loads(line) for line in (copy / "metrics.jsonl").read_text().splitlines()]
        found: dict[str, float] = next(line["metrics"] for line in reversed(lines) if "loss/generator" in line["metrics"])
        return found


def main() -> None:
    """Make all of it."""
    assert ganlab.__version__ == "0.1.0"
    if sys.argv[1:2] == ["killed"]:
        with ending(8, signal.SIGKILL):
            run(Path(sys.argv[2]))
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        made = make(folder) | make_set(folder / "set")
        expected = {kind: last_metrics(path) for kind, path in sorted(made.items())}
        for kind, path in made.items():
            keep(kind, path)
    (OUT / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")


if __name__ == "__main__":
    main()
