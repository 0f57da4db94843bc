"""Every hook: when it is called, with what, and what its answer does; and what is refused."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import Capture, Plugin, StopAt, hooked, reopened, same, weights

import ganlab
from ganlab.errors import NonFiniteError, PluginError
from ganlab.hookspecs import RegistrationHooks, RunHooks
from ganlab.registry.catalogue import HOOK_OF, Catalogue
from ganlab.runs.run import Run
from ganlab.runs.training import execute
from ganlab.testing import TinyLoss, TinyNoise, play, prepare

HERE = Path(__file__).resolve().parent
HOOKS = {name: spec for owner in (RegistrationHooks, RunHooks) for name, spec in vars(owner).items() if hasattr(spec, "ganlab_spec")}


# -- the rules of the house ------------------------------------------------------------------------------------------------


def test_there_is_a_test_for_every_hook() -> None:
    tests = "".join(path.read_text() for path in HERE.glob("test_*.py"))
    assert [name for name in HOOKS if f"\ndef test_hook_{name}(" not in tests] == []


def test_every_hook_stands_in_the_manual_with_its_exact_signature() -> None:
    page = (HERE.parent / "docs" / "hooks.md").read_text()
    for name, spec in HOOKS.items():
        whole = inspect.signature(spec)
        if hasattr(RegistrationHooks, name):  # functions, where those of a run are methods
            whole = whole.replace(parameters=[*whole.parameters.values()][1:])
        signature = f"def {name}{whole}".replace("'", "")
        assert f"### `{name}`\n\n```python\n{signature}\n```\n\n{inspect.getdoc(spec)}\n" in page, name


def users(hook: str) -> set[str]:
    """The installed tricks, or for a registration hook the plugins, that implement it."""
    catalogue = Catalogue.of_installed()
    assert catalogue.broken == []
    if hook in vars(RegistrationHooks):
        return {entry.plugin for entry in catalogue.entries() if HOOK_OF[entry.kind] == hook}
    return {entry.name for entry in catalogue.entries(["trick"]) if hasattr(getattr(entry.factory, hook, None), "ganlab_impl")}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_the_first_party_users_that_it_names(hook: str) -> None:
    text = inspect.getdoc(HOOKS[hook]) or ""
    tricks = {entry.name for entry in Catalogue.of_installed().entries(["trick"])}
    named = set(re.findall(r"``(\w+)``", text.partition("First-party user")[2])) & tricks
    assert users(hook)
    assert named - users(hook) == set()
    assert named or hook in vars(RegistrationHooks)


# -- registration ----------------------------------------------------------------------------------------------------------


def brought(**components: Any) -> Capture:
    capture = Capture()
    kind, name = next(iter(components)), next(iter(next(iter(components.values()))))
    table = {"networks": "generator", "losses": "loss", "datasets": "data", "noises": "noise", "optimizers": "generator.optimizer"}[kind]
    value = '{use="%s",optimizer={use="tiny"}}' if kind == "networks" else '{use="%s"}'
    run = play(capture, overrides=[f"{table}={value % name}"], plugins=[Plugin(**components)])
    assert run.step == 5
    return capture


def test_hook_register_networks() -> None:
    class Constant(torch.nn.Module):
        def __init__(self, spec: ganlab.NetworkSpec) -> None:
            super().__init__()
            assert (spec.role, spec.input_shape, spec.output_shape, spec.classes) == ("generator", (3,), (2,), 2)
            self.value = torch.nn.Parameter(torch.zeros(2))

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return self.value.expand(len(z), 2)

    assert brought(networks={"constant": Constant}).turns[0]["fake"].tolist() == [[0.0, 0.0]] * 8


def test_hook_register_losses() -> None:
    class Tenfold(TinyLoss):
        def generator(self, turn: ganlab.Turn) -> torch.Tensor:
            return 10 * super().generator(turn)

    tenfold, plain = brought(losses={"tenfold": Tenfold}), Capture()
    play(plain)
    assert tenfold.of("generator")[0]["loss"] == pytest.approx(10 * plain.of("generator")[0]["loss"])


def test_hook_register_datasets() -> None:
    def origin(spec: ganlab.DatasetSpec) -> ganlab.ResidentDataset:
        return ganlab.ResidentDataset(torch.zeros(16, 2))

    assert brought(datasets={"origin": origin}).turns[0]["real"].tolist() == [[0.0, 0.0]] * 8


def test_hook_register_noises() -> None:
    class Ones(TinyNoise):
        def sample(self, count: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
            return torch.ones(count, 3, device=device, dtype=dtype)

    assert brought(noises={"ones": Ones}).turns[0]["latent"].tolist() == [[1.0, 1.0, 1.0]] * 8


def test_hook_register_optimizers() -> None:
    class Still(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            pass

    moved = brought(optimizers={"still": lambda parameters: Still(parameters, lr=1.0)})
    before, after = moved.of("generator")[0]["weights"], moved.of("generator")[-1]["weights"]
    assert before["generator.linear.weight"].equal(after["generator.linear.weight"])
    assert not before["discriminator.linear.weight"].equal(after["discriminator.linear.weight"])


def test_hook_register_tricks() -> None:
    seen = []

    class Listed:
        def __init__(self, *, word: str = "none") -> None:
            self.word = word

        @ganlab.hookimpl
        def after_step(self, step: int) -> None:
            seen.append((self.word, step))

    tricks = ['tricks.a={use="listed",word="first"}', 'tricks.b={use="listed",word="second"}', 'tricks.c={use="listed",enabled=false}']
    play(steps=2, overrides=tricks, plugins=[Plugin(tricks={"listed": Listed})])
    assert seen == [("first", 1), ("second", 1), ("first", 2), ("second", 2)]


# -- the run hooks ---------------------------------------------------------------------------------------------------------


def test_hook_before_build() -> None:
    specs = []

    def widen(run: Run, spec: ganlab.NetworkSpec) -> None:
        specs.append((spec.role, spec.input_shape, spec.output_shape, spec.classes))
        assert run.players.keys() == ({"generator"} if spec.role == "discriminator" else set())
        if spec.role == "generator":
            spec.input_shape = (7,)

    run = prepare(hooked(before_build=widen))
    assert specs == [("generator", (3,), (2,), 2), ("discriminator", (2,), (1,), 2)]
    assert run.players["generator"].network.linear.in_features == 7  # type: ignore[union-attr]


def test_hook_after_build() -> None:
    def grow(run: Run, player: Any) -> None:
        assert not hasattr(player, "optimizer")
        if player.role == "generator":
            player.network = torch.nn.Sequential(player.network, torch.nn.Linear(2, 2))

    run = play(hooked(after_build=grow), steps=2)
    generator = run.players["generator"]
    assert len(generator.parameters) == 4
    assert {id(p) for p in generator.optimizer.param_groups[0]["params"]} == {id(p) for p in generator.network.parameters()}
    added = torch.nn.Linear(2, 2)
    assert not generator.network[1].weight.equal(added.weight)  # type: ignore[index]
    assert generator.parameters[2].grad is not None


def test_hook_before_run(tmp_path: Path) -> None:
    seen = []
    watch = hooked(before_run=lambda run: seen.append((run.step, run.resumed_from, run.info["status"])))
    run = play(watch, StopAt(3), steps=6, folder=tmp_path)
    execute(reopened(run.path, watch, StopAt(99)))
    assert seen == [(0, None, "running"), (3, 3, "running")]


def test_hook_plan_step() -> None:
    plans: dict[int, list[list[ganlab.Part]] | None] = {
        1: None,
        2: [],
        3: [[ganlab.Part("generator", ("fake",))]],
        4: [[ganlab.Part("discriminator", ("fake",)), ganlab.Part("generator", ("fake",))]],
    }
    capture = Capture()
    play(capture, hooked(plan_step=lambda step: plans[step]), steps=4)
    assert [(turn["step"], turn["role"], turn["sides"]) for turn in capture.turns] == [
        (1, "discriminator", ("real", "fake")),
        (1, "generator", ("fake",)),
        (3, "generator", ("fake",)),
        (4, "discriminator", ("fake",)),
        (4, "generator", ("fake",)),
    ]


def test_hook_may_play() -> None:
    asked = []

    def even(run: Run, turn: ganlab.Turn) -> bool | None:
        asked.append((turn.step, turn.role, turn.latent, turn.loss))
        return turn.step % 2 == 0 if turn.role == "generator" else None

    run = play(hooked(may_play=even), steps=4)
    assert run.players["generator"].updates == 2
    assert run.players["discriminator"].updates == 4
    assert asked[:2] == [(1, "discriminator", None, None), (1, "generator", None, None)]


def test_hook_before_turn() -> None:
    def soften(run: Run, turn: ganlab.Turn) -> None:
        assert turn.latent is turn.real is turn.fake is turn.real_scores is None
        turn.real_target = 0.5

    softened, plain = Capture(), Capture()
    play(softened, hooked(before_turn=soften), steps=1)
    play(plain, steps=1)
    real = plain.turns[0]["real_scores"]
    assert softened.turns[0]["terms"]["real"] == pytest.approx(plain.turns[0]["terms"]["real"] + 0.5 * real.mean().item())
    assert softened.turns[1]["loss"] != plain.turns[1]["loss"]  # the discriminator learned something else


def test_hook_before_scores() -> None:
    shapes = []

    def show(turn: ganlab.Turn) -> None:
        shapes.append((turn.real is not None and tuple(turn.real.shape), turn.fake is not None and tuple(turn.fake.shape)))
        assert turn.fake is not None
        assert turn.fake.requires_grad == (turn.role == "generator")
        turn.fake = turn.fake * 0

    capture = Capture()
    run = play(hooked(before_scores=show), capture, steps=1)
    assert shapes == [((8, 2), (8, 2)), (False, (8, 2))]
    bias = capture.turns[0]["weights"]["discriminator.linear.bias"]
    assert capture.turns[1]["fake_scores"].tolist() == [bias.item()] * 8
    assert all(gradient.eq(0).all() for gradient in capture.turns[1]["gradients"])
    assert run.players["generator"].updates == 1


def test_hook_after_scores() -> None:
    def hide(turn: ganlab.Turn) -> None:
        assert turn.fake_scores is not None
        assert turn.fake_scores.shape == (8,)
        turn.fake_scores = turn.fake_scores * 0 + 3.0

    capture = Capture()
    play(hooked(after_scores=hide), capture, steps=1)
    assert capture.turns[0]["terms"]["fake"] == pytest.approx(torch.nn.functional.softplus(torch.tensor(3.0)).item())
    assert capture.metrics[0][1]["score/fake"] != pytest.approx(torch.tensor(3.0).sigmoid().item())  # logged as D gave them


def test_hook_loss_terms() -> None:
    def add(turn: ganlab.Turn) -> None:
        assert turn.loss_terms.keys() == ({"real", "fake"} if turn.role == "discriminator" else {"adversarial"})
        turn.loss_terms["weights"] = sum((p.square().sum() for p in turn.player.parameters), start=torch.zeros(()))

    capture, plain = Capture(), Capture()
    play(capture, hooked(loss_terms=add), steps=1)
    play(plain, steps=1)
    with_it, without = capture.turns[0], plain.turns[0]
    assert with_it["loss"] == pytest.approx(sum(with_it["terms"].values()))
    assert with_it["loss"] == pytest.approx(without["loss"] + with_it["terms"]["weights"])
    logged = capture.metrics[0][1]
    assert logged["loss/discriminator.weights"] == pytest.approx(with_it["terms"]["weights"])
    assert logged["loss/generator.weights"] == pytest.approx(capture.turns[1]["terms"]["weights"])


def test_hook_before_update() -> None:
    def nothing(turn: ganlab.Turn) -> None:
        assert turn.player.gradient_norm() > 0
        if turn.role == "generator":
            turn.player.scale_gradients(0.0)

    run = prepare(hooked(before_update=nothing), steps=3)
    before = weights(run)
    execute(run)
    assert before["generator.linear.weight"].equal(weights(run)["generator.linear.weight"])
    assert not before["discriminator.linear.weight"].equal(weights(run)["discriminator.linear.weight"])


def test_hook_after_update() -> None:
    counts = []
    play(hooked(after_update=lambda run, turn: counts.append((turn.role, turn.player.updates, turn.loss is not None))), steps=2)
    assert counts == [("discriminator", 1, True), ("generator", 1, True), ("discriminator", 2, True), ("generator", 2, True)]


def test_hook_play_again() -> None:
    repeats = []
    again = hooked(play_again=lambda turn: turn.repeat < turn.step, after_update=lambda turn: repeats.append((turn.step, turn.repeat)))
    run = play(again, steps=2)
    assert repeats == [*[(1, 0), (1, 1)] * 2, *[(2, 0), (2, 1), (2, 2)] * 2]
    assert run.counters == {"step": 2, "epoch": 0, "discriminator_updates": 5, "generator_updates": 5, "images_seen": 16}


def test_hook_after_step() -> None:
    seen = []
    play(hooked(after_step=lambda run, step: seen.append((step, run.step, run.players["generator"].updates))), steps=3)
    assert seen == [(1, 1, 1), (2, 2, 2), (3, 3, 3)]


def test_hook_after_epoch() -> None:
    seen = []
    capture = Capture()
    play(hooked(after_epoch=lambda run, epoch, means: seen.append((run.step, run.epoch, epoch, sorted(means)[:2]))), capture, steps=20)
    assert [(step, epoch) for step, epoch, _, _ in seen] == [(8, 1), (16, 2)]
    assert seen[0][2:] == (1, ["accuracy/fake", "accuracy/real"])


def test_hook_on_metrics(tmp_path: Path) -> None:
    seen = []

    def look(run: Run, step: int, metrics: dict[str, float]) -> None:
        assert len((run.path / "metrics.jsonl").read_text().splitlines()) == len(seen) + 1  # already written down
        assert all(type(value) is float for value in metrics.values())
        seen.append(step)

    play(hooked(on_metrics=look), steps=7, overrides=["train.log_every=3"], folder=tmp_path)
    assert seen == [3, 6, 7]


def test_hook_on_images(tmp_path: Path) -> None:
    seen = []

    def look(run: Run, step: int, name: str, picture: Any, path: Path) -> None:
        assert path.is_file()
        assert path.parent == run.path / "samples"
        assert picture.ndim == 3
        assert (picture.shape[2], str(picture.dtype)) == (3, "uint8")
        seen.append((step, name))

    play(hooked(on_images=look), steps=5, overrides=["train.sample_every=2"], folder=tmp_path)
    assert seen == [(0, "samples"), (2, "samples"), (4, "samples"), (5, "samples")]


def test_hook_after_checkpoint(tmp_path: Path) -> None:
    seen = []

    def look(run: Run, step: int, path: Path) -> None:
        assert path == run.checkpoints()[-1]
        assert path.stat().st_size > 0
        seen.append((step, path.name, len(run.checkpoints())))

    overrides = ["train.checkpoint_every=2", "train.keep_checkpoints=2"]
    play(hooked(after_checkpoint=look), steps=7, overrides=overrides, folder=tmp_path)
    expected = [(2, 1), (4, 2), (6, 2), (7, 2)]
    assert seen == [(step, f"step_{step:09d}.safetensors", there) for step, there in expected]


def test_hook_on_failure(tmp_path: Path) -> None:
    errors = []

    def fail(step: int) -> None:
        if step == 5 and not errors:
            raise NonFiniteError("made up", "")

    def mend(run: Run, error: Exception) -> bool:
        errors.append((run.step, str(error)))
        run.restore(run.checkpoints()[-1])
        return True

    options = {"steps": 8, "overrides": ["train.checkpoint_every=2"]}
    run = play(hooked(after_step=fail, on_failure=mend), folder=tmp_path / "a", **options)
    assert errors == [(5, "made up")]
    assert (run.step, run.info["status"]) == (8, "finished")
    assert same(weights(run), weights(play(folder=tmp_path / "b", **options)))
    errors.clear()
    with pytest.raises(NonFiniteError):
        play(hooked(after_step=fail, on_failure=lambda error: None), **options)


def test_hook_after_run(tmp_path: Path) -> None:
    seen = []
    watch = hooked(after_run=lambda run, status: seen.append((run.step, status, run.info["status"])))

    def fail(step: int) -> None:
        raise RuntimeError("no")

    play(watch, steps=2)
    play(watch, StopAt(1), steps=2)
    with pytest.raises(PluginError):
        play(watch, hooked(after_step=fail), steps=2)
    with pytest.raises(PluginError):
        play(hooked(before_run=lambda: fail(0)), watch, steps=2)
    assert seen == [(2, "finished", "closing"), (1, "interrupted", "interrupted"), (1, "failed", "failed"), (0, "failed", "failed")]


def test_hook_deliver(tmp_path: Path) -> None:
    seen: list[Any] = []

    def saved(run: Run) -> str:
        assert run.folder is not None
        return run.folder.read_info().status

    first = hooked(after_run=lambda: seen.append("after_run"), deliver=lambda: 1 / 0)
    second = hooked(after_run=lambda: seen.append("after_run"), deliver=lambda run, status: seen.append((status, saved(run))))
    told: list[str] = []
    run = prepare(first, second, steps=2, folder=tmp_path)
    run.tell = told.append
    assert execute(run) == "finished"
    run = prepare(first, StopAt(1), second, steps=2, folder=tmp_path)
    run.tell = told.append
    assert execute(run) == "interrupted"
    assert seen == ["after_run", "after_run", ("finished", "finished"), "after_run", "after_run", ("interrupted", "interrupted")]
    for text, status in zip(told, ("finished", "interrupted"), strict=True):
        expected = f"The run is {status}, but when it was delivered Mine, in its hook deliver in step "
        assert text.startswith(expected) and "ZeroDivisionError" in text
    assert run.info["announcements"] == []  # the folder is complete, and another process may be sending it


def test_after_run_is_called_for_every_trick_though_one_raises(tmp_path: Path) -> None:
    told: list[str] = []
    seen: list[str] = []
    run = prepare(hooked(after_run=lambda: 1 / 0), hooked(after_run=lambda run: seen.append("second")), steps=1, folder=tmp_path)
    run.tell = told.append
    assert execute(run) == "finished"
    assert seen == ["second"]
    assert told[0].startswith(
        "The run is finished, but at its end Mine, in its hook after_run in step 1, raised ZeroDivisionError: division by zero\n"
    )
    assert run.folder is not None
    info = run.folder.read_info()
    assert (info.status, info.announcements) == ("finished", told)
