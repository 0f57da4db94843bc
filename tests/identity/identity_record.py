"""Records what one version of ganlab does on the cases: run by ``identity.py`` in a process of its own, once for each version.

It uses public names only (``ganlab.run``, ``ganlab.resume``, hooks, what lies in a run's folder), so that it runs on versions whose
modules lie elsewhere. It plays a case twice: 60 steps without a stop, and from the checkpoint at step 30, in a copy of the run's folder
that was taken when that checkpoint was written.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

import torch
from identity_cases import HALF, STEPS, Case, all_cases
from safetensors import safe_open
from torch import Tensor, nn

import ganlab

IMAGES = ("latent", "real", "fake", "real_labels", "fake_labels", "real_target", "fake_target")
SCORES = ("real_scores", "fake_scores")
#: Files that are not compared: of locks, and of the tracker's process, which may be there or not yet.
LEFT_OUT = (".lock", ".mlflow.lock", "mlflow.json")


def digest(value: Any, length: int = 16) -> Any:
    """A short digest of a tensor's type, shape and bits; what is no tensor as it is."""
    if not isinstance(value, Tensor):
        return value
    value = value.detach().cpu().contiguous()
    found = hashlib.sha256(f"{value.dtype} {tuple(value.shape)} ".encode())
    found.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()[:length]


class Recorder:
    """A trick that notes each call of each hook that does not decide, and copies the run's folder when step 30 is saved."""

    def __init__(self, copy_to: Path | None) -> None:
        self.copy_to = copy_to
        self.calls: list[str] = []

    def note(self, hook: str, *what: Any) -> None:
        self.calls.append(" ".join([hook, *(json.dumps(one) for one in what)]))

    def note_turn(self, hook: str, turn: Any, *what: Any) -> None:
        self.note(hook, turn.step, turn.role, turn.sides, turn.index, turn.repeat, *what)

    @ganlab.hookimpl
    def before_build(self, spec: Any) -> None:
        self.note("before_build", spec.role, spec.input_shape, spec.output_shape, spec.classes)

    @ganlab.hookimpl
    def after_build(self, player: Any) -> None:
        self.note("after_build", player.role, {name: digest(value) for name, value in player.network.state_dict().items()})

    @ganlab.hookimpl
    def before_run(self, run: Any) -> None:
        self.note("before_run", run.resumed_from, run.counters, run.total_steps, run.steps_per_epoch)

    @ganlab.hookimpl
    def may_play(self, turn: Any) -> None:
        self.note_turn("may_play", turn)

    @ganlab.hookimpl
    def before_turn(self, turn: Any) -> None:
        self.note_turn("before_turn", turn)

    @ganlab.hookimpl
    def before_scores(self, turn: Any) -> None:
        self.note_turn("before_scores", turn, {name: digest(getattr(turn, name)) for name in IMAGES})

    @ganlab.hookimpl
    def after_scores(self, turn: Any) -> None:
        self.note_turn("after_scores", turn, {name: digest(getattr(turn, name)) for name in SCORES})

    @ganlab.hookimpl
    def loss_terms(self, turn: Any) -> None:
        self.note_turn("loss_terms", turn, {name: digest(term) for name, term in turn.loss_terms.items()})

    @ganlab.hookimpl
    def before_update(self, turn: Any) -> None:
        gradients = [digest(parameter.grad) for parameter in turn.player.network.parameters()]
        self.note_turn("before_update", turn, digest(turn.loss), gradients)

    @ganlab.hookimpl
    def after_update(self, turn: Any) -> None:
        self.note_turn("after_update", turn, turn.player.updates, digest(next(turn.player.network.parameters())))

    @ganlab.hookimpl
    def play_again(self, turn: Any) -> None:
        self.note_turn("play_again", turn)

    @ganlab.hookimpl
    def after_step(self, run: Any, step: int) -> None:
        self.note("after_step", step, run.counters)

    @ganlab.hookimpl
    def after_epoch(self, epoch: int, means: dict[str, float]) -> None:
        self.note("after_epoch", epoch, means)

    @ganlab.hookimpl
    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        self.note("on_metrics", step, metrics)

    @ganlab.hookimpl
    def on_images(self, run: Any, step: int, name: str, picture: Any, path: Path) -> None:
        self.note("on_images", step, name, path.relative_to(run.path).as_posix(), digest(torch.from_numpy(picture)))

    @ganlab.hookimpl
    def after_checkpoint(self, run: Any, step: int, path: Path) -> None:
        self.note("after_checkpoint", step, path.relative_to(run.path).as_posix())
        if step == HALF and self.copy_to is not None and not self.copy_to.exists():
            shutil.copytree(run.path, self.copy_to)

    @ganlab.hookimpl
    def after_run(self, run: Any, status: str) -> None:
        self.note("after_run", status, run.counters)


class WholeRecorder(Recorder):
    """Notes the hooks that decide, too. It leaves each decision to the run."""

    @ganlab.hookimpl
    def plan_step(self, run: Any, step: int) -> None:
        self.note("plan_step", step, [[[part.player, part.sides] for part in group] for group in run.groups])

    @ganlab.hookimpl
    def on_failure(self, run: Any) -> None:
        self.note("on_failure", run.step)


# -- what cases bring ------------------------------------------------------------------------------------------------------


class Spoiler:
    """A trick that makes a loss term not a number, once each in step 40 (the discriminator's turn) and 50 (the generator's)."""

    def __init__(self) -> None:
        self.left = {40: "discriminator", 50: "generator"}

    @ganlab.hookimpl
    def loss_terms(self, turn: Any) -> None:
        if self.left.get(turn.step) == turn.role:
            del self.left[turn.step]
            turn.loss_terms["spoilt"] = next(iter(turn.loss_terms.values())) * float("nan")


class Away(ganlab.ResidentDataset):
    """Points that cannot be read once: at the call that draws the batch of step 40."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        super().__init__(torch.randn(400, 2, generator=generator))
        self.failed = False
        self.step = 0

    def fetch(self, indices: Tensor) -> ganlab.Batch:
        if self.step == 40 and not self.failed:
            self.failed = True
            raise OSError(5, "Input/output error")
        return super().fetch(indices)


class AwayAt:
    """Tells the data set which step goes on."""

    @ganlab.hookimpl
    def before_turn(self, run: Any, turn: Any) -> None:
        run.dataset.step = turn.step


class Labelled(nn.Module):
    """A network that is shown labels: the label's embedding is added to the hidden layer."""

    def __init__(self, spec: ganlab.NetworkSpec) -> None:
        super().__init__()
        self.output_shape = spec.output_shape
        self.first, self.last = nn.Linear(spec.input_shape[0], 8), nn.Linear(8, spec.output_shape[0])
        self.embedding = nn.Embedding(spec.classes, 8)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        result: Tensor = self.last(torch.relu(self.first(x) + self.embedding(labels)))
        return result


class Plugin:
    """The components above, for recipes to name."""

    @ganlab.hookimpl
    def register_networks(self, register: Any) -> None:
        register("labelled", Labelled)

    @ganlab.hookimpl
    def register_datasets(self, register: Any) -> None:
        register("away", lambda spec: Away(spec.seed))


def brought(case: Case) -> list[object]:
    """The case's own tricks, made anew for each run."""
    made: dict[str, list[object]] = {"spoiler": [Spoiler()], "away": [AwayAt()]}
    return [trick for name in case.brings for trick in made.get(name, [])]


# -- a case ----------------------------------------------------------------------------------------------------------------


def record(case: Case, recipes: Path, folder: Path) -> dict[str, Any]:
    """What the case leaves behind: without a stop, and resumed."""
    kind = Recorder if case.decides else WholeRecorder
    plugins = [Plugin()] if case.brings else []
    first = kind(folder / "copied/run")
    given: dict[str, Any] = {"plugins": plugins, "display": False}
    run = ganlab.run(recipes / f"{case.recipe}.toml", case.all_overrides, tricks=[*brought(case), first], runs_dir=folder / "runs", **given)
    found = {"straight": left_behind(run.path, first)}
    second = kind(None)
    resumed = ganlab.resume(folder / "copied/run", tricks=[*brought(case), second], trust=True, **given)
    return found | {"resumed": left_behind(resumed.path, second)}


def left_behind(run: Path, recorder: Recorder) -> dict[str, Any]:
    """All that is compared of a run, as plain data."""
    info = json.loads((run / "run.json").read_text())
    tensors, state = content(sorted((run / "checkpoints").glob("step_*.safetensors"))[-1])
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    evaluation = run / "evaluation.json"
    generator = content(run / "generator.safetensors")[0]
    summary = {key: info.get(key) for key in ("status", "counters", "total_steps", "findings")}
    if evaluation.is_file():
        summary["evaluation"] = json.loads(evaluation.read_text())["values"]
    assert info["counters"]["step"] == STEPS
    return {
        "tensors": tensors | {f"generator.safetensors: {name}": value for name, value in generator.items()},
        "state": state,
        "metrics": [json.dumps({"step": line["step"], "metrics": line["metrics"]}) for line in lines],
        "hooks": recorder.calls,
        "run": {key: json.dumps(value) for key, value in summary.items()},
        "files": sorted(path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file() and path.name not in LEFT_OUT),
    }


def content(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The digests of a file's tensors, and all leaves of its JSON document but the journal, which is a digest of times."""
    with safe_open(path, framework="pt") as file:
        document = json.loads(file.metadata()["ganlab"])["state"]
        tensors = {name: digest(file.get_tensor(name), 64) for name in file.keys()}  # noqa: SIM118 - not a dict
    leaves: dict[str, str] = {}
    flatten({key: value for key, value in document.items() if key != "journal"}, "", leaves)
    return tensors, leaves


def flatten(value: Any, path: str, leaves: dict[str, str]) -> None:
    """Put each leaf of ``value`` into ``leaves``, by its path."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not items:
        leaves[path] = json.dumps(value)
    for key, item in items:
        flatten(item, f"{path}/{key}".lstrip("/"), leaves)


def main(site: Path, recipes: Path, folder: Path, out: Path, names: list[str]) -> None:
    """Record these cases with the ganlab in ``site``, and write them to ``out``."""
    assert Path(ganlab.__file__).is_relative_to(site), f"{ganlab.__file__} is imported, not the ganlab in {site}"
    cases = all_cases(recipes)
    found: dict[str, Any] = {}
    for number, name in enumerate(names):
        place = folder / f"case-{number}"  # each has its own: a tracker's process may go on after the run's end
        try:
            found[name] = record(cases[name], recipes, place)
        except Exception:
            found[name] = {"error": traceback.format_exc(limit=-2)}
        shutil.rmtree(place, ignore_errors=True)
    out.write_text(json.dumps(found))


if __name__ == "__main__":
    site, recipes, folder, out = map(Path, sys.argv[1:5])
    main(site, recipes, folder, out, sys.argv[5:])
