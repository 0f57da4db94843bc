"""First-party losses."""

from __future__ import annotations

from ganlab.hookspecs import Register, hookimpl
from ganlab_losses.cross_entropy import BCE, RelativisticBCE

__all__ = ["BCE", "RelativisticBCE"]


@hookimpl
def register_losses(register: Register) -> None:
    register("bce", BCE)
    register("relativistic_bce", RelativisticBCE)
