"""What is killed: every shipped recipe, every optimizer, every trick, shortened until a run takes a second."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlab.recipe import shipped_recipes
from ganlab.registry.catalogue import Catalogue

STEPS = 24
CHECKPOINT_EVERY = 3
#: Short, on small networks, with everything that is written at intervals of its own that share no factor.
SHORT = (
    f"train.steps={STEPS}",
    f"train.checkpoint_every={CHECKPOINT_EVERY}",
    "train.keep_checkpoints=2",
    "train.log_every=4",
    "train.sample_every=5",
    "train.samples=4",
    "evaluation.every=11",
    "evaluation.samples=64",
    "train.device=cpu",
    "generator.hidden=[12]",
    "discriminator.hidden=[10]",
    "tracking.enabled=false",
    "tricks.system_metrics.every_seconds=0.05",
)
#: A judge that is trained in a second.
JUDGE = 'judge={use="classifier",images=200}'
#: An epoch of 10 steps; batch normalization and dropout, whose state and random numbers could be lost.
RING = (
    'data={use="ring",samples=320}',
    "train.batch_size=32",
    'generator.batch_norm="before_activation"',
    "discriminator.dropout=0.3",
)
OPTIMIZERS = {
    "adam": 'use="adam"',
    "adam amsgrad": 'use="adam",amsgrad=true,weight_decay=0.01',
    "adam epsilon_hat": 'use="adam",epsilon_hat=true,decay=0.1',
    "adamw": 'use="adamw",amsgrad=true',
    "sgd": 'use="sgd"',
    "sgd momentum": 'use="sgd",momentum=0.9',
    "sgd nesterov": 'use="sgd",momentum=0.9,nesterov=true,weight_decay=0.01',
    "adagrad": 'use="adagrad",lr_decay=0.1',
    "rmsprop": 'use="rmsprop",momentum=0.5,centered=true',
}
#: Options with which a trick does what it does within 24 steps; the others have their defaults.
TRICKS: dict[str, dict[str, Any]] = {
    "adaptive_generator_steps": {"rest_per_loss": 1.0, "generator_loss_below": 0.7, "max_updates": 3},
    "discriminator_head_start": {"steps": 11},
    "r1_penalty": {"every": 4},
    "packing": {"size": 2},
}
#: Goes wrong once, after the 13th step, and no more once the learning rates have been made smaller.
NAN = """
import ganlab

class Nan:
    @ganlab.hookimpl
    def before_scores(self, turn):
        if turn.step == 13 and turn.role == "discriminator" and turn.player.optimizer.param_groups[0]["lr"] > 0.009:
            turn.real = turn.real * float("nan")

@ganlab.hookimpl
def register_tricks(register):
    register("nan", Nan)
"""


@dataclass(frozen=True)
class Case:
    """A run that is killed.

    Attributes:
        name: as the table has it.
        recipe: a shipped one's name, or a file's.
        overrides: what is changed in it.
        files: what must lie in the working folder, by name.
    """

    name: str
    recipe: str
    overrides: tuple[str, ...]
    files: tuple[tuple[str, str], ...] = ()

    def words(self) -> list[str]:
        """The command that runs it."""
        return ["run", self.recipe, "--quiet", *(word for key in self.overrides for word in ("--set", key))]

    def prepare(self, folder: Path) -> None:
        """Put its files into its working folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.files:
            (folder / name).write_text(text, encoding="utf-8")


def cases() -> list[Case]:
    """All of them."""
    return [*recipes(), *optimizers(), *tricks()]


def recipes() -> list[Case]:
    """Each shipped recipe as it is but for the sizes, and on the digits that need no download."""
    made = []
    for name in sorted(shipped_recipes()):
        smaller = [*SHORT, JUDGE, "train.batch_size=128"]
        if name == "ring":
            smaller = [*SHORT, 'data={use="ring",samples=320}', "train.batch_size=32"]
        elif name == "mnist_one_class":
            smaller = [*SHORT, JUDGE, 'data={use="digits",range=[0.0,1.0],classes=[1]}', "train.batch_size=20"]
        else:
            smaller.append("data.use=digits")
        if name == "mnist_keras_batchnorm":
            smaller.append("train.discriminator_batch_size=64")
        made.append(Case(f"recipe {name}", name, tuple(smaller)))
    return made


def optimizers() -> list[Case]:
    """Each optimizer, in both players."""
    made = []
    for name, options in OPTIMIZERS.items():
        both = (f"{role}.optimizer={{{options},lr=0.01}}" for role in ("generator", "discriminator"))
        made.append(Case(f"optimizer {name}", "ring", (*SHORT, *RING, *both)))
    return made


def tricks() -> list[Case]:
    """Each trick that is installed; the tracker has tests of its own."""
    made = []
    for entry in Catalogue.of_installed().entries(["trick"]):
        if entry.plugin == "mlflow":
            continue
        options = "".join(f",{key}={json.dumps(value)}" for key, value in TRICKS.get(entry.name, {}).items())
        short = [line for line in SHORT if not line.startswith(f"tricks.{entry.name}.")]
        more = ["schedule.discriminator_turn=two_updates"] if entry.name == "adaptive_generator_steps" else []
        made.append(Case(f"trick {entry.name}", "ring", (*short, *RING, *more, f'tricks.{entry.name}={{use="{entry.name}"{options}}}')))
    gone_wrong = 'extends = "ring"\nplugins = ["./nan.py"]\n'
    back = ('tricks.nan={use="nan"}', "train.non_finite=rollback")
    lr = ("generator.optimizer.lr=0.01", "discriminator.optimizer.lr=0.01")
    files = (("nan.py", NAN), ("gone_wrong.toml", gone_wrong))
    return [*made, Case("a restoration", "gone_wrong.toml", (*SHORT, *RING, *lr, *back), files)]


def stateful() -> set[str]:
    """The names of the installed tricks that have a state."""
    return {entry.name for entry in Catalogue.of_installed().entries(["trick"]) if hasattr(entry.factory, "state_dict")}
