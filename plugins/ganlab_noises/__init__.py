"""First-party laws of the latent."""

from __future__ import annotations

from ganlab.hookspecs import Register, hookimpl
from ganlab_noises.laws import Normal, Uniform

__all__ = ["Normal", "Uniform"]


@hookimpl
def register_noises(register: Register) -> None:
    register("normal", Normal)
    register("uniform", Uniform)
