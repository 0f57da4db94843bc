"""First-party optimizers."""

from __future__ import annotations

from ganlab.hookspecs import Register, hookimpl
from ganlab_optimizers.epsilon_hat import EpsilonHatAdam
from ganlab_optimizers.torch_optimizers import adagrad, adam, adamw, rmsprop, sgd

__all__ = ["EpsilonHatAdam", "adagrad", "adam", "adamw", "rmsprop", "sgd"]


@hookimpl
def register_optimizers(register: Register) -> None:
    for factory in (adam, adamw, sgd, adagrad, rmsprop):
        register(factory.__name__, factory)
