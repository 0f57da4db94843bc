"""First-party networks."""

from __future__ import annotations

from ganlab.hookspecs import Register, hookimpl
from ganlab_networks.mlp import MLP

__all__ = ["MLP"]


@hookimpl
def register_networks(register: Register) -> None:
    register("mlp", MLP)
