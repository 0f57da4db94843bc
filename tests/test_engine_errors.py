"""What plugins may get wrong in the middle of a run: each mistake is named with its owner, and with what to do."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import Plugin, hooked, trick
from torch import Tensor, nn

import ganlab
from ganlab.errors import GanlabError, PluginError, RecipeError, UsageError
from ganlab.game.turn import Part
from ganlab.runs.device import find_device
from ganlab.testing import TinyLoss, TinyNetwork, TinyNoise, play, prepare

OWNER = "(plugin plugin0, the test)"


def fails(*tricks: object, **options: Any) -> str:
    with pytest.raises(GanlabError) as caught:
        play(*tricks, **options)
    return str(caught.value)


def network(role: str, change: Any) -> dict[str, Any]:
    """A recipe whose ``role`` returns ``change`` of what it should."""

    class Changed(TinyNetwork):
        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = change(super().forward(x))
            return result

    return {"overrides": [f'{role}={{use="changed",optimizer={{use="tiny"}}}}'], "plugins": [Plugin(networks={"changed": Changed})]}


@pytest.mark.parametrize(
    ("change", "shape"),
    [(lambda y: y.mean(), "()"), (lambda y: y.expand(8, 2), "(8, 2)"), (lambda y: y[:3], "(3, 1)"), (lambda y: y[:, :, None], "(8, 1, 1)")],
)
def test_scores_of_a_wrong_shape(change: Any, shape: str) -> None:
    assert fails(**network("discriminator", change)) == (
        f"the discriminator, network 'changed' {OWNER} gave scores of shape {shape} for 8 images\n"
        "the discriminator must return one score an image: (8,) or (8, 1)"
    )


@pytest.mark.parametrize("change", [lambda y: y, lambda y: y.squeeze(1)])
def test_scores_may_have_a_trailing_one_or_not(change: Any) -> None:
    assert play(**network("discriminator", change)).step == 5


def test_samples_of_a_wrong_shape() -> None:
    assert fails(**network("generator", lambda y: y[:, :1])) == (
        f"the generator, network 'changed' {OWNER} made samples of shape (1,); the data's is (2,)\nthe shape to make is spec.output_shape"
    )


def test_a_network_that_returns_no_tensor() -> None:
    expected = f"the discriminator, network 'changed' {OWNER} returned a tuple, not a tensor\na network returns one tensor"
    assert fails(**network("discriminator", lambda y: (y, y))) == expected


def test_a_network_that_raises_has_its_own_traceback() -> None:
    def broken(y: Tensor) -> Tensor:
        raise IndexError("off the end")

    with pytest.raises(PluginError) as caught:
        play(**network("generator", broken))
    assert caught.value.message == f"the generator, network 'changed' {OWNER} raised IndexError: off the end"
    assert "in broken" in caught.value.hint
    assert caught.value.hint.splitlines()[-1] == "IndexError: off the end"


def loss(**methods: Any) -> dict[str, Any]:
    changed = type("Changed", (TinyLoss,), methods)
    return {"overrides": ['loss={use="changed"}'], "plugins": [Plugin(losses={"changed": changed})]}


def test_a_loss_that_is_no_scalar() -> None:
    assert fails(**loss(real=lambda self, turn: turn.real_scores)) == (
        f"loss 'changed' {OWNER}: its term 'real' has shape (8,), not that of a scalar\nreduce over dim 0: `.mean(0)`"
    )
    assert fails(**loss(generator=lambda self, turn: turn.fake_scores[:, None].mean(0))) == (
        f"loss 'changed' {OWNER}: its term 'adversarial' has shape (1,), not that of a scalar\nreduce over dim 0: `.mean(0)`"
    )


def test_a_loss_that_is_no_tensor() -> None:
    assert fails(**loss(fake=lambda self, turn: 0.5)) == (
        f"loss 'changed' {OWNER}: its term 'fake' is a float, not a tensor\ncompute it from the turn's scores: `.mean(0)`"
    )


def test_a_loss_that_raises() -> None:
    text = fails(**loss(generator=lambda self, turn: turn.no_such_thing))
    assert text.startswith(f"loss 'changed' {OWNER} raised AttributeError: 'Turn' object has no attribute 'no_such_thing'\n")


def test_a_loss_without_a_gradient() -> None:
    assert fails(**loss(generator=lambda self, turn: turn.fake_scores.detach().mean())) == (
        "the generator's loss has no gradient in step 1\n"
        f"a trick or loss 'changed' {OWNER} has cut it off: look for detach(), .item() and no_grad()"
    )


class Terms:
    def __init__(self, term: Any) -> None:
        self.term = term

    @ganlab.hookimpl
    def loss_terms(self, turn: ganlab.Turn) -> None:
        turn.loss_terms["mine"] = self.term(turn)


def test_a_term_of_a_trick_that_is_no_scalar() -> None:
    assert fails(Terms(lambda turn: turn.fake_scores)) == (
        "the discriminator's loss term 'mine', which a trick has set, has shape (8,), not that of a scalar\nreduce over dim 0: `.mean(0)`"
    )
    assert fails(Terms(lambda turn: 1.0)).startswith(
        "the discriminator's loss term 'mine', which a trick has set, is a float, not a tensor"
    )


METHODS = "a loss has methods real(turn), fake(turn) and generator(turn); with pairs = True, discriminator(turn) in place of the first two"
LAW = "a noise has an attribute shape and a method sample(count, generator, device, dtype)"


@pytest.mark.parametrize(
    ("table", "missing", "kind", "hint"),
    [
        ("loss.generator", "generator", "loss of the generator", METHODS),
        ("loss.discriminator", "fake", "loss of the discriminator", METHODS),
        ("noise", "sample", "noise", LAW),
        ("sampling_noise", "sample", "noise", LAW),
        ("data", "fetch", "data set", "`ganlab.ResidentDataset(tensor)` makes a data set from a tensor of samples"),
    ],
)
def test_what_lacks_a_part_is_refused_before_anything_begins(table: str, missing: str, kind: str, hint: str) -> None:
    class Part:
        shape = (4,)
        pairs = False
        names = {"real", "fake", "generator", "sample", "__len__", "place", "fetch", "prefetch", "picture", "fingerprint"} - {missing}

    for name in Part.names:
        setattr(Part, name, lambda self, *given: 1)
    plural = {"loss": "losses", "noise": "noises", "data": "datasets"}[table.removeprefix("sampling_").partition(".")[0]]
    plugin = Plugin(**{plural: {"part": lambda *given: Part()}})  # type: ignore[arg-type]
    override, word = f'{table}={{use="part"}}', {"losses": "loss", "noises": "noise", "datasets": "dataset"}[plural]
    with pytest.raises(RecipeError) as caught:
        prepare(overrides=[override], plugins=[plugin])
    assert str(caught.value) == (
        f"--set {override}: {word} 'part' {OWNER} made a value of type Part, which is not a valid {kind}: it has no {missing}\n{hint}"
    )


def test_an_optimizer_that_lacks_a_part_is_refused_before_anything_begins() -> None:
    plugin = Plugin(optimizers={"part": lambda parameters: object()})
    with pytest.raises(RecipeError) as caught:
        prepare(overrides=['generator.optimizer={use="part"}'], plugins=[plugin])
    assert str(caught.value) == (
        f"--set generator.optimizer={{use=\"part\"}}: optimizer 'part' {OWNER} made a value of type object, "
        "which is not a valid optimizer: it has no step\n"
        "return a torch.optim.Optimizer for the parameters that it gets"
    )


@pytest.mark.parametrize(
    ("override", "plural"),
    [
        ('generator={use="a"}', "networks"),
        ('loss={use="a"}', "losses"),
        ('data={use="a"}', "datasets"),
        ('noise={use="a"}', "noises"),
        ('generator.optimizer={use="a"}', "optimizers"),
        ('tricks.a={use="a"}', "tricks"),
        ('metrics.a={use="a"}', "metrics"),
    ],
)
def test_a_class_in_place_of_an_object_is_refused_before_anything_begins(override: str, plural: str) -> None:
    class Part:
        pass

    plugin = Plugin(**{plural: {"a": lambda *given: Part}})  # type: ignore[arg-type]
    with pytest.raises(RecipeError) as caught:
        prepare(overrides=[override], plugins=[plugin])
    assert str(caught.value).endswith(f"'a' {OWNER} made the class Part, not an object\nmake one: `Part()`")


def test_a_property_that_raises_is_not_missing() -> None:
    class Noise:
        @property
        def shape(self) -> tuple[int, ...]:
            raise self.error

        def sample(self) -> None: ...

    def raised(error: Exception) -> str:
        Noise.error = error  # type: ignore[attr-defined]
        return fails(overrides=['noise={use="part"}'], plugins=[Plugin(noises={"part": Noise})])

    assert raised(RuntimeError("not yet")).startswith(f"noise 'part' {OWNER} raised RuntimeError: not yet\n")
    assert raised(AttributeError("no name")).startswith(f"noise 'part' {OWNER} raised AttributeError: no name\n")  # not "it has no shape"


@pytest.mark.parametrize("side", ["real", "fake"])
@pytest.mark.parametrize(("hook", "what"), [("before_scores", ""), ("after_scores", "_scores")])
@pytest.mark.parametrize("role", ["discriminator", "generator"])
def test_a_trick_that_takes_away_what_is_needed(role: str, hook: str, what: str, side: str) -> None:
    def take(turn: ganlab.Turn) -> None:
        if turn.role == role:
            setattr(turn, side + what, None)

    with pytest.raises(PluginError) as caught:
        play(hooked(**{hook: take}), overrides=['loss={use="relativistic_bce"}'])  # the generator's turn compares with real scores
    assert str(caught.value) == (
        f"Mine, in its hook {hook}, has set turn.{side + what} to None: there are no {side} scores for loss 'relativistic_bce' "
        f"(plugin losses, ganlab {ganlab.__version__}) in the {role}'s turn of step 1\n"
        "a trick may assign another tensor; the sides that a turn is scored on are those of its Part in `plan_step`"
    )
    assert caught.value.trick == "Mine"


def test_who_only_changed_it_is_not_blamed() -> None:
    class Watcher:
        only_watches = True  # what it does is not traced

        @ganlab.hookimpl
        def before_scores(self, turn: ganlab.Turn) -> None:
            turn.real = None

    def change(turn: ganlab.Turn) -> None:
        turn.real = turn.real + 0 if turn.real is not None else None

    assert fails(hooked(before_scores=change), Watcher()).startswith("there are no real scores for loss ")


def test_a_trick_may_score_a_side_itself() -> None:
    scored: list[str] = []

    class Own:
        @ganlab.hookimpl
        def before_scores(self, turn: ganlab.Turn) -> None:
            self.hidden, turn.real = turn.real, None

        @ganlab.hookimpl
        def after_scores(self, run: ganlab.Run, turn: ganlab.Turn) -> None:
            if self.hidden is not None:
                turn.real_scores = run.players["discriminator"](self.hidden, None).squeeze(1)
                scored.append(turn.role)

    play(Own(), steps=1, overrides=['loss={use="relativistic_bce"}'])
    assert scored == ["discriminator", "generator"]


def test_a_plan_that_a_loss_cannot_be_played_with() -> None:
    def plan(run: ganlab.Run, step: int) -> list[list[Part]]:
        return [[Part("discriminator", ("real",))]]

    assert fails(hooked(plan_step=plan), overrides=['loss={use="relativistic_bce"}']) == (
        f"there are no fake scores for loss 'relativistic_bce' (plugin losses, ganlab {ganlab.__version__}) in the discriminator's turn of "
        "step 1\na trick may assign another tensor; the sides that a turn is scored on are those of its Part in `plan_step`"
    )


def test_scores_that_a_trick_brings_itself_serve_a_plan_of_one_side() -> None:
    def plan(run: ganlab.Run, step: int) -> list[list[Part]]:
        return [[Part("discriminator", ("real",))]]

    def bring(turn: ganlab.Turn) -> None:
        assert turn.real_scores is not None
        turn.fake_scores = torch.zeros_like(turn.real_scores)

    trick = hooked(plan_step=plan, after_scores=bring)
    run = play(trick, steps=2, overrides=['loss={use="relativistic_bce"}'])
    assert [run.players[role].updates for role in ("discriminator", "generator")] == [2, 0]


def test_real_scores_that_nobody_needs_may_be_missing() -> None:
    def take(turn: ganlab.Turn) -> None:
        if turn.role == "generator":
            turn.real_scores = None

    assert play(hooked(after_scores=take), steps=2).step == 2


def test_a_noise_that_breaks_its_promise() -> None:
    class Flat(TinyNoise):
        def sample(self, count: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> Tensor:
            return torch.randn(count, generator=generator)

    text = fails(overrides=['noise={use="flat"}'], plugins=[Plugin(noises={"flat": Flat})])
    assert text == "noise 'flat' returned latents of shape (8,); its shape attribute asks for (8, 3)"


def test_a_data_set_that_raises() -> None:
    class Shut(ganlab.ResidentDataset):
        def fetch(self, indices: Tensor) -> ganlab.Batch:
            raise OSError("the disk is gone")

    options = {"overrides": ['data={use="shut"}'], "plugins": [Plugin(datasets={"shut": lambda spec: Shut(torch.zeros(16, 2))})]}
    assert fails(**options).startswith("dataset 'shut' raised OSError: the disk is gone\nTraceback (of the plugin's own code):\n")


def test_a_component_that_refuses_its_options_is_a_mistake_of_the_recipe() -> None:
    def picky(spec: ganlab.NetworkSpec, *, width: int = 3) -> nn.Module:
        raise ValueError("width must be even")

    with pytest.raises(RecipeError) as caught:
        prepare(overrides=['generator={use="picky",optimizer={use="tiny"}}'], plugins=[Plugin(networks={"picky": picky})])
    assert caught.value.mistakes == ['--set generator={use="picky",optimizer={use="tiny"}}: network \'picky\': width must be even']
    assert caught.value.exit_code == 2


def test_a_network_that_is_none_or_has_nothing_to_train() -> None:
    brought = Plugin(networks={"text": lambda spec: "a network", "bare": lambda spec: nn.Flatten()})
    for use, why in (
        ("text", f": network 'text' {OWNER} is not a torch.nn.Module"),
        ("bare", ": the discriminator has no parameters to train"),
    ):
        with pytest.raises(RecipeError) as caught:
            prepare(overrides=[f'discriminator={{use="{use}",optimizer={{use="tiny"}}}}'], plugins=[brought])
        assert caught.value.mistakes[0].endswith(why)


def test_no_such_device() -> None:
    with pytest.raises(UsageError, match=r"^train\.device = 'cuda:99': there is no such device here\nhere: cpu.*; or `--device auto`$"):
        find_device("cuda:99")
    assert find_device("cpu") == torch.device("cpu")


def test_a_batch_larger_than_the_data() -> None:
    with pytest.raises(UsageError) as caught:
        prepare(overrides=["train.batch_size=65"])
    assert str(caught.value) == ("train.batch_size = 65 is more than dataset 'tiny' has: 64 samples\nuse a batch_size of at most 64")
    assert prepare(overrides=["train.batch_size=64"]).steps_per_epoch == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_are_of_the_type_that_the_recipe_asks_for(dtype: str) -> None:
    seen: list[Any] = []

    class Look:
        @ganlab.hookimpl
        def before_update(self, turn: ganlab.Turn) -> None:
            tensors = [turn.fake, turn.fake_scores, turn.latent, turn.loss, turn.player.parameters[0].grad]
            seen.extend(str(tensor.dtype) for tensor in tensors if tensor is not None)

    play(Look(), steps=2, overrides=[f"train.dtype={dtype}"])
    assert set(seen) == {f"torch.{dtype}"}


def test_autocast_computes_in_bfloat16_and_keeps_weights_and_scores_in_float32() -> None:
    seen: set[tuple[str, ...]] = set()

    class Look:
        @ganlab.hookimpl
        def after_build(self, player: Any) -> None:
            player.network.register_forward_hook(lambda module, given, made: seen.add((player.role, str(made.dtype))))

        @ganlab.hookimpl
        def before_update(self, turn: ganlab.Turn) -> None:
            assert turn.fake_scores is not None
            seen.add(("scores", str(turn.fake_scores.dtype), str(turn.player.parameters[0].dtype), str(turn.loss.dtype)))  # type: ignore[union-attr]

    run = play(Look(), steps=3, overrides=["train.autocast=bfloat16"])
    assert seen == {
        ("generator", "torch.bfloat16"),
        ("discriminator", "torch.bfloat16"),
        ("scores", "torch.float32", "torch.float32", "torch.float32"),
    }
    assert run.generate(torch.zeros(2, 3)).dtype == torch.float32
    plain = play(steps=3)
    assert not plain.players["generator"].parameters[0].equal(run.players["generator"].parameters[0])
    torch.testing.assert_close(plain.players["generator"].parameters[0], run.players["generator"].parameters[0], rtol=0.05, atol=0.02)


def test_a_run_that_fails_says_so_in_its_record(tmp_path: Path) -> None:
    fails(**loss(real=lambda self, turn: turn.real_scores), folder=tmp_path)
    (run,) = tmp_path.iterdir()
    info = json.loads((run / "run.json").read_text())
    assert info["status"] == "failed"
    assert info["failure"].startswith(f"PluginError: loss 'changed' {OWNER}: its term 'real' has shape (8,)")
    assert info["ended"] >= info["started"]


def test_what_cannot_be_built_leaves_no_folder(tmp_path: Path) -> None:
    for overrides in (["tricks.packing={use='packing',size=3}"], ["train.batch_size=65"]):
        with pytest.raises(UsageError):
            prepare(overrides=overrides, folder=tmp_path / "runs")
        assert not (tmp_path / "runs").exists() or list((tmp_path / "runs").iterdir()) == []


def test_a_plan_for_a_side_alone_trains_on_that_side() -> None:
    class Fake:
        @ganlab.hookimpl
        def plan_step(self) -> list[list[Part]]:
            return [[Part("discriminator", ("fake",))]]

    run = play(Fake(), steps=2)
    assert run.counters == {"step": 2, "epoch": 0, "discriminator_updates": 2, "generator_updates": 0, "images_seen": 0}


def test_the_two_helpers_on_gradients_agree_with_the_numbers() -> None:
    norms: list[float] = []

    class Look:
        @ganlab.hookimpl
        def before_update(self, turn: ganlab.Turn) -> None:
            gradients = torch.cat([p.grad.flatten() for p in turn.player.parameters if p.grad is not None])
            norms.append(turn.player.gradient_norm().item() - gradients.norm().item())
            turn.player.scale_gradients(torch.tensor(2.0))
            norms.append(turn.player.gradient_norm().item() - 2 * gradients.norm().item())

    play(Look(), steps=1)
    assert all(math.isclose(difference, 0, abs_tol=1e-5) for difference in norms)


def test_a_trick_that_is_named_twice_with_different_names_is_two_tricks() -> None:
    run = prepare(overrides=[trick("gradient_clipping", "a", max_norm=1.0), trick("gradient_clipping", "b", max_norm=2.0)])
    assert [(t.name, t.instance.max_norm) for t in run.tricks] == [("a", 1.0), ("b", 2.0)]  # type: ignore[attr-defined]
