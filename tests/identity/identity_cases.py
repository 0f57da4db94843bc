"""The cases that two versions of ganlab are compared on: every shipped recipe, every first-party trick, and the options of the game.

A case is a recipe file, overrides, and what a script brings to the run. Each is small: together they take a few minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STEPS, HALF = 60, 30
PLAYERS = ("generator", "discriminator")

#: What every case has in common.
COMMON: dict[str, Any] = {
    "train.steps": STEPS,
    "train.checkpoint_every": HALF,
    "train.sample_every": HALF,
    "train.log_every": 10,
    "train.samples": 4,
    "train.seed": 7,
    "train.device": "cpu",
    "train.dtype": "float32",
    "train.threads": 1,
    "evaluation.every": 0,
    "evaluation.at_end": False,
    "tracking.enabled": False,
    "tricks.loss_plot.enabled": False,
}
#: Over ``ring``: networks with everything that a checkpoint must hold, and no trick but the case's own.
SMALL: dict[str, Any] = {
    "data.samples": 400,
    "train.batch_size": 16,
    "noise.dimension": 3,
    "generator": {"use": "mlp", "hidden": [8], "batch_norm": "before_activation", "optimizer": {"use": "adam", "lr": 0.01}},
    "discriminator": {"use": "mlp", "hidden": [8], "dropout": 0.2, "optimizer": {"use": "adam", "lr": 0.01}},
    "schedule.discriminator_turn": "two_passes",
    "tricks.packing.enabled": False,
    "tricks.health.enabled": False,
    "tricks.system_metrics.enabled": False,
}
#: Options of shipped recipes that would take too long, or memory.
SMALLER: dict[str, dict[str, Any]] = {
    "mnist_best_practices": {"train.batch_size": 64},
    "mnist_large_batch": {"train.batch_size": 64},
    "mnist_one_class": {"train.batch_size": 64},
}
#: For each first-party trick, options with which it acts within 60 steps of 25 to an epoch.
TRICKS: dict[str, dict[str, Any]] = {
    "adaptive_generator_steps": {"generator_loss_below": 0.8, "rest_per_loss": 2.0, "max_updates": 3},
    "clamp": {"margin": 0.45},
    "discriminator_head_start": {"steps": 10},
    "gradient_clipping": {"max_norm": 0.1},
    "label_smoothing": {"real": 0.9, "fake": 0.1},
    "packing": {"size": 2},
    "r1_penalty": {"gamma": 1.0, "every": 4},
    "restore_on_read_error": {"wait_seconds": 0.0},
    "spectral_normalization": {"iterations": 2},
    "last_batch": {"samples": 4},
    "loss_plot": {},
    "health": {"patience": 10, "measure_every": 5, "gradient_norm": 0.001},
    "system_metrics": {"every_seconds": 0.05},
    "mlflow": {},
}
#: Metrics of a case that is measured: those that need no judge that is trained.
MEASURED: dict[str, Any] = {"evaluation.every": 20, "evaluation.quick_samples": 50, "evaluation.at_end": True, "evaluation.samples": 100}


@dataclass(frozen=True)
class Case:
    """A recipe of the base commit with overrides.

    Attributes:
        name: what ``--only`` and the report call it.
        recipe: the recipe file, without folder and ``.toml``.
        overrides: after ``COMMON``; None takes a key of ``COMMON`` away.
        brings: names of what the recorder brings to the run; see ``identity_record.py``.
        decides: a trick of the case implements ``plan_step`` or ``on_failure``, so that the recorder may not.
    """

    name: str
    recipe: str = "ring"
    overrides: dict[str, Any] = field(default_factory=dict)
    brings: tuple[str, ...] = ()
    decides: bool = False

    @property
    def all_overrides(self) -> dict[str, Any]:
        """What ``ganlab.run`` is given."""
        return {key: value for key, value in (COMMON | self.overrides).items() if value is not None}


def all_cases(recipes: Path) -> dict[str, Case]:
    """The cases by name. ``recipes`` is the folder of the shipped recipes."""
    names = sorted(path.stem for path in recipes.glob("*.toml") if path.stem != "defaults")
    cases = [Case(f"recipe {name}", name, SMALLER.get(name, {})) for name in names]
    cases += [_trick(name, options) for name, options in TRICKS.items()]
    cases += [*_combinations(), *_schedules(), *_losses(), *_optimizers(), *_networks(), *_data(), *_training()]
    return {case.name: case for case in cases}


def _small(name: str, overrides: dict[str, Any] | None = None, **more: Any) -> Case:
    return Case(name, overrides=SMALL | (overrides or {}), **more)


def _trick(name: str, options: dict[str, Any]) -> Case:
    overrides: dict[str, Any] = {f"tricks.{name}": {"use": name, **options}}
    if f"tricks.{name}.enabled" in SMALL | COMMON:  # the recipe has it already
        overrides = {f"tricks.{name}.{key}": value for key, value in options.items()} | {f"tricks.{name}.enabled": True}
    if name == "mlflow":
        return _small("trick mlflow", {"tracking.enabled": True})
    if name == "restore_on_read_error":
        return _small(f"trick {name}", overrides | {"data": {"use": "away"}, "data.samples": None}, brings=("away",), decides=True)
    return _small(f"trick {name}", overrides, decides=name == "discriminator_head_start")


def _combinations() -> list[Case]:
    """Many tricks at once, for their order counts, and one trick twice."""
    many = ["clamp", "gradient_clipping", "r1_penalty", "label_smoothing", "spectral_normalization", "adaptive_generator_steps"]
    listed = {f"tricks.{name}": {"use": name, **TRICKS[name]} for name in many}
    backwards = {f"tricks.{name}": {"use": name, **TRICKS[name]} for name in reversed(many)}
    both = {"tricks.packing.enabled": True, "tricks.packing.size": 4}
    twice = {f"tricks.{name}": {"use": "gradient_clipping", "max_norm": norm} for name, norm in (("first", 0.5), ("second", 0.1))}
    return [
        _small("tricks in one order", listed | both),
        _small("tricks in the other order", backwards | both | {"schedule.discriminator_turn": "two_updates"}),
        _small("a trick twice", twice),
        _small("spectral normalization of both", {f"tricks.{p}": {"use": "spectral_normalization", "player": p} for p in PLAYERS}),
    ]


def _schedules() -> list[Case]:
    options: dict[str, dict[str, Any]] = {
        "simultaneous": {"order": "simultaneous"},
        "simultaneous one_pass": {"order": "simultaneous", "discriminator_turn": "one_pass"},
        "generator_first": {"order": "generator_first", "noise": "per_step"},
        "one_pass": {"discriminator_turn": "one_pass", "first_side": "fake", "discriminator_loss": "mean"},
        "two_updates": {"discriminator_turn": "two_updates", "first_side": "fake"},
        "more turns": {"discriminator_steps": 3, "generator_steps": 2},
        "more turns per_step": {"discriminator_steps": 2, "generator_steps": 2, "noise": "per_step", "order": "generator_first"},
        "contiguous": {"real_batches": "contiguous"},
        "modes": {"generator_mode": "eval", "discriminator_mode": "eval"},
        "statistics": {"discriminator_statistics": False},
    }
    norm = {"discriminator.batch_norm": "before_activation"}
    return [
        _small(f"schedule {name}", {f"schedule.{key}": value for key, value in table.items()} | (norm if name == "statistics" else {}))
        for name, table in options.items()
    ]


def _losses() -> list[Case]:
    options: dict[str, dict[str, Any]] = {
        "bce": {"use": "bce", "real_label": 0.9, "fake_label": 0.1, "generator_label": 0.95},
        "bce saturating": {"use": "bce", "saturating": True},
        "bce matlab_published": {"use": "bce", "derivative": "matlab_published"},
        "relativistic_bce": {"use": "relativistic_bce"},
        "of each player": {"generator": {"use": "bce", "saturating": True}, "discriminator": {"use": "bce", "real_label": 0.8}},
    }
    pairs = {"loss": {"use": "relativistic_bce"}}
    return [
        *(_small(f"loss {name}", {"loss": table}) for name, table in options.items()),
        _small("loss relativistic_bce generator_first", pairs | {"schedule.order": "generator_first"}),
        _small(
            "loss relativistic_bce one_pass packing", pairs | {"schedule.discriminator_turn": "one_pass", "tricks.packing.enabled": True}
        ),
    ]


def _optimizers() -> list[Case]:
    options: dict[str, dict[str, Any]] = {
        "adam": {"use": "adam", "betas": [0.5, 0.9], "weight_decay": 0.01},
        "adam amsgrad": {"use": "adam", "amsgrad": True},
        "adam epsilon_hat": {"use": "adam", "epsilon_hat": True, "decay": 0.1},
        "adamw": {"use": "adamw", "amsgrad": True},
        "sgd": {"use": "sgd"},
        "sgd nesterov": {"use": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        "sgd dampening": {"use": "sgd", "momentum": 0.9, "dampening": 0.5},
        "adagrad": {"use": "adagrad", "lr_decay": 0.1},
        "rmsprop": {"use": "rmsprop", "momentum": 0.5, "centered": True},
    }
    return [_small(f"optimizer {name}", _players(optimizer={"lr": 0.01, **table}, hidden=[8])) for name, table in options.items()]


def _networks() -> list[Case]:
    options: dict[str, dict[str, Any]] = {
        "mlp without hidden layers": {"hidden": []},
        "mlp plain": {"hidden": [8, 6], "activation": "relu"},
        "mlp not fast": {"hidden": [8, 6], "fast": False, "dropout": 0.3, "dropout_masks": "torch"},
        "mlp dropout": {"hidden": [8, 6], "dropout": 0.3, "activation": "elu", "init": "kaiming_normal", "bias_init": "zeros"},
        "mlp batch_norm": {"hidden": [6], "batch_norm": "after_activation", "batch_norm_variance": "biased", "dropout": 0.5},
        "mlp inits": {"hidden": [6], "activation": "gelu", "init": "orthogonal", "bias_init": "normal"},
        "mlp xavier": {"hidden": [6], "activation": "silu", "init": "xavier_normal", "bias_init": "zeros"},
    }
    labelled = _players(use="labelled")
    return [
        *(_small(f"network {name}", _players(**table)) for name, table in options.items()),
        _small("network with labels", labelled, brings=("labelled",)),
        _small("network with labels generator_first", labelled | {"schedule.order": "generator_first"}, brings=("labelled",)),
    ]


def _players(**options: Any) -> dict[str, Any]:
    """The same network and optimizer for both players."""
    return {player: {"use": "mlp", "optimizer": {"use": "adam", "lr": 0.01}, **options} for player in PLAYERS}


def _data() -> list[Case]:
    """Data sets, noises, and what is measured of the samples."""
    digits = {"data": {"use": "digits"}, "data.samples": None, "judge": {"use": "random_network"}}
    uniform = {"noise": {"use": "uniform", "dimension": 4, "scale": 2.0}, "noise.dimension": None}
    normal = {"noise.location": 0.5, "noise.scale": 0.5, "sampling_noise": {"use": "uniform", "dimension": 3}}
    return [
        _small("noise uniform", uniform),
        _small("noise normal, sampled uniform", normal),
        _small("data grid", {"data": {"use": "grid", "samples": 400}, "data.samples": None}),
        _small("data digits", {**digits, "generator.output_activation": "tanh"}),
        _small("measured points", MEASURED),
        _small("measured images", {**digits, **MEASURED}),
    ]


def _training() -> list[Case]:
    nan = {"train.non_finite_most": 5}
    kept = {"train.keep_checkpoints": 1, "train.keep_checkpoints_every": 20, "train.checkpoint_every": 10}
    return [
        _small("train autocast", {"train.autocast": "bfloat16"}),
        _small("train autocast one_pass", {"train.autocast": "bfloat16", "schedule.discriminator_turn": "one_pass"}),
        _small("train float64", {"train.dtype": "float64"}),
        _small("train epochs", {"train.steps": None, "train.epochs": 2, "data.samples": 480}),
        _small("train discriminator_batch_size", {"train.discriminator_batch_size": 8}),
        _small("train each step logged", {"train.log_every": 1, "train.keep_best": "loss/generator", **kept}),
        _small("train non_finite skip", {"train.non_finite": "skip", **nan}, brings=("spoiler",)),
        _small("train non_finite rollback", {"train.non_finite": "rollback", **nan}, brings=("spoiler",)),
    ]
