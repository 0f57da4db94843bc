"""The conformance kit: every first-party component and trick passes it, and a broken plugin fails by the name of the rule it breaks."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from engine_support import Plugin
from torch import Tensor, nn

import ganlab
from ganlab.errors import DataUnavailable, PluginError, RecipeError, UsageError
from ganlab.evaluation import Better, Evidence, JudgeSpec, Needs
from ganlab.pictures import save_png
from ganlab.registry.catalogue import Catalogue
from ganlab.registry.entry import Entry
from ganlab.testing import RULES, BrokenRule, conform, play
from ganlab.testing.tiny import TinyJudge, TinyNetwork, TinyNoise
from ganlab.testing.waits import Waits

#: What a recipe must have besides, for a first-party entry.
NEEDS: dict[str, list[str]] = {"mlflow": ["train.samples=4"], "modes": ['data={use="ring",samples=200}']}


@pytest.mark.parametrize("entry", Catalogue.of_installed().entries(), ids=lambda entry: f"{entry.kind}-{entry.name}")
@pytest.mark.slow
def test_every_first_party_component_and_trick_conforms(entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is sent to MLflow is not the subject here: this mirror waits for the end of the run, and sends nothing.
    monkeypatch.setattr("ganlab_mlflow.helper._BOOT", "import sys; sys.stdin.read()")
    options = {}
    if entry.name == "image_folder":
        for number in range(16):
            save_png(np.full((8, 8, 3), 16 * number, np.uint8), tmp_path / f"{number}.png")
        options = {"path": str(tmp_path), "size": 4}
    try:
        conform(entry.kind, entry.name, overrides=NEEDS.get(entry.name, []), **options)
    except DataUnavailable:
        pytest.skip(f"{entry.name} is not here")
    except UsageError as error:
        if entry.name != "inception":
            raise
        pytest.skip(error.message)


def breaks(rule: str, kind: Any, thing: Any, **options: Any) -> str:
    """What the kit says of a plugin that breaks a rule; it must be of that rule."""
    kinds = {"loss": "losses"}.get(kind, f"{kind}s")
    with pytest.raises(BrokenRule) as caught:
        conform(kind, "mine", plugins=[Plugin(**{kinds: {"mine": thing}})], **options)
    assert caught.value.rule == rule, caught.value
    text = str(caught.value)
    assert text.startswith(f"{kind} 'mine' breaks the rule {rule}: ")
    return text.partition(": ")[2]


# -- a broken plugin for each rule -----------------------------------------------------------------------------------------


@dataclass
class Forgetful:
    """A trick that changes its own option, so that the resolved recipe is not what it was made with."""

    numbers: list[int] = field(default_factory=lambda: [1])

    def __post_init__(self) -> None:
        self.numbers.append(2)

    @ganlab.hookimpl
    def after_step(self) -> None:
        pass


def test_options_round_trip() -> None:
    text = breaks("options_round_trip", "trick", Forgetful, numbers=[1])
    assert "its resolved recipe changes when it is read again" in text or "are read again as" in text


class OnlyFloat32(nn.Module):
    """A network that makes tensors of its own without asking of which dtype."""

    def __init__(self, spec: ganlab.NetworkSpec) -> None:
        super().__init__()
        self.inner = TinyNetwork(spec)

    def forward(self, x: Tensor) -> Tensor:
        bias = torch.ones(x.shape[1], x.shape[1])  # float32, whatever x is
        return self.inner(x @ bias if x.dtype == torch.float32 else torch.matmul(x, bias))  # type: ignore[no-any-return]


def test_works_in_every_precision() -> None:
    assert "expected m1 and m2 to have the same dtype" in breaks("works_in_every_precision", "network", OnlyFloat32)


class Gambler:
    """A trick that draws from Python's own generator."""

    @ganlab.hookimpl
    def after_step(self) -> None:
        random.random()


class Thief:
    """A trick that draws a latent of the run's."""

    @ganlab.hookimpl
    def before_turn(self, run: Any, turn: ganlab.Turn) -> None:
        if turn.role == "generator":
            run.game.draws.order.next()


class OwnWay(TinyNoise):
    """A noise that draws from NumPy."""

    def sample(self, count: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> Tensor:
        return torch.as_tensor(np.random.standard_normal((count, 3)), device=device, dtype=dtype)


class Together(TinyNetwork):
    """Scores all parts at once, each with masks of its own."""

    def in_one_pass(self, parts: list[Tensor], begin: Callable[[int], None]) -> Any:
        dropped = []
        for number, part in enumerate(parts):
            begin(number)
            dropped.append(self.before(part.flatten(1)))
        y = self.linear(torch.cat(dropped)).view(len(parts), -1, *self.output_shape)
        return [y[number] for number in range(len(parts))]


class Careless(Together):
    """Draws the masks of all parts in one go."""

    def in_one_pass(self, parts: list[Tensor], begin: Callable[[int], None]) -> Any:
        begin(0)
        y = self(torch.cat(parts))
        return [y[: len(parts[0])], y[len(parts[0]) :]]


class Detached(Together):
    """Forgets the graph of the first part."""

    def in_one_pass(self, parts: list[Tensor], begin: Callable[[int], None]) -> Any:
        first, second = super().in_one_pass(parts, begin)
        return [first.detach(), second]


class Unbound(Together):
    """Gives views of which torch says that they must not be changed in place."""

    def in_one_pass(self, parts: list[Tensor], begin: Callable[[int], None]) -> Any:
        return list(torch.stack(super().in_one_pass(parts, begin)).unbind())


class Whole(Together):
    """Forgets to take the parts apart."""

    def in_one_pass(self, parts: list[Tensor], begin: Callable[[int], None]) -> Any:
        return torch.cat(super().in_one_pass(parts, begin))


class Short(Together):
    """Forgets the second part."""

    def in_one_pass(self, parts: list[Tensor], begin: Callable[[int], None]) -> Any:
        return super().in_one_pass(parts, begin)[:1]


def test_makes_one_pass_of_many() -> None:
    conform("network", "mine", plugins=[Plugin(networks={"mine": Together})], dropout=True)
    said = "the results or gradients of its in_one_pass differ from those of a call for each part"
    assert breaks("makes_one_pass_of_many", "network", Careless, dropout=True) == said
    assert breaks("makes_one_pass_of_many", "network", Detached) == said
    assert "modified inplace" in breaks("makes_one_pass_of_many", "network", Unbound)
    mine = [f'{role}={{use="mine",optimizer={{use="tiny"}}}}' for role in ("generator", "discriminator")]
    for wrong in (Whole, Short):
        with pytest.raises(PluginError, match=r"network 'mine'.*: in_one_pass did not return a list of 2 tensors or None"):
            play(overrides=mine, plugins=[Plugin(networks={"mine": wrong})])


def test_moves_no_other_randomness() -> None:
    assert breaks("moves_no_other_randomness", "trick", Gambler).startswith("it draws from Python's random")
    assert breaks("moves_no_other_randomness", "noise", OwnWay).startswith("it draws from numpy.random")
    assert breaks("moves_no_other_randomness", "trick", Thief) == "it changes the real batch 2"


class Impatient:
    """A trick that looks at a value in a turn."""

    @ganlab.hookimpl
    def before_update(self, turn: ganlab.Turn) -> None:
        if turn.loss is not None and turn.loss.item() > 100:
            turn.player.scale_gradients(0.0)


class Candid(Impatient):
    """One that says why."""

    host_sync = "it decides on the loss"


def test_waits_for_no_device() -> None:
    text = breaks("waits_for_no_device", "trick", Impatient)
    assert text == "it waits for the device within a turn (item()); if it must, give the reason in `host_sync`"
    conform("trick", "mine", plugins=[Plugin(tricks={"mine": Candid})])


class Watchful(torch.optim.SGD):
    """An optimizer that looks at its gradients."""

    def __init__(self, parameters: Any, *, lr: float = 0.1) -> None:
        super().__init__(parameters, lr=lr)

    def step(self, closure: Any = None) -> None:
        if self.param_groups[0]["params"][0].grad.norm() < 100:
            super().step()


def test_an_optimizer_that_waits_is_seen_and_the_count_of_torchs_own_is_none() -> None:
    text = breaks("waits_for_no_device", "optimizer", Watchful)
    assert text.startswith("it waits for the device within a turn (")
    assert "if tensor:" in text or "item()" in text
    conform("optimizer", "mine", plugins=[Plugin(optimizers={"mine": lambda parameters: torch.optim.Adam(parameters, fused=False)})])


@pytest.mark.parametrize(
    ("look", "word"),
    [
        (lambda x: x.cpu(), "cpu()"),
        (lambda x: x.detach().numpy(), "numpy()"),
        (lambda x: x.tolist(), "tolist()"),
        (lambda x: x[x > 0], "tensor[mask]"),
        (lambda x: x.nonzero(), "nonzero()"),
        (lambda x: x[torch.tensor([1, 0])], None),
        (lambda x: x.masked_select(x > 0), "masked_select()"),
        (lambda x: x.unique(), "unique()"),
        (lambda x: torch.equal(x, x), "torch.equal"),
        (lambda x: float(x.sum()), "item()"),
        (lambda x: x.sum().mul(2).clamp(max=1).square(), None),
        (lambda x: torch.tensor(0.5, device=x.device), "torch.tensor(..., device=...)"),
        (lambda x: torch.tensor(data=0.5, device=x.device), "torch.tensor(..., device=...)"),
        (lambda x: torch.as_tensor([0.5], device=x.device), "torch.as_tensor(..., device=...)"),
        (lambda x: torch.as_tensor(x, device=x.device), None),
        (lambda x: x * torch.tensor(0.5), None),
        (lambda x: torch.full((), 0.5, device=x.device), None),
    ],
)
def test_each_way_to_wait_has_its_word(look: Any, word: str | None) -> None:
    waits = Waits()
    waits.around(look)(torch.ones(3))
    assert waits.seen == ({word} if word else set())


def test_every_device_that_is_here_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganlab.testing.rules.devices", lambda: ["cpu", "cuda:99"])
    assert "train.device = 'cuda:99': there is no such device here" in breaks("works_in_every_precision", "noise", TinyNoise)


class Counter:
    """A trick whose state changes the training, and is in no state_dict."""

    def __init__(self) -> None:
        self.count = 0

    @ganlab.hookimpl
    def loss_terms(self, turn: ganlab.Turn) -> None:
        turn.loss_terms = {name: term * (1 + self.count) for name, term in turn.loss_terms.items()}

    @ganlab.hookimpl
    def after_step(self) -> None:
        self.count += 1


def test_resumes_exactly() -> None:
    assert breaks("resumes_exactly", "trick", Counter) == "the metrics of a run that was stopped and resumed differ"


class Fragile:
    """A trick that thinks that turns alternate for ever."""

    def __init__(self) -> None:
        self.last = ""

    @ganlab.hookimpl
    def after_update(self, turn: ganlab.Turn) -> None:
        assert turn.role != self.last, "twice the same player"
        self.last = turn.role

    def state_dict(self) -> dict[str, str]:
        return {"last": self.last}

    def load_state_dict(self, state: dict[str, str]) -> None:
        self.last = state["last"]


def test_survives_veto_and_repeat() -> None:
    assert "twice the same player" in breaks("survives_veto_and_repeat", "trick", Fragile)


class Swallowing(nn.Module):
    """A network that hides its own mistakes."""

    def __init__(self, spec: ganlab.NetworkSpec) -> None:
        super().__init__()
        self.inner = TinyNetwork(spec)
        object.__setattr__(self, "secret", self.inner.forward)

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "forward":
            super().__setattr__(name, value)
            return

        def hide(x: Tensor) -> Tensor:
            try:
                return value(x)  # type: ignore[no-any-return]
            except ArithmeticError:
                return self.inner(x)  # type: ignore[no-any-return]

        super().__setattr__(name, hide)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)  # type: ignore[no-any-return]


def test_errors_name_it() -> None:
    assert breaks("errors_name_it", "network", Swallowing) == "an exception in it was hidden"


def test_there_is_a_broken_plugin_for_every_rule() -> None:
    assert {f"test_{rule}" for rule in RULES} <= globals().keys()


# -- what it is asked for --------------------------------------------------------------------------------------------------


def test_an_unknown_name_and_a_wrong_option_are_no_broken_rules(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no plugin brings a trick 'klamp'"):
        conform("trick", "klamp")
    with pytest.raises(RecipeError, match=r"tricks.clamp.margin must be a number greater than 0"):
        conform("trick", "clamp", margin=-1)


@pytest.fixture(autouse=True)
def no_generator_is_left_moved() -> Iterator[None]:
    state = torch.get_rng_state()
    yield
    assert torch.equal(state, torch.get_rng_state())


def test_the_page_on_testing_runs() -> None:
    page = (Path(__file__).parent.parent / "docs/testing.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(block, "docs/testing.md", "exec"), {})
    assert re.findall(r"^\| `(\w+)`", page, re.MULTILINE) == list(RULES)


# -- metrics and judges ----------------------------------------------------------------------------------------------------


class Measure:
    """A metric that keeps all rules."""

    results: ClassVar[dict[str, Better]] = {"mine": "lower"}
    needs: ClassVar[Needs] = "features"
    quick: ClassVar[bool] = True

    def measure(self, evidence: Evidence) -> dict[str, float]:
        return {"mine": float(evidence.fakes.features.mean())}


def test_a_metric_that_keeps_all_rules() -> None:
    conform("metric", "mine", plugins=[Plugin(metrics={"mine": Measure})])


def test_a_metric_with_a_memory_does_not_resume() -> None:
    class Counting(Measure):
        seen = 0

        def measure(self, evidence: Evidence) -> dict[str, float]:
            type(self).seen += 1
            return {"mine": float(self.seen)}

    text = breaks("resumes_exactly", "metric", Counting)
    assert text == "the metrics of a run that was stopped and resumed differ"


def test_a_metric_that_is_not_a_number() -> None:
    class Lost(Measure):
        def measure(self, evidence: Evidence) -> dict[str, float]:
            return {"mine": float("nan")}

    assert breaks("works_in_every_precision", "metric", Lost) == "it is not a finite number"


def test_a_metric_that_raises() -> None:
    class Raising(Measure):
        def measure(self, evidence: Evidence) -> dict[str, float]:
            raise LookupError("no such sample")

    assert "LookupError: no such sample" in breaks("works_in_every_precision", "metric", Raising)


def test_a_metric_that_draws_from_numpy() -> None:
    class Gambling(Measure):
        def measure(self, evidence: Evidence) -> dict[str, float]:
            return {"mine": float(np.random.rand())}

    assert breaks("moves_no_other_randomness", "metric", Gambling).startswith("it draws from numpy.random")


def test_a_metric_that_hides_its_errors() -> None:
    class Silent(Measure):
        def __getattribute__(self, name: str) -> Any:
            if name == "measure":  # whatever is put in its place
                return lambda evidence: {"mine": 1.0}
            return super().__getattribute__(name)

    assert breaks("errors_name_it", "metric", Silent).startswith("no announcement names it")


def test_a_judge_that_draws_from_numpy() -> None:
    class Gambling(TinyJudge):
        def features(self, images: Tensor) -> Tensor:
            return super().features(images) + np.random.rand()

    assert breaks("moves_no_other_randomness", "judge", Gambling).startswith("it draws from numpy.random")


def test_what_is_never_asked_is_not_said_to_keep_the_rules() -> None:
    class Picky(Measure):
        def unfit(self, dataset: Any) -> str:
            return "it is for sounds"

    with pytest.raises(UsageError, match="metric 'mine' is not used on the tiny problem: it is for sounds"):
        conform("metric", "mine", plugins=[Plugin(metrics={"mine": Picky})])

    def none(spec: JudgeSpec) -> TinyJudge:
        raise UsageError("no weights")

    with pytest.raises(UsageError, match="judge 'mine' is not used on the tiny problem: there is no judge: no weights"):
        conform("judge", "mine", plugins=[Plugin(judges={"mine": none})])
